"""Whatever way it is written in: the logits are found, and what the scores are of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onnxunlearn.graph import Logits, expose, find_logits, find_scores
from onnxunlearn.tasks import probabilities

from ..models import loaded, run
from .ways import WAYS, Array, Way, X, proto, sigmoid, softmax


def relative(values: Array) -> Array:
    """Up to a number of each sample's own."""
    return np.asarray(values - values.mean(axis=1, keepdims=True), np.float64)


def summing_to_1(values: Array) -> Array:
    return np.asarray(values / values.sum(axis=1, keepdims=True), np.float64)


def said(normaliser: str | None, y: Array) -> Array:
    """The probabilities that a file's own output holds."""
    y = y.astype(np.float64)
    if normaliser is None:
        return softmax(y)
    return summing_to_1(np.exp(y) if normaliser.startswith("Log") else y)


@pytest.mark.parametrize("name", WAYS)
def test_the_logits_are_found_in_every_form(name: str) -> None:
    way = WAYS[name]
    model = loaded(proto(way))
    found = find_logits(model)
    assert (found.classes, found.normaliser, found.output) == (6, way.normaliser, "y")
    if way.logits is None:
        assert found.tensor == "z"
    names = ["z", "z2" if "z2" in model.producer else "z", "y", found.tensor]
    z, z2, y, logits = run(expose(found.within(model), names), {"x": X}, names)
    expected = z if way.logits is None else way.logits(z, z2)
    logits = logits.reshape(len(X), 6)
    if found.independent:
        sure = np.abs(expected) > 8  # float32 knows no numbers so close to 1
        np.testing.assert_allclose(np.where(sure, 0, logits), np.where(sure, 0, expected), atol=1e-3)
        np.testing.assert_array_equal(y > found.threshold, sigmoid(logits) > 0.5)
    else:
        np.testing.assert_allclose(relative(logits), relative(expected), atol=2e-5)
    # what an audit compares is what the file says
    np.testing.assert_allclose(probabilities(y, found.normaliser), said(way.normaliser, y), atol=1e-6)
    of_logits = summing_to_1(sigmoid(logits)) if found.independent else softmax(logits)
    np.testing.assert_allclose(of_logits, said(way.normaliser, y), atol=2e-4)


#: steps from one tensor to the next, as people chain them; most chains make no sense
STEPS = [
    "{1} = Exp({0})",
    "{1} = Log({0})",
    "{1} = Neg({0})",
    "{1} = Softmax <axis = 1> ({0})",
    "{1} = LogSoftmax <axis = 1> ({0})",
    "{1} = Sigmoid({0})",
    "{1} = Tanh({0})",
    "{1} = Softplus({0})",
    "{1} = Reciprocal({0})",
    "{1} = Relu({0})",
    "{1} = Mul({0}, half)",
    "{1} = Div({0}, two)",
    "{1} = Mul({0}, {0})",
    "{1} = Mul({0}, weights)",
    "{1} = Add({0}, one)",
    "{1} = Sub(one, {0})",
    "{1} = Add({0}, tiny)",
    "{1} = Sqrt({0})",
    "{1} = Clip({0}, tiny, hundred)",
    "{1} = Gather <axis = 1> ({0}, order)",
    "s{1} = ReduceSum({0}, axis); {1} = Div({0}, s{1})",
    "s{1} = ReduceMax <axes = [1]> ({0}); {1} = Sub({0}, s{1})",
    "s{1} = ReduceMean <axes = [1]> ({0}); {1} = Sub({0}, s{1})",
    "s{1} = ReduceLogSumExp <axes = [1]> ({0}); {1} = Sub({0}, s{1})",
    "s{1} = Sub(one, {0}); {1} = Div({0}, s{1})",
    "s{1} = Exp({0}); t{1} = Add(s{1}, one); {1} = Div(s{1}, t{1})",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(STEPS), min_size=1, max_size=6))
def test_whatever_is_said_of_a_chain_is_true(steps: list[str]) -> None:
    names = ["z0", *(f"t{i}" for i in range(1, len(steps))), "y"]
    lines = [step.format(old, new) for step, old, new in zip(steps, names, names[1:], strict=False)]
    model = loaded(proto(Way("; ".join(["z0 = Mul(z, tenth)", *lines]), None)))
    found = find_scores(model)
    if not isinstance(found, Logits):
        assert any("Div" in line for line in lines)
        return
    exposed = expose(found.within(model), [found.tensor, "y"])
    logits, y = (v.astype(np.float64) for v in run(exposed, {"x": X[:40]}, [found.tensor, "y"]))
    if not np.isfinite(y).all() or not np.isfinite(logits).all() or np.abs(logits).max() > 30:
        return  # the chain makes no sense, or float32 has lost what it knew
    if found.normaliser is None:
        np.testing.assert_allclose(relative(logits), relative(y), atol=1e-3, rtol=1e-3)
    elif found.independent:
        p = np.exp(y) if found.normaliser == "LogSigmoid" else y
        np.testing.assert_allclose(sigmoid(logits), p / found.top, atol=1e-3)
    else:
        np.testing.assert_allclose(softmax(logits), said(found.normaliser, y), atol=1e-3)
