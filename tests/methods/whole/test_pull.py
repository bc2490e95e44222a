"""What draws places to forget to others: where those are by now, and along what tells them apart."""

import numpy as np
import pytest

from onnxunlearn.methods.whole.pull import Pull, telling

WIDTH = 200


def _normal(count: int, shift: float, seed: int) -> np.ndarray:
    """Rows that differ in their first number alone."""
    rows = np.random.default_rng(seed).normal(size=(count, WIDTH)).astype(np.float32)
    rows[:, 0] += shift
    return rows


@pytest.mark.parametrize("count", [50, 400], ids=["more numbers than rows", "more rows"])
def test_what_tells_two_sets_apart_is_found(count: int) -> None:
    direction = telling(_normal(count, 4, 0), _normal(count, 0, 1))
    assert direction.shape == (WIDTH, 1)
    assert np.linalg.norm(direction) == pytest.approx(1, abs=1e-5)
    assert np.abs(direction).argmax() == 0
    assert direction[0, 0] > 0.5


def test_sets_that_are_the_same_have_no_direction() -> None:
    rows = _normal(20, 0, 0)
    assert np.isfinite(telling(rows, rows)).all()


def _pull() -> Pull:
    made = Pull({0: _normal(60, 0, 1), 2: _normal(60, 0, 2)}, 64, np.random.default_rng(0))
    made.count_from(_normal(60, 4, 3), np.repeat([0, 2], 30))
    return made


def test_along_what_was_found_the_class_is_drawn_harder() -> None:
    """Of 200 numbers one tells; random directions hardly see it."""
    pull, near = _pull(), np.repeat([0, 2], 30)
    slopes = [pull.distance(_normal(60, 4, seed), near)[1] for seed in (4, 5)]
    first, second = (np.abs(s[:, 0]).mean() / np.abs(s[:, 1:]).mean() for s in slopes)
    assert second > 3 * first


def test_what_it_is_drawn_to_is_where_the_others_are_by_now() -> None:
    pull, near = _pull(), np.repeat([0, 2], 30)
    rows = _normal(60, 4, 4)
    apart = [pull.distance(rows, near)[0] for _ in range(2)][1]
    pull.begin()
    for seed, label in ((5, 0), (6, 2)):
        pull.follow(_normal(128, 4, seed), np.full(128, label))
    pull.follow(_normal(10, 99, 7), np.full(10, 3))  # none of those it may be like
    assert [pull.distance(rows, near)[0] for _ in range(2)][1] < 0.3 * apart


def test_a_descent_that_begins_anew_begins_at_the_original() -> None:
    pull, near = _pull(), np.repeat([0, 2], 30)
    for seed in range(4):
        pull.follow(_normal(40, 9, seed), np.full(40, 0))
        pull.distance(_normal(60, 4, seed), near)
    pull.begin()
    assert not pull.past
    assert pull.pool[0][:, 0].mean() == pytest.approx(0, abs=0.5)


def test_one_place_to_forget_is_enough() -> None:
    pull = Pull({0: _normal(5, 0, 1)}, 8, np.random.default_rng(0))
    one = _normal(1, 4, 3)
    pull.count_from(one, np.array([0]))
    for _ in range(3):
        distance, slope = pull.distance(one, np.array([0]))
    assert np.isfinite(distance)
    assert slope.shape == one.shape
