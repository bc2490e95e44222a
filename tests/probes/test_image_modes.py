"""What is stored in a file in unusual ways, and what the model shall see of it.

The right values are those of `transformers.image_utils.load_image`: upright, then Pillow's RGB, transparency
left out, as training has them from torchvision's ImageFolder. Where Pillow's are wrong there are none.
"""

import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.images import read_images
from onnxunlearn.probes.preprocess import Preprocess

RGB, GREY = Preprocess("RGB", "NHWC"), Preprocess("L", "NHWC")
PALETTE = [10, 20, 30, 200, 100, 0, 0, 0, 255, 255, 255, 255]
PALETTE_RGB = [[10, 20, 30], [200, 100, 0], [0, 0, 255], [255, 255, 255]]
PALETTE_GREY = [18, 118, 29, 255]  # 0.299 R + 0.587 G + 0.114 B


def read(path: Path, steps: Preprocess = RGB) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing of Pillow's reaches the user
        return read_images([path], steps)[0].tolist()


def png(path: Path, depth: int, colour: int, row: bytes, width: int) -> Path:
    """One row of pixels, written by hand: Pillow cannot write all that PNG can hold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" + row))
        + chunk(b"IEND", b"")
    )
    return path


def sixteen(*values: int) -> bytes:
    return struct.pack(f">{len(values)}H", *values)


@pytest.mark.parametrize("transparency", [None, 1, b"\x00\x80\xff"])
@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_a_palette_with_transparent_colours(tmp_path: Path, suffix: str, transparency: Any) -> None:
    image = Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8), "P")
    image.putpalette(PALETTE)
    path = tmp_path / f"a.{suffix}"
    if suffix == "gif" and isinstance(transparency, bytes):
        pytest.skip("GIF knows one transparent colour")
    image.save(path, **({} if transparency is None else {"transparency": transparency}))
    assert read(path) == [PALETTE_RGB]
    assert read(path, GREY) == [[[v] for v in PALETTE_GREY]]


def test_transparency_is_left_out(tmp_path: Path) -> None:
    rgba = np.array([[[200, 30, 60, 0], [10, 20, 30, 128]]], np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    assert read(tmp_path / "a.png") == [[[200, 30, 60], [10, 20, 30]]]
    Image.fromarray(rgba).save(tmp_path / "a.tiff")
    assert read(tmp_path / "a.tiff") == [[[200, 30, 60], [10, 20, 30]]]


def test_grey_with_alpha(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[200, 0], [77, 255]]], np.uint8), "LA").save(tmp_path / "a.png")
    assert read(tmp_path / "a.png") == [[[200] * 3, [77] * 3]]
    assert read(tmp_path / "a.png", GREY) == [[[200], [77]]]


@pytest.mark.parametrize(
    ("depth", "row", "values"),
    [(1, b"\x50", [0, 255, 0, 255]), (2, b"\x1b", [0, 85, 170, 255]), (4, b"\x0f\x71", [0, 255, 119, 17])],
)
def test_few_bits_fill_the_whole_range(tmp_path: Path, depth: int, row: bytes, values: list[int]) -> None:
    path = png(tmp_path / "a.png", depth, 0, row, 4)
    assert read(path) == [[[v] * 3 for v in values]]
    assert read(path, GREY) == [[[v] for v in values]]


def test_black_and_white_is_resized_with_shades(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "a.png")
    steps = Preprocess("L", "NHWC", resize=(1, 1))
    assert read(tmp_path / "a.png", steps) == [[[128]]]


def test_sixteen_bits_of_grey_are_not_silently_clipped(tmp_path: Path) -> None:
    """Pillow, and with it transformers, would take all above 255 for white."""
    Image.fromarray(np.full((4, 4), 40_000, np.uint16)).save(tmp_path / "a.png")
    (tmp_path / "a.pgm").write_bytes(b"P5 1 1 65535\n" + sixteen(40_000))
    Image.fromarray(np.full((4, 4), 70_000, np.int32)).save(tmp_path / "i.tiff")
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "f.tiff")
    for name in ("a.png", "a.pgm", "i.tiff", "f.tiff"):
        with pytest.raises(InputError, match=rf"{name}: more than 8 bits"):
            read(tmp_path / name)


def test_sixteen_bits_of_colour_lose_the_lower_eight(tmp_path: Path) -> None:
    rgb = png(tmp_path / "rgb.png", 16, 2, sixteen(40_000, 511, 65_535), 1)
    assert read(rgb) == [[[156, 1, 255]]]
    rgba = png(tmp_path / "rgba.png", 16, 6, sixteen(40_000, 511, 65_535, 0), 1)
    assert read(rgba) == [[[156, 1, 255]]]
    grey = png(tmp_path / "la.png", 16, 4, sixteen(40_000, 300), 1)
    assert read(grey) == [[[156, 156, 156]]]
    (tmp_path / "a.ppm").write_bytes(b"P6 1 1 65535\n" + sixteen(40_000, 128, 65_535))
    assert read(tmp_path / "a.ppm") == [[[156, 0, 255]]]


@pytest.mark.parametrize("suffix", ["gif", "webp", "png", "tiff"])
def test_the_first_of_several_images(tmp_path: Path, suffix: str) -> None:
    first, second = Image.new("RGB", (2, 1), (200, 30, 60)), Image.new("RGB", (2, 1), (0, 0, 255))
    path = tmp_path / f"a.{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == "webp" else {}
    first.save(path, save_all=True, append_images=[second], **options)
    with Image.open(path) as image:
        assert getattr(image, "n_frames", 1) == 2
    assert read(path) == [[[200, 30, 60]] * 2]


def test_inks(tmp_path: Path) -> None:
    """CMYK in a TIFF, and in a JPEG, where Adobe's programs store it inverted."""
    ink = Image.new("CMYK", (8, 8), (55, 225, 195, 0))  # none of it black: 255 minus each
    for name in ("a.jpg", "a.tiff"):
        ink.save(tmp_path / name, quality=100)
        assert read(tmp_path / name)[0][0] == pytest.approx([200, 30, 60], abs=2)
    content = (tmp_path / "a.jpg").read_bytes()
    assert b"Adobe" in content


