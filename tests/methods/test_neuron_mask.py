"""The gates' gradients against finite differences; what a closed gate does to its neuron."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.methods.channels import channel_layers
from onnxunlearn.methods.neuron_mask import gate_gradients, gated
from onnxunlearn.numerics import softmax

from .tiny import convolutional, tiny_bench, tokens_first


def divergence(made: Workbench, edits: Edits, q: np.ndarray) -> float:
    p = softmax(made.scores(edits)[made.forgotten].astype(np.float64))
    kept = q > 0
    return float((q[kept] * np.log(q[kept] / p[kept])).sum() / len(p))


@pytest.mark.parametrize("network", [convolutional, tokens_first])
def test_gradients_are_finite_differences(network: Callable[[], onnx.ModelProto]) -> None:
    made = tiny_bench(network())
    (layer,) = channel_layers(made)
    gate = np.linspace(0.5, 0.9, layer.neurons)
    edits = gated(made, [layer], {layer.name: gate})
    found = gate_gradients(made.under(edits), {layer.name: gate})[layer.name]
    q = softmax(made.scores(edits)[made.forgotten].astype(np.float64))
    q[:, 1] = 0
    q /= q.sum(axis=1, keepdims=True)
    step = 1e-2
    for i in range(layer.neurons):
        either = []
        for sign in (1, -1):
            moved = gate.copy()
            moved[i] += sign * step
            either.append(divergence(made, gated(made, [layer], {layer.name: moved}), q))
        assert found[i] == pytest.approx((either[0] - either[1]) / (2 * step), rel=0.05, abs=2e-3)


def test_a_gate_scales_what_its_neuron_says() -> None:
    made = tiny_bench(convolutional())
    (layer,) = channel_layers(made)
    gate = np.array([1.0, 0.5, 0.0, 1.0])
    before = made.record([layer.output])[layer.output]
    after = made.record([layer.output], edits=gated(made, [layer], {layer.name: gate}))[layer.output]
    np.testing.assert_allclose(after, before * gate[:, None, None], atol=1e-5)


def test_more_rounds_close_more() -> None:
    made = tiny_bench(convolutional())
    (layer,) = channel_layers(made)
    original = np.abs(Edits(made.model).weight(layer)).sum()
    sums = []
    for rounds in (1, 4):
        outcome = run_method("neuron-mask", made, {"rounds": rounds})
        assert outcome.details["rounds"] == rounds
        sums.append(np.abs(outcome.edits.weight(layer)).sum())
    assert original > sums[0] > sums[1]
