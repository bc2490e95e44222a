"""Somebody trains the network while it is edited: what that brings back counts in the loss."""

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from onnxunlearn import examine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import load, patch
from onnxunlearn.judge.attacks.attackers import tuning
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.attacker import Attacker
from onnxunlearn.methods.erase.erase import Erasure, erase
from onnxunlearn.methods.erase.matching import Settings
from onnxunlearn.methods.erase.resistance import beside
from onnxunlearn.methods.erase.scope import multiplications
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, images
from ..benches import bench
from .test_deeper import WIDTH as NETWORK
from .test_deeper import clouds

FORGET, CLASSES, WIDTH = (1, 3), 5, 7


def attacker(seed: int = 0) -> Attacker:
    """Of classes 1 and 3 of five; its rows are somewhere."""
    rng = np.random.default_rng(seed)
    made = Attacker(FORGET, np.repeat(FORGET, 6), np.repeat([0, 2, 4], 10), WIDTH, np.array([0, 2, 4]), rng)
    made.begin({"layer": (np.ones((3, 2), np.float32), np.zeros(3, np.float32))})
    for value in made.moved.values.values():
        value[...] = rng.normal(size=value.shape)
    return made


def test_it_trains_on_half_of_the_probes_of_each_class() -> None:
    made = attacker()
    assert sorted([*made.fits, *made.asked]) == list(range(12))
    for half in (made.fits, made.asked):
        assert np.bincount(made.own[half], minlength=CLASSES)[list(FORGET)].tolist() == [3, 3]
    first = set(made.fits.tolist())
    made.begin({})
    assert set(made.fits.tolist()) != first


def test_a_step_has_every_class_alike_often() -> None:
    fits, others = attacker().draw(25)
    assert len(fits) == 6  # two of five classes, of which no more than half of the probes are there
    assert len(others) == 19
    assert set(fits) <= set(attacker().fits)


@pytest.mark.parametrize("forgotten", [1, 9, 10, 11, 24])
def test_a_step_has_retained_samples_however_many_classes_are_forgotten(forgotten: int) -> None:
    own, y = np.repeat(range(forgotten), 10), np.repeat(range(forgotten, 25), 10)
    made = Attacker(range(forgotten), own, y, WIDTH, np.arange(forgotten, 25), np.random.default_rng(0))
    made.begin({})
    fits, others = made.draw(50)
    assert 2 <= len(fits) < 50
    assert 2 <= len(others) < 50
    assert len(fits) + len(others) <= 50


@pytest.mark.parametrize("asked", ["learning", "recognising"])
def test_its_gradients_are_those_of_finite_differences(asked: str) -> None:
    made, rng, n = attacker(), np.random.default_rng(1), 6
    at = {"scores": rng.normal(size=(n, CLASSES)), "features": rng.normal(size=(n, WIDTH))}
    y = rng.integers(CLASSES, size=n)

    def loss() -> float:
        scores = made._scores(at["scores"], at["features"])
        if asked == "learning":
            return -float(log_softmax(scores, axis=1)[np.arange(n), y].mean())
        return -float(np.log(1 - softmax(scores, axis=1)[:, list(FORGET)].sum(axis=1)).mean())

    p = made.probabilities(at["scores"], at["features"])
    of_scores = made.learning(p, y) if asked == "learning" else made.recognising(p)
    at_scores, at_features, of_head = made.back(of_scores, at["features"])
    rows = made.moved.values
    for where, found in (
        (at["scores"], at_scores),
        (at["features"], at_features),
        (rows["", "weight"], of_head["", "weight"]),
        (rows["", "bias"], of_head["", "bias"]),
    ):
        step = rng.normal(size=where.shape) * 1e-3
        before = where.copy()
        where[...] = before + step
        up = loss()
        where[...] = before - step
        down = loss()
        where[...] = before
        assert up - down == pytest.approx(2 * float((found * step).sum()), rel=2e-2)


def test_the_scores_of_a_forgotten_class_are_its_rows() -> None:
    made = attacker()
    scores, features = np.zeros((2, CLASSES)), np.zeros((2, WIDTH))
    for value in made.moved.values.values():
        value[...] = 0
    assert np.allclose(made.probabilities(scores, features), 0.2)  # a row that is the mean of the others
    made.moved.values["", "bias"][1] = 100
    assert made.probabilities(scores, features)[:, 3] == pytest.approx([1, 1])


