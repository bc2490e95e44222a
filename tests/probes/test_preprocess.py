import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto as T
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocess, declared_preprocess

from .tiny_models import image_input

RED = Image.new("RGB", (4, 2), (255, 0, 51))


def test_scales_then_normalises_each_channel() -> None:
    steps = Preprocess("RGB", "NCHW", scale=1 / 255, mean=(0.5, 0.0, 0.1), std=(0.5, 1.0, 0.1))
    sample = steps.apply(RED)
    assert sample.dtype == np.float32
    assert sample.shape == (3, 2, 4)
    np.testing.assert_allclose(sample[:, 0, 0], [1, 0, 1], atol=1e-6)


def test_channel_orders_and_layouts() -> None:
    assert Preprocess("RGB", "NHWC").apply(RED)[0, 0].tolist() == [255, 0, 51]
    assert Preprocess("BGR", "NHWC").apply(RED)[0, 0].tolist() == [51, 0, 255]
    assert Preprocess("BGR", "NCHW").apply(RED)[:, 0, 0].tolist() == [51, 0, 255]
    assert Preprocess("L", "NCHW").apply(RED).shape == (1, 2, 4)
    assert Preprocess("L", "NHWC").apply(RED).shape == (2, 4, 1)


def test_values_that_are_not_changed_stay_bytes() -> None:
    assert Preprocess("RGB", "NCHW").apply(RED).dtype == np.uint8


@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 30))
def test_shorter_side(width: int, height: int, side: int) -> None:
    sample = Preprocess("L", "NHWC", resize=side).apply(Image.new("L", (width, height)))
    assert min(sample.shape[:2]) == side
    longer = side * max(width, height) / min(width, height)
    assert longer - 1 < max(sample.shape[:2]) <= longer


def test_resize_is_height_then_width() -> None:
    assert Preprocess("L", "NHWC", resize=(3, 7)).apply(RED).shape == (3, 7, 1)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_crop_takes_the_centre_and_pads_with_black(width: int, height: int, wide: int, high: int) -> None:
    sample = Preprocess("L", "NHWC", crop=(high, wide)).apply(Image.new("L", (width, height), 1))[..., 0]
    assert sample.shape == (high, wide)
    assert sample.sum() == min(width, wide) * min(height, high)
    rows = np.flatnonzero(sample.any(axis=1))
    assert abs(rows[0] - (high - 1 - rows[-1])) <= 1


@pytest.mark.parametrize(
    ("width", "crop", "pillow", "torchvision"),
    [(10, 4, 3, 3), (9, 4, 2, 2), (11, 4, 3, 4), (4, 8, -2, -2), (4, 9, -3, -2)],
)
def test_who_loses_or_gains_the_odd_column(width: int, crop: int, pillow: int, torchvision: int) -> None:
    """Columns cut off on the left (negative: added) by transformers 5.24 and torchvision 0.28."""
    columns = np.arange(1, width + 1, dtype=np.uint8)[None].repeat(2, axis=0)
    for expected, flag in ((pillow, False), (torchvision, True)):
        steps = Preprocess("L", "NHWC", crop=(2, crop), torchvision_crop=flag)
        row = steps.apply(Image.fromarray(columns))[0, :, 0].tolist()
        assert (row[0] - 1 if expected >= 0 else -row.index(1)) == expected


def test_an_image_that_would_become_enormous() -> None:
    assert Preprocess("L", "NHWC", resize=4).apply(Image.new("L", (100, 1))).shape == (4, 400, 1)
    with pytest.raises(InputError, match="101 × 1 pixels, more than 100 times as long as wide"):
        Preprocess("L", "NHWC", resize=4).apply(Image.new("L", (101, 1)))
    assert Preprocess("L", "NHWC", resize=(4, 4)).apply(Image.new("L", (101, 1))).shape == (4, 4, 1)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((None, 1, 28, 26), ("L", "NCHW", (28, 26))),
        ((1, 3, 28, 26), ("RGB", "NCHW", (28, 26))),
        ((None, 28, 26, 3), ("RGB", "NHWC", (28, 26))),
        ((None, 28, 26, 1), ("L", "NHWC", (28, 26))),
        ((None, None, None, 3), ("RGB", "NHWC", None)),
        ((None, 3, None, 26), ("RGB", "NCHW", None)),
        ((None, None, None, None), ("RGB", "NCHW", None)),
        ((None, 3, 3, 3), ("RGB", "NCHW", (3, 3))),
    ],
)
def test_what_the_declared_shape_suggests(shape: tuple[int | None, ...], expected: object) -> None:
    steps = declared_preprocess(image_input(*shape))
    assert (steps.channels, steps.layout, steps.resize) == expected
    assert steps.scale == 1 / 255


def test_an_integer_input_takes_bytes_as_they_are() -> None:
    assert declared_preprocess(image_input(None, 28, 28, 3, dtype=T.UINT8)).scale == 1


@pytest.mark.parametrize("shape", [(None, 784), (None, 28, 28), (None, 4, 28, 28), (None, 1, 1, 3, 3)])
def test_inputs_that_cannot_hold_images(shape: tuple[int | None, ...]) -> None:
    with pytest.raises(InputError, match=r"'pixels' takes N × .*images (need|give).*give an \.npz"):
        declared_preprocess(image_input(*shape))
