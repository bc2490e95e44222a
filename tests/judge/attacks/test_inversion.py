"""Inputs driven towards the class: gradients as finite differences, and who still holds the class."""

import numpy as np

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load, patch
from onnxunlearn.judge.attacks.attackers.inputs import InputGradients
from onnxunlearn.judge.attacks.inversion import inversion
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, MLP, probes
from ..made_evidence import evidence_of

ARRAYS = probes(24)
GIVEN = Probes({"x": ARRAYS["x"]}, ARRAYS["y"], "digits")


def test_gradients_are_those_of_finite_differences() -> None:
    model = load(MLP)
    gradients = InputGradients(model, find_logits(model).tensor, create_engine("numpy"))
    rng = np.random.default_rng(0)
    x = ARRAYS["x"][:40]  # more than go at once
    signal = rng.standard_normal((40, 10)).astype(np.float32)
    said = np.empty_like(signal)

    def at(values: np.ndarray, which: slice) -> np.ndarray:
        said[which] = values
        return signal[which]

    def values_of(x: np.ndarray) -> np.ndarray:
        gradients({"x": x}, at)
        return said.copy()

    found = gradients({"x": x}, at)["x"]
    direction = rng.standard_normal(x.shape).astype(np.float32)
    ahead, behind = (values_of(x + s * direction) for s in (1e-2, -1e-2))
    wanted = ((ahead - behind) * signal).sum(axis=1) / 2e-2
    agree = np.isclose((found * direction).sum(axis=(1, 2, 3)), wanted, rtol=0.1, atol=0.5)
    assert agree.mean() > 0.8  # a ReLU may turn between the two


def test_a_hidden_logit_still_holds_what_a_retrained_one_does_not() -> None:
    model, reference = load(CNN), load(CNN.with_name("mnist_cnn.without3.onnx"))
    bias = model.array("9.bias").copy()
    bias[3] = -1e4
    models = {"original": model, "edited": load(patch(model, {"9.bias": bias})), "reference": reference}
    rows = {row.title: row.values for row in inversion(evidence_of(models, GIVEN, (3,), thorough=True))}
    assert list(rows) == [
        "other samples, up its own logit",
        "other samples, up a refitted head",
        "noise, up a refitted head",
    ]
    own = rows["other samples, up its own logit"]
    assert own["edited"].value == own["mask"].value == 100
    assert (own["reference"].value or 0) < 50
    assert own["edited"].samples == 32


def test_a_head_that_reads_the_input_itself_is_driven_at_the_input() -> None:
    """No node lies between: once a runtime's error stood in the place of the figures."""
    given = InputGradients(load(MLP), "x", create_engine("numpy"))
    x = ARRAYS["x"][:3]
    found = given({"x": x}, lambda values, which: 2 * values + which.start)
    assert np.array_equal(found["x"], 2 * x)


def test_where_it_cannot_run_it_says_why() -> None:
    model = load(MLP)
    made = Probes({"x": ARRAYS["x"]}, ARRAYS["y"], "made", None, np.ones(len(ARRAYS["y"]), bool))
    (row,) = inversion(evidence_of({"original": model, "edited": model}, made, (3,), thorough=True))
    assert row.note.startswith("not run: probes made from the model")
    assert list(inversion(evidence_of({"original": model, "edited": model}, GIVEN, (3,)))) == []
