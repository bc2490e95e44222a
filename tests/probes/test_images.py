import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Labels
from onnxunlearn.probes.images import labelled_files, read_images, require_pillow
from onnxunlearn.probes.preprocess import Preprocess

GRAY = Preprocess("L", "NCHW", resize=(2, 2))


def put(path: Path, value: int = 0, size: tuple[int, int] = (4, 4)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, value).save(path)
    return path


def test_files_are_sorted_and_litter_is_left_out(tmp_path: Path) -> None:
    for name in ("cat/b.png", "cat/a.png", "1/z.png", ".hidden/a.png"):
        put(tmp_path / name)
    for name in ("README", "cat/.DS_Store", "cat/Thumbs.db"):
        (tmp_path / name).write_text("no image")
    (tmp_path / "dog").mkdir()
    found = labelled_files(tmp_path, Labels(3, ("cat", "dog", "fish")))
    assert [(p.relative_to(tmp_path).as_posix(), c) for p, c in found] == [
        ("1/z.png", 1),
        ("cat/a.png", 0),
        ("cat/b.png", 0),
    ]


@pytest.mark.parametrize("labels", [Labels(3), Labels(3, ("cat", "dog", "fish"))])
def test_folders_that_count_from_elsewhere(tmp_path: Path, labels: Labels) -> None:
    for name in "123":
        put(tmp_path / name / "a.png")
    expected = (
        r"3: unknown class '3', .*; it seems to start at 1, where the model starts at 0; subtract 1 from"
    )
    with pytest.raises(InputError, match=expected):
        labelled_files(tmp_path, labels)
    put(tmp_path / "0" / "a.png")
    with pytest.raises(InputError) as refused:
        labelled_files(tmp_path, labels)
    assert "start" not in str(refused.value)


def test_folders_without_images_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    put(tmp_path / "0" / "a.png")
    assert len(labelled_files(tmp_path, Labels(3))) == 1
    assert not caplog.messages
    for name in "12":
        (tmp_path / name).mkdir()
    assert len(labelled_files(tmp_path, Labels(3))) == 1
    assert caplog.messages == [f"{tmp_path}: no images in 1, 2"]


def test_a_label_that_no_folder_can_bear(tmp_path: Path) -> None:
    for name in ("t-shirt_top", "a:b", "c_d"):
        put(tmp_path / name / "0.png")
    found = labelled_files(tmp_path, Labels(3, ("a:b", "t-shirt/top", "c_d")))
    assert sorted((p.parent.name, c) for p, c in found) == [("a:b", 0), ("c_d", 2), ("t-shirt_top", 1)]


def test_folders_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no subfolders"):
        labelled_files(tmp_path, Labels(3))
    (tmp_path / "0").mkdir()
    with pytest.raises(InputError, match="no images"):
        labelled_files(tmp_path, Labels(3))
    put(tmp_path / "3" / "a.png")
    with pytest.raises(InputError, match=r"3: unknown class '3', expected an index 0\.\.2"):
        labelled_files(tmp_path, Labels(3))


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
def test_everyday_formats(tmp_path: Path, suffix: str) -> None:
    samples = read_images([put(tmp_path / f"a.{suffix}", 200)], GRAY)
    assert samples.shape == (1, 1, 2, 2)
    assert np.abs(samples.astype(int) - 200).max() <= 2


def test_order_is_kept(tmp_path: Path) -> None:
    paths = [put(tmp_path / f"{n}.png", n) for n in (5, 3, 9)]
    assert read_images(paths, GRAY)[:, 0, 0, 0].tolist() == [5, 3, 9]


#: EXIF orientation -> what a viewer does to the stored pixels
TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    5: np.transpose,
    6: lambda x: np.rot90(x, -1),
    7: lambda x: np.rot90(x, 2).T,
    8: np.rot90,
}


@pytest.mark.parametrize("suffix", ["png", "tiff", "webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_photos_are_turned_upright(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    Image.fromarray(pixels).save(path, exif=exif, **options)
    made = read_images([path], Preprocess("L", "NHWC"))[0, ..., 0]
    np.testing.assert_array_equal(made, TURNS[orientation](pixels))


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.png: not a readable image") as raised:
        read_images([path], GRAY)
    assert len(str(raised.value).splitlines()) == 1


def test_a_truncated_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"a\.png: not a readable image"):
        read_images([path], GRAY)


def test_a_format_that_needs_an_outside_program_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("L", (4, 4)).save(path, format="EPS")
    with pytest.raises(InputError, match="not a readable image"):
        read_images([path], GRAY)


@pytest.mark.parametrize("limit", [15, 5])  # Pillow warns up to twice its limit, and raises above that
def test_a_decompression_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    path = put(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(
        InputError, match=rf"bomb\.png: larger than {limit} pixels, perhaps a decompression bomb"
    ):
        read_images([path], GRAY)


def test_images_of_different_sizes_without_a_resize(tmp_path: Path) -> None:
    paths = [put(tmp_path / "a.png"), put(tmp_path / "b.png", size=(4, 5))]
    with pytest.raises(InputError, match=r"b\.png: gives shape \(1, 5, 4\), 'a\.png' gave \(1, 4, 4\)"):
        read_images(paths, Preprocess("L", "NCHW"))


def test_without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    require_pillow()
    monkeypatch.setitem(sys.modules, "PIL", None)
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(InputError, match=r"pip install onnxunlearn\[images\]"):
        require_pillow()


def test_an_image_that_the_preprocessing_refuses_is_named(tmp_path: Path) -> None:
    path = put(tmp_path / "a.png", size=(1, 200))
    with pytest.raises(InputError, match=r"a\.png: an image of 1 × 200 pixels"):
        read_images([path], Preprocess("L", "NCHW", resize=4, crop=(4, 4)))


def test_a_pipe_among_the_images(tmp_path: Path) -> None:
    put(tmp_path / "0" / "a.png")
    os.mkfifo(tmp_path / "0" / "b.png")
    with pytest.raises(InputError, match=r"b\.png: not a file"):
        read_images([path for path, _ in labelled_files(tmp_path, Labels(3))], GRAY)
