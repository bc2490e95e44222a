"""Files read sample by sample give what they give at once, and refuse what they refuse."""

import os
import zipfile
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Unread
from onnxunlearn.probes.arrays import read_arrays
from onnxunlearn.probes.images import read_images
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.streams import Spill, readers
from onnxunlearn.streams.readers import arrays, images

X = np.random.default_rng(0).normal(size=(40, 2, 3)).astype(np.float32)
Y = np.arange(40) % 4
GRAY = Preprocess("L", "NCHW", resize=(2, 2))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """So little is held that nothing of X is."""
    monkeypatch.setattr(readers, "HELD", 900)


def check(given: object, expected: np.ndarray) -> None:
    assert isinstance(given, Unread)
    found = cast(np.ndarray, given)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    np.testing.assert_array_equal(found[5:9], expected[5:9])
    np.testing.assert_array_equal(found[-3:], expected[-3:])
    np.testing.assert_array_equal(found[0:2], expected[0:2])  # and back
    some = np.array([1, 2, 3, 17, 30, 31, 4])
    np.testing.assert_array_equal(found[some][:], expected[some])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arrays_of_an_archive(tmp_path: Path, small: None, save: object) -> None:
    path = tmp_path / "a.npz"
    save(path, x=X, y=Y)  # type: ignore[operator]
    found = arrays(path)
    assert isinstance(found, dict)
    assert list(found) == ["x", "y"]
    check(found["x"], X)
    np.testing.assert_array_equal(found["y"], Y)  # small, and held


def test_an_array_alone(tmp_path: Path, small: None) -> None:
    np.save(tmp_path / "a.npy", X)
    check(arrays(tmp_path / "a.npy"), X)


def test_what_is_not_large_is_held(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X)
    np.save(tmp_path / "a.npy", X)
    for found in (cast(dict[str, np.ndarray], arrays(tmp_path / "a.npz"))["x"], arrays(tmp_path / "a.npy")):
        assert type(found) is np.ndarray
        np.testing.assert_array_equal(found, X)


def test_columns_first_is_held(tmp_path: Path, small: None) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(X))
    found = arrays(tmp_path / "a.npy")
    assert type(found) is np.ndarray
    np.testing.assert_array_equal(found, X)


def test_a_file_that_ends_early(tmp_path: Path, small: None) -> None:
    path, many = tmp_path / "a.npy", np.tile(X, (100, 1, 1))
    np.save(path, many)
    found = cast(np.ndarray, arrays(path))
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match=r"a\.npy: changed while it was worked on"):
        found[:39]
    with pytest.raises(InputError, match=r"a\.npy: damaged or truncated \(it ends too early\)"):
        found[3990:]
    with pytest.raises(InputError, match=r"a\.npy: damaged or truncated"):  # at once
        arrays(path)


def test_a_damaged_archive(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, x=np.random.default_rng(0).normal(size=(9000, 6)))
    data = bytearray(path.read_bytes())
    data[200_000:200_040] = bytes(40)
    path.write_bytes(data)
    found = arrays(path)
    assert isinstance(found, dict)
    with pytest.raises(InputError, match=r"a\.npz: damaged or truncated .*; save the arrays again"):
        found["x"][:]


@pytest.mark.parametrize("content", [np.array([{}] * 200), b"PK\x03\x04 and no more", b"no array"])
def test_what_is_refused_is_refused_alike(tmp_path: Path, small: None, content: object) -> None:
    path = tmp_path / "a.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, cast(np.ndarray, content), allow_pickle=True)
    with pytest.raises(InputError) as whole:
        read_arrays(path)
    with pytest.raises(InputError) as unread:
        arrays(path)
    assert str(unread.value) == str(whole.value)


def test_an_archive_with_something_else_in_it(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, x=X)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "no array")
    with pytest.raises(InputError, match=r"member 'notes\.txt' is not an array"):
        arrays(path)


def files(folder: Path, sides: list[int]) -> list[Path]:
    paths = [folder / f"{i:02}.png" for i in range(len(sides))]
    for i, (path, side) in enumerate(zip(paths, sides, strict=True)):
        Image.new("L", (side, side), 5 * i).save(path)
    return paths


def test_images_by_and_by(tmp_path: Path, small: None) -> None:
    paths = files(tmp_path, [4] * 40)
    check(images(paths * 10, GRAY), np.concatenate([read_images(paths, GRAY)] * 10))
    assert type(images(paths[:2], GRAY)) is np.ndarray


def test_an_image_of_another_size_and_one_that_is_gone(tmp_path: Path, small: None) -> None:
    paths = files(tmp_path, [4] * 38 + [3, 4]) * 2
    found = images(paths, Preprocess("L", "NCHW"))
    assert len(found[:38]) == 38
    with pytest.raises(InputError, match=r"38\.png: gives shape \(1, 3, 3\), '00\.png' gave \(1, 4, 4\)"):
        found[38:]
    paths[3].unlink()
    with pytest.raises(InputError, match=r"03\.png: is gone"):
        found[2:4]


def test_what_was_said_is_kept_on_disk() -> None:
    for on_disk in (True, False):
        spill = Spill(on_disk)
        for start in range(0, 40, 7):
            spill.add(X[start : start + 7])
        if on_disk:
            check(spill.whole(), X)
        else:
            np.testing.assert_array_equal(spill.whole(), X)


def test_a_file_that_is_written_to_meanwhile(tmp_path: Path, small: None) -> None:
    path = tmp_path / "a.npy"
    np.save(path, X)
    found = cast(np.ndarray, arrays(path))
    np.testing.assert_array_equal(found[0:5], X[0:5])
    np.save(path, X[::-1].copy())
    os.utime(path, (1, 1))  # whatever the clock's steps
    with pytest.raises(InputError, match=r"a.npy: changed while it was worked on"):
        found[5:9]


def test_an_image_that_is_written_to_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "HELD", 9)
    paths = [tmp_path / f"{i:02}.png" for i in range(99)]
    for i, path in enumerate(paths):
        Image.new("L", (2, 2), i).save(path)
    found = images(paths, GRAY)
    assert len(found[0:5]) == 5
    Image.new("L", (2, 2), 200).save(paths[7])
    os.utime(paths[7], (1, 1))
    with pytest.raises(InputError, match=r"07.png: changed while it was worked on"):
        found[5:9]


def test_a_pipe_among_images_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "HELD", 9)
    paths = [tmp_path / f"{i:02}.png" for i in range(99)]
    for path in paths[:-1]:
        Image.new("L", (2, 2)).save(path)
    os.mkfifo(paths[-1])
    with pytest.raises(InputError, match=r"98.png: not a file"):
        images(paths, GRAY)


@pytest.mark.parametrize("shape", ["(True, 2, 3)", "(-1, 2, 3)", "(40, -2, -3)"])
def test_headers_that_no_array_has(tmp_path: Path, small: None, shape: str) -> None:
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + X.tobytes())
    with pytest.raises(InputError):
        arrays(path)
