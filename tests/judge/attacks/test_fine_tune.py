"""Fine-tuning: the same steps as an optimiser written out takes, and no figure where there is none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import Row
from onnxunlearn.judge.attacks.attackers.training import Learner, multiply_adds
from onnxunlearn.judge.attacks.fine_tune import fine_tune
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, MLP, images, probes
from ..made_evidence import evidence_of

ARRAYS = probes(24)
GIVEN = Probes({"x": ARRAYS["x"]}, ARRAYS["y"], "digits")


def curves(original: Model, edited: Model, asked: Probes = GIVEN, **settings: Any) -> list[Row]:
    models = {"original": original, "edited": edited}
    return list(fine_tune(replace(evidence_of(models, asked, (3,), thorough=True), **settings)))


def numpy_steps(
    model: Model, x: np.ndarray, y: np.ndarray, batches: list[np.ndarray]
) -> dict[str, np.ndarray]:
    """The weights of the MLP after Adam at 1e-3 on every weight, written out; x: [N, 784]."""
    names = ["1.weight", "1.bias", "3.weight", "3.bias", "5.weight", "5.bias"]
    w = {n: model.array(n).astype(np.float64) for n in names}
    others = np.arange(10) != 3
    w["5.weight"][3], w["5.bias"][3] = w["5.weight"][others].mean(0), w["5.bias"][others].mean()
    m, v = ({n: np.zeros_like(a) for n, a in w.items()} for _ in range(2))

    def forward(some: np.ndarray) -> list[np.ndarray]:
        h = [some]
        for i in (1, 3, 5):
            z = h[-1] @ w[f"{i}.weight"].T + w[f"{i}.bias"]
            h.append(z if i == 5 else np.maximum(z, 0))
        return h

    for t, batch in enumerate(batches, 1):
        h = forward(x[batch])
        p = np.exp(h[3] - h[3].max(1, keepdims=True))
        g = (p / p.sum(1, keepdims=True) - np.eye(10)[y[batch]]) / len(batch)
        for k, i in ((2, 5), (1, 3), (0, 1)):
            found = {f"{i}.weight": g.T @ h[k], f"{i}.bias": g.sum(0)}
            g = (g @ w[f"{i}.weight"]) * (h[k] > 0)
            for n, d in found.items():
                m[n] += 0.1 * (d - m[n])
                v[n] += 0.001 * (d**2 - v[n])
                w[n] -= 1e-3 * (m[n] / (1 - 0.9**t)) / (np.sqrt(v[n] / (1 - 0.999**t)) + 1e-12)
    return w


def test_the_same_steps_as_written_out() -> None:
    model = load(MLP)
    subject = evidence_of({"original": model, "edited": model}, GIVEN, (3,)).subjects["original"]
    rng, order, batches = np.random.default_rng(4), np.zeros(0, int), []
    for _ in range(6):
        if len(order) < 50:
            order = np.concatenate([order, rng.permutation(len(GIVEN))])
        batches.append(order[:50])
        order = order[50:]
    learner = Learner.of(subject, (3,), 1e-3)
    assert list(learner.steps(GIVEN, 50, np.random.default_rng(4), (2, 6))) == [2, 6]
    x = GIVEN.feeds["x"].reshape(len(GIVEN), -1).astype(np.float64)
    expected = numpy_steps(model, x, ARRAYS["y"], batches)
    for layer in learner.network.network.tail.layers:
        for i in range(2):
            stored = layer.weight if i == 0 else layer.bias
            assert stored is not None
            wanted, found = expected.pop(stored.name), learner.adam.values[layer.name, i]
            # Adam goes a whole step where a gradient is nearly 0, either way: hence most, not all.
            assert (np.abs(found - wanted.reshape(found.shape)) < 1e-4).mean() > 0.99
    assert expected == {}


def test_a_hidden_logit_comes_back_and_faster_than_what_was_never_there() -> None:
    model, reference = load(CNN), load(CNN.with_name("mnist_cnn.without3.onnx"))
    x, y = images("mnist_test")
    some = Probes({"x": x[::4]}, y[::4], "digits")
    rows = {row.name: row for row in curves(model, reference, some)}
    assert list(rows) == [f"fine-tune {n}" for n in (20, 30, 100)]
    at = [(rows[f"fine-tune {n}"].values[k].value or 0) for n in (20, 100) for k in ("mask", "edited")]
    assert at[0] > at[1] + 10
    assert min(at[2:]) > 80
    assert rows["fine-tune 20"].values["edited"].samples == int(np.sum(y[::4] == 3)) - 20


def test_features_that_overflow_have_no_figure() -> None:
    model = load(MLP)
    wild = patch(
        model,
        {
            "3.weight": 1e20 * model.array("3.weight"),
            "3.bias": 1e20 * model.array("3.bias"),
            "5.weight": model.array("5.weight") / np.float32(1e20),
        },
    )
    rows = curves(model, load(wild))
    assert rows[0].values["mask"].value is not None
    assert rows[0].values["edited"].value is None


def test_what_would_take_hours_is_named_and_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(MLP)
    monkeypatch.setattr("onnxunlearn.judge.attacks.fine_tune._MOST", 1000)
    (row,) = curves(model, model)
    assert row.title == "not run"
    assert "--attacks" in row.note
    assert len(curves(model, model, attacks=frozenset({"fine-tune"}))) > 1


def test_what_one_sample_costs() -> None:
    subject = evidence_of({"original": load(MLP), "edited": load(MLP)}, GIVEN, (3,)).subjects["original"]
    assert multiply_adds(subject, GIVEN) == 784 * 128 + 128 * 64 + 64 * 10


def test_it_takes_long_and_has_to_be_asked_for() -> None:
    assert curves(load(MLP), load(MLP), thorough=False) == []
