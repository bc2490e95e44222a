"""The loss at one head: its gradients, what it pins, and what it draws where."""

from dataclasses import replace

import numpy as np
import pytest

from onnxunlearn.methods.whole.heads import DOUBT, FORGET, HeadLoss, HeadMap, Terms, things
from onnxunlearn.methods.whole.pull import Pull
from onnxunlearn.methods.whole.spots import Spots

GROUND = 3
LABELS = np.array([[0, 0, FORGET, FORGET, GROUND, DOUBT], [0, 2, FORGET, GROUND, GROUND, 2]])
IMAGES = np.array([0, 1])


class _Still(Pull):
    def follow(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Its gradient takes for constants what it draws to."""


def _loss(*, sigmoid: bool = False) -> tuple[HeadLoss, np.ndarray, np.ndarray]:
    """Of queries: features [2, 6, 4] and scores [2, 6, 4] that the original gives them."""
    rng = np.random.default_rng(0)
    features, weight = rng.normal(size=(2, 6, 4)), rng.normal(size=(4, 4))
    scores = features @ weight.T
    told = HeadMap("s", 2, ((0, 1, 2, 3),), sigmoid, LABELS, GROUND)
    near = told.next_best(scores, (1,))
    where = things(told)
    rows = features[where]
    unit = rows.std(axis=0)
    labels = LABELS[where]
    pool = {c: rows[labels == c] / unit for c in (0, 2)}
    read = np.eye(4)
    made = HeadLoss(told, Spots("x", None), (1,), unit, read, near, _Still(pool, 8, rng), rng)
    return made, features, scores


def _total(loss: HeadLoss, now: list[np.ndarray], before: tuple[np.ndarray, np.ndarray]) -> float:
    terms = _terms(loss, now, before)
    return terms.pins + 0.5 * terms.distance


def _terms(loss: HeadLoss, now: list[np.ndarray], before: tuple[np.ndarray, np.ndarray]) -> Terms:
    """Of a step behind one in which nothing had moved, with the same draws."""
    assert loss.pull is not None
    loss.rng = loss.pull.rng = np.random.default_rng(1)
    loss.begin()
    loss(IMAGES, *before, *before, 0.5, 0.6)
    return loss(IMAGES, now[0], now[1], *before, 0.5, 0.6)


@pytest.mark.parametrize("sigmoid", [False, True])
def test_its_gradients_are_finite_differences(sigmoid: bool) -> None:
    loss, features, scores = _loss(sigmoid=sigmoid)
    rng, before = np.random.default_rng(2), (features, scores)
    moved = [each + 0.3 * rng.normal(size=each.shape) for each in before]
    terms = _terms(loss, moved, before)
    for i, gradient in enumerate((terms.at_features, terms.at_scores)):
        for place in [(0, 0, 1), (0, 2, 0), (1, 2, 3), (1, 4, 2), (0, 5, 1)]:
            ends = []
            for step in (1e-5, -1e-5):
                shifted = [each.copy() for each in moved]
                shifted[i][place] += step
                ends.append(_total(loss, shifted, before))
            assert gradient[place] == pytest.approx((ends[0] - ends[1]) / 2e-5, abs=1e-5)


def test_nothing_pulls_but_the_class_where_nothing_moved() -> None:
    loss, features, scores = _loss()
    terms = loss(IMAGES, features, scores, features, scores, 0.5, 0.6)
    assert terms.pins == pytest.approx(0)
    assert terms.distance > 0
    assert not terms.at_scores.any()
    assert terms.at_features[LABELS == FORGET].all()
    assert not terms.at_features[LABELS != FORGET].any()


def test_the_class_to_forget_and_what_is_in_its_places_is_free_in_the_scores() -> None:
    loss, features, scores = _loss()
    free = scores.copy()
    free[..., 1] += 5  # its own column
    free[LABELS == FORGET] -= 5
    assert loss(IMAGES, features, free, features, scores, 0.5, 0.6).pins == pytest.approx(0)
    other = scores.copy()
    other[0, 0, 2] += 5
    assert loss(IMAGES, features, other, features, scores, 0.5, 0.6).pins > 0.1


def test_what_a_place_is_to_be_like_is_no_background_and_none_to_forget() -> None:
    told = HeadMap("s", 1, ((0, 1, 2, 3),), False, LABELS, GROUND)
    scores = np.zeros((2, 4, 6))
    scores[:, 1], scores[:, GROUND], scores[:, 2] = 9, 8, 1
    assert (told.next_best(scores, (1,)) == 2).all()
    twice = replace(told, ways=((0, 1, 2, 3), (4, 5, 6, 7)))
    both = np.concatenate([scores, np.zeros((2, 4, 6))], axis=1)
    both[:, 4] = 5  # the second anchor's class 0
    assert (twice.next_best(both, (1,)) == 0).all()


def test_rows_of_scores_and_back() -> None:
    told = HeadMap("s", 1, ((0, 1),), False, LABELS, None)
    scores = np.random.default_rng(0).normal(size=(2, 2, 3, 4))
    rows = told.rows(scores)
    assert np.array_equal(rows[1, 5], scores[1, :, 1, 1])
    assert np.array_equal(told.back(rows, scores), scores)
