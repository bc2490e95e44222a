"""What samples can tell of a loss: of all classes together, and of one."""

import numpy as np
import pytest

from onnxunlearn.tasks import measure, measure_labels
from onnxunlearn.tasks.budget import CLASS_SAMPLES, Dearest, dearest_class, exceeds, tolerance


def test_tolerance_is_the_budget_but_at_least_one_sample() -> None:
    assert tolerance(0.5, 1000) == 0.5
    assert tolerance(0.5, 100) == 1
    assert tolerance(0.5, 0) == 0.5


@pytest.mark.parametrize(("wrong", "expected"), [(0, False), (1, False), (2, True)])
def test_one_lost_sample_of_few_is_no_evidence_two_are(wrong: int, expected: bool) -> None:
    y = np.arange(100) % 10
    predicted = y.copy()
    predicted[10 : 10 + wrong] = 3  # none of them a 3
    before, after = measure(y, y, (3,), 10), measure(predicted, y, (3,), 10)
    assert exceeds(before, after, budget=0.5) is expected


@pytest.mark.parametrize(("wrong", "expected"), [(2, False), (3, True), (9, True)])
def test_what_chance_does_may_be_forgiven(wrong: int, expected: bool) -> None:
    y = np.arange(240) % 10  # 216 retained: a tolerance of 0.5 points is 1.08 of them, √2 and √3 more
    predicted = y.copy()
    predicted[np.flatnonzero(y != 3)[:wrong]] = 3
    before, after = measure(y, y, (3,), 10), measure(predicted, y, (3,), 10)
    assert exceeds(before, after, budget=0.5)
    assert exceeds(before, after, budget=0.5, deviations=1) is expected


def test_nothing_is_exceeded_without_retain_samples() -> None:
    y = np.full(5, 3)
    assert not exceeds(measure(y, y, (3,), 10), measure(y * 0, y, (3,), 10), budget=0)
    labels = np.eye(4, dtype=bool)[[3, 3, 3]]  # several labels: retain is a figure all the same
    before, after = (measure_labels(found, labels, (3,)) for found in (labels, ~labels))
    assert not exceeds(before, after, budget=0)


def test_the_dearest_class_is_the_one_furthest_beyond_what_it_may_lose() -> None:
    y = np.repeat(np.arange(4), [100, 100, 20, 60])
    predicted = y.copy()
    predicted[100:105] = 3  # 5 of 100 of class 1
    predicted[200:202] = 1  # 2 of 20 of class 2: more points, but only one sample more than one
    figures, counts = (measure(y, y, (0,), 4), measure(predicted, y, (0,), 4)), np.bincount(y)
    found = dearest_class(*figures, counts, (0,), CLASS_SAMPLES)
    assert found is not None
    assert found[:3] == Dearest(1, 5.0, 2.0, 0)[:3]
    assert found.beyond == pytest.approx(3)
    every = dearest_class(*figures, counts, (0,))
    assert every is not None
    assert (every.which, every.limit) == (2, 5.0)
    chance = dearest_class(*figures, counts, (0,), CLASS_SAMPLES, deviations=1)
    assert chance is not None
    assert chance.beyond == pytest.approx(3 - np.sqrt(5))
    assert dearest_class(*figures, counts, (0,), 200) is None
