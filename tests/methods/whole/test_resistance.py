"""What an attacker learns who trains along, and where it is drawn."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from onnxunlearn.methods.whole import resistance
from onnxunlearn.methods.whole.heads import FORGET, HeadLoss, HeadMap
from onnxunlearn.methods.whole.resistance import Resistance
from onnxunlearn.methods.whole.spots import Spots

WIDTH, PLACES, IMAGES = 6, 4, 12
#: a thing of another class and background in each image, and two places of the class
LABELS = np.tile([0, FORGET, FORGET, 2], (IMAGES, 1))
WEIGHTS = {"l": (np.eye(WIDTH, dtype=np.float32), None)}


class _Dense:
    """One layer without a bias, as `Passes` would run it."""

    def forward(self, feeds: dict[str, np.ndarray], weights: dict[str, Any]) -> Any:
        return SimpleNamespace(values={"read": feeds["x"] @ weights["l"][0].T}, x=feeds["x"])

    def backward(self, forward: Any, signals: dict[str, np.ndarray]) -> dict[str, Any]:
        rows, at = forward.x.reshape(-1, WIDTH), signals["read"].reshape(-1, WIDTH)
        return {"l": (at.T @ rows, None)}


def _resistance(share: float = 1.0) -> tuple[Resistance, np.ndarray]:
    """The class's places have a larger first number."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(IMAGES, PLACES, WIDTH)).astype(np.float32)
    x[:, 1:3, 0] += 3
    told = HeadMap("s", 2, ((0, 1, 2),), False, LABELS, 2)
    unit = np.ones(WIDTH, np.float32)
    head = HeadLoss(told, Spots("read", None), (1,), unit, np.eye(WIDTH), np.zeros_like(LABELS), None, rng)
    passes: Any = _Dense()
    return Resistance([head], passes, {"x": x}, np.arange(IMAGES), share, rng), x


def _nothing() -> dict[str, Any]:
    return {"l": (np.zeros((WIDTH, WIDTH), np.float32), None)}


def test_who_trains_along_learns_what_tells_the_class() -> None:
    made, x = _resistance()
    for _ in range(19 * resistance._IN_TURN):
        made.joined(_nothing(), WEIGHTS)
    row = made.moved.values["s", "row"]
    assert np.abs(row).argmax() == 0
    assert row[0] > 0
    (own,) = made.moved.weights(WEIGHTS).values()
    told = x @ own[0].T @ row
    assert told[:, 1:3].mean() > told[:, [0, 3]].mean()


def test_down_its_gradient_the_class_is_told_less() -> None:
    made, x = _resistance()
    for _ in range(19 * resistance._IN_TURN):
        gradients = made.joined(_nothing(), WEIGHTS)
    row = made.moved.values["s", "row"]
    step = WEIGHTS["l"][0] - 10 * gradients["l"][0]
    assert (x[:, 1:3] @ step.T @ row).mean() < (x[:, 1:3] @ row).mean()


def test_it_counts_by_its_share_and_holds_for_some_steps() -> None:
    (one, _), (two, _) = _resistance(), _resistance(2.0)
    found = [[made.joined(_nothing(), WEIGHTS)["l"][0] for _ in range(5)] for made in (one, two)]
    assert np.allclose(2 * found[0][0], found[1][0])
    assert np.abs(found[0][0]).max() > 0
    assert all(np.array_equal(found[0][0], each) for each in found[0][1:4])
    assert not np.array_equal(found[0][0], found[0][4])


def test_a_descent_that_begins_anew_meets_him_anew() -> None:
    made, _ = _resistance()
    for _ in range(12):
        made.joined(_nothing(), WEIGHTS)
    far = np.abs(made.moved.values["s", "row"]).max()
    made.begin()
    made.joined(_nothing(), WEIGHTS)
    assert np.abs(made.moved.values["s", "row"]).max() == pytest.approx(far * 2 / 6, rel=0.1)


def test_one_image_that_shows_the_class_is_enough() -> None:
    made, _ = _resistance()
    made.showing = np.arange(1)
    found = made.joined(_nothing(), WEIGHTS)["l"][0]
    assert np.isfinite(found).all()
    assert np.abs(found).max() > 0
