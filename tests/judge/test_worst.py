"""The retained class that lost most, whatever tells what a class lost."""

import pytest

from onnxunlearn.judge.intervals import Measured, difference
from onnxunlearn.judge.target import Target
from onnxunlearn.judge.worst import worst_of


def by_value(target: Target) -> tuple[float]:
    return (target.reached.value or 0.0,)


@pytest.mark.parametrize(("classes", "status"), [(5, "missed"), (100, "undecided")])
def test_the_bounds_that_decide_are_shown(classes: int, status: str) -> None:
    """Of a hundred classes one is beyond by the bounds of one alone, and not by those that allow for all."""

    def lost(c: int, confidence: float) -> Measured:
        return difference(8 if c == 3 else 0, 0, 60, confidence)

    worst = worst_of(range(classes), lost, set(range(classes)), by_value)
    assert (worst.of, worst.status, worst.met) == (3, status, False)
    assert worst.reached.low is not None
    assert (worst.reached.low > 2.0) is (status == "missed")


def test_classes_that_few_samples_tell_do_not_count() -> None:
    def lost(c: int, confidence: float) -> Measured:
        return difference(1, 0, 10 if c else 5000, confidence)

    worst = worst_of(range(3), lost, {0}, by_value)
    assert (worst.of, worst.status, worst.met) == (1, "undecided", True)
    assert worst_of(range(1, 3), lost, set(), by_value).met is None
