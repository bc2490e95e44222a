from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.probes.implied import check_sensible, implied
from onnxunlearn.probes.preprocess import Preprocess

IMAGENET = Preprocess(
    "RGB",
    "NCHW",
    resize=(8, 9),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
BYTES_MEAN, BYTES_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def test_what_black_and_white_become() -> None:
    found = implied(IMAGENET)
    np.testing.assert_allclose(found.low, [-2.1179, -2.0357, -1.8044], atol=1e-4)
    np.testing.assert_allclose(found.high, [2.2489, 2.4286, 2.6400], atol=1e-4)
    assert found.shape == (3, 8, 9)
    assert found.text == "-2.12..2.64"


def test_the_last_axis_holds_the_channels_if_the_layout_says_so() -> None:
    found = implied(Preprocess("BGR", "NHWC", resize=(8, 9), mean=(100.0, 0.0, 50.0)))
    assert found.low.tolist() == [-100, 0, -50]
    assert found.high.tolist() == [155, 255, 205]


def test_a_black_border_is_part_of_it() -> None:
    found = implied(Preprocess("L", "NCHW", resize=(8, 8), crop=(12, 12)))
    assert (found.low.tolist(), found.high.tolist()) == ([0], [255])


@pytest.mark.parametrize(
    "steps",
    [
        IMAGENET,
        Preprocess("RGB", "NCHW"),
        Preprocess("RGB", "NCHW", scale=1 / 255),
        Preprocess("RGB", "NCHW", scale=1 / 127.5, mean=(1.0,)),
        Preprocess("RGB", "NCHW", mean=BYTES_MEAN, std=BYTES_STD),
        Preprocess("BGR", "NHWC", mean=(103.939, 116.779, 123.68)),
        Preprocess("RGB", "NCHW", scale=1 / 255, mean=(0.0,), std=(0.229**2, 0.224**2, 0.225**2)),
    ],
)
def test_what_models_are_trained_with_is_sensible(steps: Preprocess) -> None:
    check_sensible(steps, Path("p.json"))


@pytest.mark.parametrize(
    "steps",
    [
        Preprocess("RGB", "NCHW", scale=1 / 255, mean=BYTES_MEAN, std=BYTES_STD),  # scaled, but for bytes
        Preprocess("RGB", "NCHW", mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),  # the reverse
        Preprocess("RGB", "NCHW", scale=1 / 255 / 255),
        Preprocess("RGB", "NCHW", scale=1 / 255, mean=(120.0,)),
    ],
)
def test_mean_and_scale_of_different_units(steps: Preprocess) -> None:
    with pytest.raises(
        InputError, match=r"p\.json: makes .* of pixels 0..255, so scale, mean and std do not"
    ):
        check_sensible(steps, Path("p.json"))
