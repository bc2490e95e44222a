"""What an edit costs, as told by probes that it was not fitted to."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.methods.cost import Cost, Estimate, cost, given_back
from onnxunlearn.numerics import softmax


@given(st.integers(2, 30), st.integers(1, 6), st.integers(3, 5), st.integers(0, 2**32 - 1))
def test_it_is_the_mean_over_all_pairs_of_a_margin_and_a_move(
    samples: int, unfitted: int, classes: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    before = rng.normal(size=(samples, classes))
    after = before + rng.normal(size=before.shape)
    held = rng.permutation(samples) < unfitted
    found = cost(before, after, (1,), held, several=False)
    x, y = (np.delete(scores, 1, axis=1) for scores in (before, after))
    order = np.argsort(x, axis=1)
    rows, first, second = np.arange(samples), order[:, -1], order[:, -2]
    margins = x[rows, first] - x[rows, second]
    moves = np.array([y[i, f] - np.delete(y[i], f).max() for i, f in enumerate(first)]) - margins
    sure = softmax(x)[rows, first] - softmax(x)[rows, second]
    pairs = 100.0 * (margins[:, None] + moves[held] < 0)
    assert found is not None
    for estimate, each in ((found.turned, pairs), (found.lost, pairs * sure[:, None])):
        assert estimate.points == pytest.approx(each.mean(), abs=1e-9)
        variance = each.mean(axis=1).var() / samples + each.mean(axis=0).var() / held.sum()
        assert estimate.deviation == pytest.approx(np.sqrt(variance), abs=1e-9)
    assert found.samples == held.sum()


def test_of_many_samples_it_tells_what_accuracy_loses() -> None:
    """Labels drawn as the original's probabilities say; 40 held samples, judged on 100,000 others."""
    rng = np.random.default_rng(0)
    before = 3 * rng.normal(size=(100_000, 4))
    after = before + rng.normal(size=before.shape)
    y = (softmax(before).cumsum(axis=1) < rng.random(len(before))[:, None]).sum(axis=1)
    truth = 100 * ((before.argmax(axis=1) == y).mean() - (after.argmax(axis=1) == y).mean())
    some = np.arange(240)
    found = cost(
        np.pad(before[some], ((0, 0), (0, 1))), np.pad(after[some], ((0, 0), (0, 1))), (4,), some < 40,
        several=False,
    )  # fmt: skip
    assert found is not None
    assert abs(found.lost.points - truth) < 2.5 * found.lost.deviation
    assert found.lost.deviation < 0.6 * found.turned.deviation


def test_outputs_that_decide_for_themselves_turn_at_zero() -> None:
    before = np.array([[3.0, -2.0, 9.0], [-1.0, 0.5, 9.0]])
    after = np.array([[3.0, 1.0, 0.0], [-1.0, 0.5, 0.0]])  # one of four decisions moves, by 3
    found = cost(before, after, (2,), np.array([True, True]), several=True)
    assert found is not None
    assert found.turned.points == pytest.approx(100 * 3 / 16)  # of the margins 3, 2, 1, ½ three are less
    weights = np.tanh(np.array([2, 1, 0.5]) / 2)
    assert found.lost.points == pytest.approx(100 * weights.sum() / 16)


def test_nothing_is_told_without_probes_and_nothing_lost_where_one_class_remains() -> None:
    scores = np.zeros((3, 2))
    assert cost(scores, scores, (0,), np.zeros(3, bool), several=False) is None
    found = cost(scores, scores + 1, (0,), np.ones(3, bool), several=False)
    assert found is not None
    assert found.lost.points == found.turned.points == 0


def test_what_hiding_a_class_gives_back() -> None:
    """Of four retained samples the original takes two for the class to forget, 2; one it would else know."""
    before = np.array([[3.0, 0, 1], [2, 0, 3], [2, 0, 3], [0, 1, 0]])
    found = given_back(before, np.array([0, 0, 1, 1]), (2,))
    assert found.points == 25.0
    assert found.deviation == pytest.approx(100 * np.sqrt(0.25 * 0.75 / 4))
    assert (before == np.array([[3.0, 0, 1], [2, 0, 3], [2, 0, 3], [0, 1, 0]])).all()
    assert given_back(before[:0], np.array([], int), (2,)) == Estimate(0.0, 0.0)


def test_against_the_original_no_more_is_lost_than_what_is_not_given_back() -> None:
    told = Cost(Estimate(2.0, 0.3), Estimate(4.0, 1.0), 36, gained=Estimate(1.5, 0.4))
    assert tuple(told.against_original) == pytest.approx((0.9, 0.5))
    by_chance = told._replace(gained=Estimate(0.3, 0.4))  # may be nothing at all
    assert by_chance.against_original.points == 2.0
