"""The loss at maps before the heads: its gradient, what it pins, and where it looks."""

import numpy as np
import pytest

from onnxunlearn.methods.whole.deeper import MapLoss, Shown
from onnxunlearn.methods.whole.heads import ASIDE, FORGET
from onnxunlearn.methods.whole.pull import Pull

LABELS = np.full((2, 4, 4), -3)
LABELS[:, 1, 1], LABELS[:, 2, 2], LABELS[:, 2, 3] = FORGET, 0, ASIDE
IMAGES = np.array([0, 1])


class _Still(Pull):
    def follow(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """Its gradient takes for constants what it draws to."""


def _loss(values: np.ndarray) -> MapLoss:
    shown = Shown(LABELS, np.zeros_like(LABELS))
    made = MapLoss.of("x", shown, values, 8, np.random.default_rng(0))
    assert made is not None
    made.pull = _Still(made.pull.given, 8, np.random.default_rng(0))
    return made


def _total(loss: MapLoss, now: np.ndarray, before: np.ndarray) -> tuple[float, np.ndarray]:
    """Pins and twice the distance, of a step behind one in which nothing had moved, with the same draws."""
    loss.pull.rng = np.random.default_rng(1)
    loss.begin()
    loss(IMAGES, before, before, 2.0, 3.0, np.zeros_like(before))
    signal = np.zeros_like(now)
    pins, distance = loss(IMAGES, now, before, 2.0, 3.0, signal)
    return pins + 2.0 * distance, signal


def test_its_gradient_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(2)
    before = rng.normal(size=(2, 3, 4, 4))
    now, loss = before + 0.3 * rng.normal(size=before.shape), _loss(before)
    gradient = _total(loss, now, before)[1]
    for place in [(0, 0, 1, 1), (0, 2, 0, 0), (1, 1, 3, 0), (1, 2, 2, 2), (0, 1, 2, 3)]:
        ends = []
        for by in (1e-5, -1e-5):
            moved = now.copy()
            moved[place] += by
            ends.append(_total(loss, moved, before)[0])
        np.testing.assert_allclose(gradient[place], (ends[0] - ends[1]) / 2e-5, rtol=1e-3, atol=1e-5)


def test_what_is_in_a_box_to_forget_is_not_pinned() -> None:
    before = np.random.default_rng(3).normal(size=(2, 3, 4, 4))
    loss = _loss(before)
    pins = {}
    for place in [(1, 1), (2, 3), (0, 0), (2, 2)]:
        now = before.copy()
        now[0, :, place[0], place[1]] += 1
        loss.begin()
        pins[place] = loss(IMAGES, now, before, 0.0, 1.0, np.zeros_like(now))[0]
    assert pins[1, 1] == pins[2, 3] == 0
    assert pins[0, 0] == pytest.approx(pins[2, 2])
    assert pins[0, 0] > 0


def test_where_none_is_to_be_forgotten_there_is_no_loss() -> None:
    shown = Shown(np.zeros((2, 4, 4), int), np.zeros((2, 4, 4), int))
    assert MapLoss.of("x", shown, np.ones((2, 3, 4, 4)), 8, np.random.default_rng(0)) is None


def test_cells_of_a_map_of_another_size() -> None:
    labels = np.arange(16).reshape(1, 4, 4)
    found, _ = Shown(labels, labels).at(2, 2)
    np.testing.assert_array_equal(found, [[5, 7, 13, 15]])
    assert Shown(labels, labels).at(8, 8)[0].reshape(8, 8)[1, 7] == 3
