import io
import os
import pickle
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.errors import InputError
from onnxunlearn.probes.arrays import read_arrays

from .tiny_models import assert_one_line, samples


class Hostile:
    """Unpickling it makes a folder: what an attacker would do, made visible."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


def test_npz_and_npy(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", x=samples(2, 3), y=[0, 1])
    arrays = read_arrays(tmp_path / "p.npz")
    assert isinstance(arrays, dict)
    assert arrays.keys() == {"x", "y"}
    np.testing.assert_array_equal(arrays["x"], samples(2, 3))
    np.save(tmp_path / "p.npy", samples(2, 3))
    np.testing.assert_array_equal(read_arrays(tmp_path / "p.npy"), samples(2, 3))


def test_a_pickle_hidden_in_an_npz_is_refused_and_never_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "probes.npz", tmp_path / "was_run"
    hidden = np.array([Hostile(mark)], dtype=object)
    np.savez(path, x=samples(2, 3), y=hidden)
    with pytest.raises(InputError, match=r"probes\.npz: holds pickled Python objects.*refused"):
        read_arrays(path)
    assert not mark.exists()
    with np.load(path, allow_pickle=True) as content:
        content["y"]
    assert mark.exists(), "the file must really be hostile, or this test shows nothing"


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_bare_pickle_under_another_name_is_refused_and_never_run(tmp_path: Path, suffix: str) -> None:
    path, mark = tmp_path / f"probes{suffix}", tmp_path / "was_run"
    path.write_bytes(pickle.dumps(Hostile(mark)))
    with pytest.raises(InputError, match="not a NumPy file"):
        read_arrays(path)
    assert not mark.exists()


def test_a_pickle_as_an_npz_member_is_refused_and_never_run(tmp_path: Path) -> None:
    path, mark = tmp_path / "probes.npz", tmp_path / "was_run"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", pickle.dumps(Hostile(mark)))
    with pytest.raises(InputError, match="member 'x' is not an array"):
        read_arrays(path)
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", b"\x89PNG\r\n"])
def test_not_numpy_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "p.npz"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a NumPy file; save it with"):
        read_arrays(path)


def test_a_header_that_promises_more_than_memory_holds(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**60,)})
    path = tmp_path / "p.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("x.npy", header.getvalue())
    with pytest.raises(InputError, match="damaged or truncated"):
        read_arrays(path)


def saved(compressed: bool) -> bytes:
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, x=samples(4, 8), y=[0, 1, 2, 3])
    return file.getvalue()


@given(st.booleans(), st.data())
def test_truncated(tmp_path_factory: pytest.TempPathFactory, compressed: bool, data: st.DataObject) -> None:
    content = saved(compressed)
    path = tmp_path_factory.getbasetemp() / "truncated.npz"
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1))])
    with pytest.raises(InputError):
        read_arrays(path)


@given(st.booleans(), st.data())
def test_damaged(tmp_path_factory: pytest.TempPathFactory, compressed: bool, data: st.DataObject) -> None:
    content = bytearray(saved(compressed))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content)
    try:
        read_arrays(path)
    except InputError as error:
        assert_one_line(error)


def bomb(path: Path, members: int, size: int) -> Path:
    """An .npz of zeros that unpacks to `members` × `size` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        zeros = bytes(2**20)
        for index in range(members):
            with archive.open(f"{index}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "|u1", "fortran_order": False, "shape": (size,)}
                )
                for _ in range(size // len(zeros)):
                    member.write(zeros)
    return path


@pytest.mark.parametrize("members", [1, 5])
def test_a_decompression_bomb(tmp_path: Path, members: int) -> None:
    path = bomb(tmp_path / "x.npz", members, 300 * 2**20 // members)
    assert path.stat().st_size < 400_000
    tracemalloc.start()
    with pytest.raises(InputError) as caught:
        read_arrays(path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    assert "perhaps a decompression bomb" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_zeros_compress_well(tmp_path: Path) -> None:
    arrays = read_arrays(bomb(tmp_path / "x.npz", 1, 2**20))
    assert isinstance(arrays, dict)
    assert arrays["0"].shape == (2**20,)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_a_header_that_claims_a_terabyte(tmp_path: Path, suffix: str) -> None:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f4", "fortran_order": False, "shape": (2**20, 2**18)}
    )
    path = tmp_path / f"x{suffix}"
    path.write_bytes(file.getvalue() + bytes(100))
    if suffix == ".npz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", file.getvalue() + bytes(100))
    with pytest.raises(InputError, match="damaged or truncated"):
        read_arrays(path)


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.npz")
    with pytest.raises(InputError, match="not a file"):
        read_arrays(tmp_path / "x.npz")
