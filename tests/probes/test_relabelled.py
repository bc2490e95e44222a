"""Labels in another order are told from a model that errs."""

import numpy as np
import pytest

from onnxunlearn.probes import relabelled

CLASSES, EACH = 10, 20


def answers(right: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(decided, truth) of a model that is right so often, else anything."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(np.arange(CLASSES), EACH)
    errs = rng.random(len(truth)) > right
    return np.where(errs, rng.integers(0, CLASSES, len(truth)), truth), truth


def test_two_classes_swapped() -> None:
    decided, truth = answers(0.95)
    order = np.arange(CLASSES)
    order[[4, 9]] = 9, 4
    found = relabelled(decided, order[truth], CLASSES)
    assert found is not None
    assert "(9 for 4, 4 for 9)" in found.what
    assert found.after == pytest.approx((decided == truth).mean())
    assert found.gain > 0.15


@pytest.mark.parametrize("right", [0.3, 0.6, 1.0])
def test_another_order_altogether(right: float) -> None:
    decided, truth = answers(right)
    found = relabelled(decided, np.random.default_rng(1).permutation(CLASSES)[truth], CLASSES)
    assert found is not None
    assert found.certain
    assert "…" in found.what


@pytest.mark.parametrize("right", [0.0, 0.1, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("seed", range(20))
def test_errors_are_no_order(right: float, seed: int) -> None:
    assert relabelled(*answers(right, seed), CLASSES) is None


def test_a_class_that_is_taken_for_another_is_no_order() -> None:
    """As after forgetting: nothing takes its place."""
    decided, truth = answers(0.95)
    assert relabelled(np.where(decided == 3, 5, decided), truth, CLASSES) is None


def test_one_sample_a_class_tells_nothing() -> None:
    truth = np.arange(200)
    assert relabelled(np.roll(truth, 7), truth, 200) is None


def test_few_of_many_classes() -> None:
    truth = np.repeat([3, 500, 900], 10)
    found = relabelled(np.repeat([500, 900, 3], 10), truth, 1000)
    assert found is not None
    assert (found.before, found.after) == (0, 1)
