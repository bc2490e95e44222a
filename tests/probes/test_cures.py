"""Which change makes a model know what it is shown; and that none is named where none is needed."""

from collections.abc import Callable

import numpy as np
import onnxruntime
import pytest

from onnxunlearn.probes.cures import Cure, Recognised, Shown, cures
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.suspicions import expected_values
from tests.sample_paths import RESNET, images

from .test_suspicions import IMAGENET, RAW, RIGHT


def knows(samples: np.ndarray) -> Recognised:
    """A model that knows just these samples: whether those given are almost as they are."""

    def recognised(feeds: dict[str, np.ndarray]) -> np.ndarray:
        distance = np.abs(feeds["x"] - samples).reshape(len(samples), -1).mean(axis=1)
        return np.asarray(distance < 0.05)

    return recognised


def found(
    wrong: np.ndarray, recognised: Recognised, preprocess: Preprocess | None = None, *, pairs: bool = True
) -> list[Cure]:
    shown = Shown({"x": np.ascontiguousarray(wrong, np.float32)}, recognised)
    return list(cures(shown, lambda: shown, expected_values(preprocess), pairs=pairs))


@pytest.mark.parametrize(
    ("wrong", "preprocess", "text"),
    [
        (RAW * 255, IMAGENET, "prepared as declared"),
        (RAW * 255, None, "normalised with the mean and std of ImageNet"),
        (RIGHT / 255, None, "multiplied by 255"),
        (RIGHT * 255, None, "divided by 255"),
        (RIGHT[:, ::-1], None, "with the channels the other way round (RGB for BGR)"),
        (RIGHT.transpose(0, 1, 3, 2), None, "with rows and columns swapped"),
        (
            RIGHT.transpose(0, 2, 3, 1).reshape(RIGHT.shape),
            None,
            "transposed instead of reshaped between H × W × C and C × H × W",
        ),
        (
            RAW[:, ::-1] * 255,
            IMAGENET,
            "with the channels the other way round (RGB for BGR), and prepared as declared",
        ),
    ],
)
def test_what_cures_it_is_named(wrong: np.ndarray, preprocess: Preprocess | None, text: str) -> None:
    (cure,) = found(wrong, knows(RIGHT), preprocess)
    assert str(cure) == f"{text}, 100.0 % of them are known (0.0 % as they are)"
    assert cure.certain


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda pixels: pixels * 255, "normalised with their own mean and std"),
        (
            lambda pixels: 1 - pixels,
            "with black and white swapped, and normalised with their own mean and std",
        ),
        (lambda pixels: pixels.transpose(0, 1, 3, 2), "with rows and columns swapped"),
    ],
)
def test_what_cures_a_real_model(wrong: Callable[[np.ndarray], np.ndarray], text: str) -> None:
    x, y = images("mnist_probes")
    session = onnxruntime.InferenceSession(RESNET)
    right = wrong(x) if "rows" in text else wrong(x * 0.3081 + 0.1307)

    def recognised(feeds: dict[str, np.ndarray]) -> np.ndarray:
        return np.asarray(session.run(None, feeds)[0].argmax(axis=1) == y)

    (cure,) = found(right, recognised)
    assert cure.before < 0.35
    assert (cure.what, cure.after) == (text, 1.0)


@pytest.mark.parametrize(("more", "text"), [(1, "multiplied by 255"), (5, "normalised with their own mean")])
def test_of_changes_that_are_as_good_the_likelier_is_named(more: int, text: str) -> None:
    """Their own mean and std would do for any scale, and here for so many samples more."""

    def recognised(feeds: dict[str, np.ndarray]) -> np.ndarray:
        centred = abs(feeds["x"].mean()) < 1e-3
        return np.asarray((feeds["x"].std() > 0.5) & ((np.arange(32) >= more) | centred))

    (cure,) = found((RIGHT + 0.5) / 255, recognised, pairs=False)
    assert cure.what.startswith(text)


def test_a_cure_by_chance_is_none() -> None:
    """Four of four are too few to say so; a tenth more known is too little of so few."""
    assert not found(RIGHT[:4, ::-1], knows(RIGHT[:4]))
    assert not found(np.concatenate([RIGHT[:29], RIGHT[29:, ::-1]]), knows(RIGHT))


def test_nothing_cures_wrong_labels_and_right_probes_need_no_cure() -> None:
    assert not found(RIGHT, lambda feeds: np.arange(32) < 3)
    assert not found(RIGHT, knows(RIGHT), IMAGENET)


def test_where_all_is_known_nothing_is_tried() -> None:
    asked = []

    def recognised(feeds: dict[str, np.ndarray]) -> np.ndarray:
        asked.append(feeds)
        return np.arange(32) > 0

    assert not found(RAW * 255, recognised)
    assert len(asked) == 1


def test_the_best_of_a_few_are_held_against_more() -> None:
    """What helps only the few that were looked at first is not named."""
    few = Shown({"x": RIGHT[:, ::-1].copy()}, knows(RIGHT))
    many = Shown({"x": np.tile(RIGHT[:, ::-1], (4, 1, 1, 1))}, lambda feeds: np.arange(128) < 40)
    assert [c.before for c in cures(few, lambda: few, None)] == [0]
    assert not list(cures(few, lambda: many, None))


def cure(before: int, after: int, both: int, count: int, tried: int = 8) -> Cure:
    """Of so many samples; both: known before and after."""
    was, so = np.zeros(count, bool), np.zeros(count, bool)
    was[:before] = True
    so[before - both : before - both + after] = True
    return Cure.of("x", was, so, tried)


@pytest.mark.parametrize(
    ("made", "helps", "certain"),
    [
        (cure(108, 240, 108, 256), True, True),  # 42 -> 94 %
        (cure(42, 94, 40, 100), True, True),
        (cure(218, 250, 216, 256), True, False),  # 85 -> 98 %
        (cure(244, 256, 244, 256), False, False),  # 4.7 points
        (cure(72, 88, 50, 256), False, False),  # 28 -> 34 %: a tenth of what is not known
        (cure(10, 13, 10, 16), False, False),  # 19 points of few
        (cure(100, 130, 40, 256), False, False),  # much is lost, too
        (cure(100, 90, 80, 256), False, False),
    ],
)
def test_what_helps_and_what_is_certain(made: Cure, helps: bool, certain: bool) -> None:
    assert (made.helps, made.certain) == (helps, certain)


def test_chance_is_that_of_the_exact_test_times_what_was_tried() -> None:
    from scipy.stats import binomtest

    for lost, gained in ((0, 9), (3, 12), (5, 5)):
        made = cure(20 + lost, 20 + gained, 20, 100, tried=6)
        exact = binomtest(gained, gained + lost, alternative="greater").pvalue
        assert made.chance == pytest.approx(min(6 * exact, 1))
