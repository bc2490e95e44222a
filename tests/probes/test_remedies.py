from collections.abc import Callable

import numpy as np
import pytest

from onnxunlearn.probes.implied import Implied
from onnxunlearn.probes.remedies import paired_remedies, single_remedies

from .test_pixels import picture, pixels_of

MEAN, STD = (np.array(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
RIGHT = (picture() - MEAN) / STD
DECLARED = Implied(((0 - MEAN) / STD).ravel(), ((1 - MEAN) / STD).ravel(), (3, 24, 24))

MISTAKES: dict[str, Callable[[], np.ndarray]] = {
    "normalised with the mean and std of ImageNet": lambda: picture() * 255,
    "scaled to 0..1": lambda: RIGHT,  # for a model that takes 0..1
    "with the channels the other way round (RGB for BGR)": lambda: RIGHT[:, ::-1],
    "transposed instead of reshaped between H × W × C and C × H × W": lambda: RIGHT.transpose(
        0, 2, 3, 1
    ).reshape(RIGHT.shape),
    "with rows and columns swapped": lambda: RIGHT.transpose(0, 1, 3, 2),
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_made_good(text: str) -> None:
    wrong = MISTAKES[text]().astype(np.float32)
    made = dict(single_remedies(pixels_of(wrong), None))[text]
    expected = picture() if text == "scaled to 0..1" else RIGHT
    np.testing.assert_allclose(made, expected, atol=2e-3)
    assert made.dtype == wrong.dtype
    assert made.flags.c_contiguous


@pytest.mark.parametrize("wrong", [picture() * 255, picture(), picture() * 2 - 1, picture() / 255])
def test_what_is_declared_is_reached_from_everywhere(wrong: np.ndarray) -> None:
    made = dict(single_remedies(pixels_of(wrong.astype(np.float32)), DECLARED))
    np.testing.assert_allclose(made["prepared as declared"], RIGHT, atol=1e-3)
    assert "scaled to 0..1" not in made


def test_their_own_mean_and_std() -> None:
    made = dict(single_remedies(pixels_of(picture() * 7 + 3), None))["normalised with their own mean and std"]
    np.testing.assert_allclose(made.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(axis=(0, 2, 3)), 1, atol=1e-5)


def test_two_mistakes_at_once() -> None:
    wrong = np.ascontiguousarray(picture()[:, ::-1] * 255)
    made = dict(paired_remedies(pixels_of(wrong), DECLARED))
    text = "with the channels the other way round (RGB for BGR), and prepared as declared"
    np.testing.assert_allclose(made[text], RIGHT, atol=1e-3)


def test_black_for_white_and_back() -> None:
    wrong = 255 - picture() * 255
    pixels = pixels_of(wrong)
    made = dict(single_remedies(pixels, None))["with black and white swapped"]
    np.testing.assert_allclose(made, wrong.max() + wrong.min() - wrong)


def test_the_order_of_axes_is_kept_and_whole_numbers_stay_whole() -> None:
    wrong = (picture(24, 20) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    made = dict(single_remedies(pixels_of(wrong), None))
    assert {m.shape for m in made.values()} == {wrong.shape}
    assert {m.dtype for m in made.values()} == {wrong.dtype}
    np.testing.assert_array_equal(
        made["with the channels the other way round (RGB for BGR)"], wrong[..., ::-1]
    )
