"""Fine-tuning: the same steps as an optimiser written out takes, and no figure where there is none."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import Row
from onnxunlearn.judge.attacks.attackers.training import Learner, Scope, multiply_adds
from onnxunlearn.judge.attacks.fine_tune import fine_tune
from onnxunlearn.judge.attacks.fine_tune_grid import fine_tune_grid
from onnxunlearn.judge.attacks.fine_tune_head import fine_tune_head
from onnxunlearn.judge.attacks.fine_tune_retained import fine_tune_retained
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
    monkeypatch.setattr("onnxunlearn.judge.attacks.attackers.tuning.MOST", 1000)
    (row,) = curves(model, model)
    assert row.title == "fine-tune: not run"
    assert "--attacks" in row.note
    assert len(curves(model, model, attacks=frozenset({"fine-tune"}))) > 1


def learner(model: Model, scope: Scope, rate: float = 1e-3) -> Learner:
    subject = evidence_of({"original": model, "edited": model}, GIVEN, (3,)).subjects["original"]
    return Learner.of(subject, (3,), rate, scope)


def test_what_is_trained_is_what_was_asked_for() -> None:
    trained: dict[Scope, set[str]] = {
        "everything": {"/0/Conv", "/3/Conv", "/7/Gemm", "/9/Gemm"},
        "the last block": {"/3/Conv", "/7/Gemm", "/9/Gemm"},
        "the head": {"/9/Gemm"},
    }
    for scope, expected in trained.items():
        made = learner(load(CNN), scope)
        before = {key: value.copy() for key, value in made.adam.values.items()}
        assert list(made.steps(GIVEN, 50, np.random.default_rng(0), [1])) == [1]
        assert {name for name, _ in before} == expected
        assert all(not np.array_equal(value, made.adam.values[key]) for key, value in before.items())


@pytest.mark.parametrize("scope", ["everything", "the last block"])
def test_torch_takes_the_same_way(scope: Scope) -> None:
    """The curve of the same steps in torch, on the module that the file is imported as."""
    torch = pytest.importorskip("torch")
    from onnxunlearn.engines.torch import import_model

    made, module = learner(load(CNN), scope, 3e-3), import_model(CNN)
    own = {name.removeprefix("/").split("/")[0] for name, _ in made.adam.values}
    parameters = {name: p for name, p in module.named_parameters() if name.split(".")[0] in own}
    assert len(parameters) == len(made.adam.values)
    with torch.no_grad():
        others = np.arange(10) != 3
        for value in (module.get_parameter("9.weight"), module.get_parameter("9.bias")):
            value[3] = value[others].mean(0)
    optimiser = torch.optim.Adam(parameters.values(), 3e-3)
    rng, order, theirs = np.random.default_rng(1), np.zeros(0, int), []
    x, y = torch.from_numpy(ARRAYS["x"]), torch.from_numpy(ARRAYS["y"])
    for step in range(1, 16):
        if len(order) < 50:
            order = np.concatenate([order, rng.permutation(len(GIVEN))])
        batch, order = order[:50], order[50:]
        loss = torch.nn.functional.cross_entropy(module(x[batch]), y[batch])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step in (5, 10, 15):
            with torch.no_grad():
                theirs.append(module(x).numpy().argmax(1))
    ours = [made.predict(GIVEN, 50) for _ in made.steps(GIVEN, 50, np.random.default_rng(1), (5, 10, 15))]
    asked = ARRAYS["y"] == 3
    for a, b in zip(ours, theirs, strict=True):
        assert a is not None
        assert (a == b).mean() > 0.98
        assert abs((a == 3)[asked].mean() - (b == 3)[asked].mean()) <= 0.1
    assert [(a == 3)[asked].mean() for a in theirs] == sorted((a == 3)[asked].mean() for a in theirs)


def test_the_grid_lists_what_needs_more_samples_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("STEPS", (2,)), ("DRAWS", 1)):
        monkeypatch.setattr(f"onnxunlearn.judge.attacks.attackers.tuning.{name}", value)
    model = load(MLP)
    asked = evidence_of({"original": model, "edited": model}, GIVEN, (3,), thorough=True)
    assert list(fine_tune_grid(asked)) == list(fine_tune_head(asked)) == []  # by name only
    rows = list(fine_tune_grid(replace(asked, attacks=frozenset({"fine-tune-grid"}))))
    told = [row for row in rows if "not run" not in row.name]
    assert [row.name.removeprefix("fine-tune-grid ") for row in told] == [
        f"{scope} {n} {rate} 2"
        for scope in ("everything", "last block")
        for n in (5, 20)
        for rate in (0.001, 0.003)
    ]
    assert [row.values["edited"].samples for row in told[:3]] == [19, 19, 4]
    without = [row.note for row in rows if "not run" in row.name]
    assert len(without) == 4
    assert without[0] == "not run: needs more than 100 samples of each class to forget; there are 24"
    assert {row.table for row in told} == {
        f"to forget, after fine-tuning{scope} on {n} a class{rate}"
        for scope in ("", " the last block")
        for n in (5, 20)
        for rate in ("", ", at 0.003")
    }


def test_retained_data_alone_undo_a_poor_edit_and_bring_nothing_back_that_is_gone() -> None:
    """Noise on a layer is trained away by the other classes' samples; a row without the class stays so."""
    model = load(MLP)
    noise = 0.3 * np.random.default_rng(0).standard_normal((64, 128)).astype(np.float32)
    head = {name: model.array(name).copy() for name in ("5.weight", "5.bias")}
    for value in head.values():
        value[3] = np.delete(value, 3, axis=0).mean(axis=0)
    noisy, without = (
        load(patch(model, {"3.weight": model.array("3.weight") + noise})),
        load(patch(model, head)),
    )
    models = {"original": model, "edited": noisy, "reference": without}
    asked = evidence_of(models, GIVEN, (3,), thorough=True)
    before = (asked.subjects["edited"].predicted(GIVEN) == 3)[ARRAYS["y"] == 3].mean()
    rows = list(fine_tune_retained(asked))
    assert [row.name.split()[4] for row in rows] == ["20", "30", "100"]
    assert (rows[-1].values["edited"].value or 0) > 100 * before + 8
    assert [row.values["reference"].value for row in rows] == [0, 0, 0]
    assert "mask" not in rows[0].values  # here its scores are changed behind the model


def test_what_one_sample_costs() -> None:
    subject = evidence_of({"original": load(MLP), "edited": load(MLP)}, GIVEN, (3,)).subjects["original"]
    assert multiply_adds(subject, GIVEN) == 784 * 128 + 128 * 64 + 64 * 10


def test_it_takes_long_and_has_to_be_asked_for() -> None:
    assert curves(load(MLP), load(MLP), thorough=False) == []


@pytest.mark.parametrize("low", [-1e4, -np.inf])
def test_a_class_that_was_hidden_before_does_not_hide_the_next(low: float) -> None:
    """The row that is given back starts as the mean of those that are told at all."""
    model = load(MLP)
    bias = model.array("5.bias").copy()
    bias[7] = low
    subject = evidence_of({"original": load(patch(model, {"5.bias": bias}))}, GIVEN, (3,)).subjects[
        "original"
    ]
    learner = Learner.of(subject, (3,), 1e-3)
    (found,) = (v for (_, i), v in learner.adam.values.items() if i == 1 and len(v) == 10)
    assert found[3] == pytest.approx(np.delete(bias, [3, 7]).mean())