def test_inks_as_luma_and_chroma(tmp_path: Path) -> None:
    """YCCK: Adobe's marker says that the first three channels are a JPEG's usual YCbCr of inverted inks."""
    flat = Image.merge("CMYK", [Image.new("L", (8, 8), v) for v in (160, 160, 160, 40)])
    flat.save(tmp_path / "a.jpg", quality=100)
    content = (tmp_path / "a.jpg").read_bytes()
    at = content.index(b"Adobe") + 11  # the transform: 0 is CMYK, 2 is YCCK
    assert content[at] == 0
    (tmp_path / "a.jpg").write_bytes(content[:at] + b"\x02" + content[at + 1 :])
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.info["adobe_transform"] == 2
        expected = np.asarray(image.convert("RGB"))[0, 0].tolist()
    made = read(tmp_path / "a.jpg")[0][0]
    assert made == expected
    # 95 is stored for 160 in all three. Decoders make inks 255 − R, R= Y + 1.402 (Cr − 128), and so on; these
    # are inverted, so an ink is R; of a colour there remains what neither its ink nor the black takes
    y = cb = cr = 95.0
    inks = [y + 1.402 * (cr - 128), y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128), y + 1.772 * (cb - 128)]
    assert made == pytest.approx([(255 - ink) * (255 - 40) / 255 for ink in inks], abs=3)


def test_a_turned_tiff_that_pillow_would_map_into_memory(tmp_path: Path) -> None:
    """It scrambles uncompressed grey that is turned by a quarter, if it opens the file itself."""
    pixels = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)
    exif = Image.Exif()
    exif[0x0112] = 8
    Image.fromarray(pixels).save(tmp_path / "a.tiff", exif=exif)
    assert read_images([tmp_path / "a.tiff"], GREY)[0, ..., 0].tolist() == np.rot90(pixels).tolist()
