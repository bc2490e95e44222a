"""Boxes are pinned where there is something."""

import numpy as np
import pytest

from onnxunlearn.graph.places import Part
from onnxunlearn.methods.whole.beside import Beside

THERE = np.array([[True, False, True, False, False], [False, False, True, True, False]])
#: two scales: three places and two
PARTS = (Part("fine", 1, (0, 1, 2, 3)), Part("coarse", 2, (4, 5, 6, 7)))
IMAGES = np.array([0, 1])


def _values(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"fine": rng.normal(size=(2, 6, 3)), "coarse": rng.normal(size=(2, 2, 8))}


def test_its_gradient_is_finite_differences_and_nothing_elsewhere() -> None:
    before, values = _values(0), _values(1)
    beside = Beside.of(PARTS, 4, THERE, before)
    signals = {name: np.zeros_like(value) for name, value in values.items()}
    total = beside(IMAGES, values, before, 0.7, signals)
    assert total > 0
    for name, place in [("fine", (0, 1, 2)), ("fine", (1, 3, 2)), ("coarse", (1, 0, 6)), ("fine", (0, 1, 1))]:
        ends = []
        for step in (1e-5, -1e-5):
            shifted = {n: v.copy() for n, v in values.items()}
            shifted[name][place] += step
            spare = {n: np.zeros_like(v) for n, v in values.items()}
            ends.append(beside(IMAGES, shifted, before, 0.7, spare))
        assert signals[name][place] == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-6)
    assert not signals["fine"][0, :, 1].any()  # nothing is there
    assert not signals["fine"][:, 4:].any()
    assert not signals["coarse"][:, :, :4].any()


def test_what_did_not_move_costs_nothing() -> None:
    before = _values(0)
    signals = {name: np.zeros_like(value) for name, value in before.items()}
    assert Beside.of(PARTS, 4, THERE, before)(IMAGES, before, before, 1.0, signals) == 0
    assert not any(signal.any() for signal in signals.values())