def test_a_class_that_was_attacked_on_the_way_comes_back_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tuning, "STEPS", (30,))
    monkeypatch.setattr(tuning, "DRAWS", 1)
    made = bench(CNN)
    edits = [erase(made, depth="deep", steps=60, resist=resist).edits for resist in (1.0, 0.0)]
    attacked, plain = (patch(e.model, e.arrays) for e in edits)
    x, y = (values[:1000] for values in images("mnist_test"))
    found = examine(CNN, attacked, 3, {"x": x, "y": y}, reference=plain, attacks=["fine-tune"])
    later, soon = (found.value("fine-tune 30", of) for of in ("edited", "reference"))
    assert later is not None
    assert soon is not None
    assert later < soon - 20


@pytest.mark.parametrize(
    ("case", "resists"),
    [("as it is", True), ("the last block", True), ("few", False), ("steps", True), ("none asked", False)],
)
def test_who_is_attacked(case: str, resists: bool) -> None:
    made = clouds()
    if case == "few":
        few = np.flatnonzero((made.y != 0) | (np.cumsum(made.y == 0) <= 3))
        made = replace(made, probes=Probes({"x": made.probes.feeds["x"][few]}, made.y[few], "made"))
    asked: dict[str, dict[str, object]] = {
        "the last block": {"depth": "last-block"},
        "steps": {"steps": 30},
        "none asked": {"resist": 0},
    }
    given: dict[str, Any] = {"depth": "deep", "steps": 5, **asked.get(case, {})}
    assert ("resist" in erase(made, **given).details) == resists


def test_weights_that_are_not_finite_are_not_written() -> None:
    with (
        np.errstate(all="ignore"),
        pytest.raises(
            UnsupportedError, match=r"the weights of 'layer 0' came to no finite values; make its steps"
        ),
    ):
        erase(clouds(), depth="deep", steps=20, resist=1e38)


def test_it_takes_no_more_work_than_an_edit_may(monkeypatch: pytest.MonkeyPatch) -> None:
    made = clouds()
    asked = partial(Erasure, made, depth="deep", settings=Settings(resist=0.5))
    assert asked().resist == 0.5
    layers, (batch, steps) = made.trainable[:3], (40, 250)
    own, more = (
        steps * (multiplications(made, layers) * (2 * 20 + batch + samples) + 300 * 3 * NETWORK**2)
        for samples in (0, beside(batch, deep=True))
    )
    monkeypatch.setattr("onnxunlearn.methods.erase.scope._WORK", (own + more) / 2)
    assert asked().resist == 0
    assert "against an attacker" not in auto(made, depth="deep").details["why"]


def test_an_edit_leaves_out_who_was_hidden_before(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[float]()

    def noted(self: Attacker, known: np.ndarray) -> np.ndarray:
        taken.append(float(known[:, list(self.forget)].sum(axis=1).mean()))
        return recognising(self, known)

    recognising = Attacker.recognising
    monkeypatch.setattr(Attacker, "recognising", noted)
    bias = load(CNN).array("9.bias").copy()
    bias[7] = -1e4
    made = bench(load(patch(load(CNN), {"9.bias": bias})))
    erase(made, steps=8)
    assert min(taken) > 1e-3


def test_a_class_that_is_turned_off_does_not_take_its_rows_with_it() -> None:
    """Else nothing would ever be taken for the class, and nothing resisted."""
    made = attacker()
    made.others = np.array([0, 4])
    scores, features = np.zeros((6, 5)), np.zeros((6, WIDTH))
    scores[:, 2] = -1e4
    for value in made.moved.values.values():
        value[...] = 0
    known = made.probabilities(scores, features)
    np.testing.assert_allclose(known, [[0.25, 0.25, 0, 0.25, 0.25]] * 6)
    at_scores, _, _ = made.back(made.learning(known, np.zeros(6, int)), features)
    assert (at_scores[:, [0, 4]] != 0).all()
    np.testing.assert_array_equal(at_scores[:, [1, 2, 3]], 0)
