from collections.abc import Callable

import numpy as np
import pytest

from onnxunlearn.probes.implied import Implied
from onnxunlearn.probes.remedies import paired_remedies, single_remedies

from .test_pixels import picture

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
    "multiplied by 255": lambda: RIGHT / 255,
    "divided by 255": lambda: RIGHT * 255,
}


@pytest.mark.parametrize("text", MISTAKES)
def test_each_mistake_is_made_good(text: str) -> None:
    wrong = MISTAKES[text]().astype(np.float32)
    made = dict(single_remedies(wrong, None))[text]
    expected = picture() if text == "scaled to 0..1" else RIGHT
    np.testing.assert_allclose(made, expected, atol=2e-3)
    assert made.dtype == wrong.dtype
    assert made.flags.c_contiguous


@pytest.mark.parametrize("wrong", [picture() * 255, picture(), picture() * 2 - 1, picture() / 255])
def test_what_is_declared_is_reached_from_everywhere(wrong: np.ndarray) -> None:
    made = dict(single_remedies(wrong.astype(np.float32), DECLARED))
    np.testing.assert_allclose(made["prepared as declared"], RIGHT, atol=1e-3)
    assert "scaled to 0..1" not in made


def test_their_own_mean_and_std() -> None:
    made = dict(single_remedies(picture() * 7 + 3, None))["normalised with their own mean and std"]
    np.testing.assert_allclose(made.mean(axis=(0, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(made.std(axis=(0, 2, 3)), 1, atol=1e-5)


def test_two_mistakes_at_once() -> None:
    wrong = np.ascontiguousarray(picture()[:, ::-1] * 255)
    made = dict(paired_remedies(wrong, DECLARED))
    text = "with the channels the other way round (RGB for BGR), and prepared as declared"
    np.testing.assert_allclose(made[text], RIGHT, atol=1e-3)


def test_black_for_white_and_back() -> None:
    wrong = 255 - picture() * 255
    made = dict(single_remedies(wrong, None))["with black and white swapped"]
    np.testing.assert_allclose(made, wrong.max() + wrong.min() - wrong)


def test_the_order_of_axes_is_kept_and_whole_numbers_stay_whole() -> None:
    wrong = (picture(24, 20) * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    made = dict(single_remedies(wrong, None))
    assert {m.shape for m in made.values()} == {wrong.shape}
    assert {m.dtype for m in made.values()} == {wrong.dtype}
    np.testing.assert_array_equal(
        made["with the channels the other way round (RGB for BGR)"], wrong[..., ::-1]
    )


def test_a_scale_is_named_before_what_would_make_good_any() -> None:
    for wrong, text in ((RIGHT / 255, "multiplied by 255"), (picture() / 255, "scaled to 0..1")):
        names = list(dict(single_remedies(wrong.astype(np.float32), None)))
        assert names.index(text) < names.index("normalised with their own mean and std")


def test_nothing_is_tried_that_changes_nothing() -> None:
    assert "scaled to 0..1" not in dict(single_remedies(picture(), None))


def test_rows_of_numbers() -> None:
    """Flattened pixels, or columns of a table, each with a scale of its own."""
    pixels = picture().reshape(4, -1)
    made = dict(single_remedies(np.round(pixels * 255), None))
    np.testing.assert_allclose(made["scaled to 0..1"], pixels, atol=2e-3)
    rng = np.random.default_rng(0)
    table = rng.normal(size=(50, 3)) * [1, 100, 0] + [0, 1000, 7]
    columns = dict(single_remedies(table, None))["with each column normalised with its own mean and std"]
    np.testing.assert_allclose(columns.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(columns.std(axis=0), [1, 1, 0], atol=1e-9)
    assert "with rows and columns swapped" not in made
    assert not list(paired_remedies(table, None))
    assert not list(single_remedies(np.ones((4, 5), np.int64), None))  # tokens
    assert not list(single_remedies(np.array([[1.0, np.nan], [3, 4]]), None))
