"""Neuron masking: gates on neurons, learnt so that the class's probes look as if never seen.

    m ∈ [0, 1] for each neuron of every layer but the head, 1 at first; z' = m z
    L(m) = mean over the class's probes of KL(q ‖ p) + penalty · |1 − m|₁
        p: the model's softmax; q: p with the forgotten classes left out
    m ← m − η max(0, g/|g|_max − penalty)       g = ∂KL/∂m = Σ over space of z ∂KL/∂z, a few rounds
    W' = diag(m) W,  b' = m b                   the same, folded into the layer

Liu, Ma, Liu, Liu, Jiang, Ma, Yu, Ren, "Learn to Forget: Machine Unlearning via Neuron Masking" (Forsaken),
2020 (arXiv:2003.10933). There a generator makes mask gradients that drive the outputs for the forgotten
samples to the distribution of data the model never saw, with an L1 penalty against forgetting too much. Here
that distribution is what the model says of the other classes, and the generator is the gradient itself, from
the `gradient` relevance graph. The rounds go on as far as the retain budget allows.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer
from onnxunlearn.methods.channels import channel_layers
from onnxunlearn.methods.gradients import gradients
from onnxunlearn.methods.layer_inputs import output_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import softmax

#: how far the strongest neuron's gate closes in the first round
STEP = 0.1
ROUNDS = 20


@method("neuron-mask")
def neuron_mask(bench: Workbench, *, rounds: int | None = None, penalty: float = 0.1) -> Outcome:
    """Closes gates on the neurons that tell the class from the others, by the gradient of a forgetting loss.

    rounds: gradient steps; as many as the budget allows where not given. penalty: share of the steepest
    gradient below which a gate stays open.

    Source: Liu et al. 2020, arXiv:2003.10933.
    """
    check_number("neuron-mask: rounds", rounds, 1, whole=True)
    check_number("neuron-mask: penalty", penalty, 0, 1)
    layers = channel_layers(bench)

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        gates = {layer.name: np.ones(layer.neurons) for layer in layers}
        edits, steepest = Edits(bench.model), 0.0
        for number in range(1, (rounds or ROUNDS) + 1):
            slopes = gate_gradients(bench.under(edits), gates)
            steepest = steepest or max((float(g.max(initial=0)) for g in slopes.values()), default=0.0)
            if steepest <= 0:
                return
            for name, slope in slopes.items():
                step = STEP * np.maximum(slope / steepest - penalty, 0)
                gates[name] = np.clip(gates[name] - step, 0, 1)
            edits = gated(bench, layers, gates)
            if rounds in (None, number):
                closed = {name: int((gate < 1).sum()) for name, gate in gates.items()}
                yield {"rounds": number, "penalty": penalty, "neurons": closed}, edits

    return best(bench, candidates(), asked=rounds is not None)


def gated(bench: Workbench, layers: list[Layer], gates: Mapping[str, np.ndarray]) -> Edits:
    """The original with each layer's rows and bias multiplied by its gates."""
    edits = Edits(bench.model)
    for layer in layers:
        gate = gates[layer.name]
        if (gate < 1).any():
            weight, bias = edits.weight(layer), edits.bias(layer)
            edits.set_weight(layer, weight * gate.reshape(-1, *[1] * (weight.ndim - 1)))
            if bias is not None:
                edits.set_bias(layer, bias * gate)
    return edits


def gate_gradients(bench: Workbench, gates: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """∂KL/∂m of every gate, [neurons] by layer name. bench: of the model as it is gated by now."""
    layers = [layer for layer in bench.editable if layer.name in gates]
    samples = np.flatnonzero(bench.forgotten)
    p = softmax(bench.before[samples].astype(np.float64))
    q = p.copy()
    q[:, list(bench.forget)] = 0
    q /= np.maximum(q.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    found = {layer.name: np.zeros(layer.neurons) for layer in layers}
    for batch in gradients(bench, layers, [layer.output for layer in layers], samples, p - q):
        for layer in layers:
            z = output_rows(layer, batch.tensors[layer.output])
            product = (z * batch.signals[layer.name]).sum(axis=(0, 2)).reshape(-1)
            found[layer.name] += product / len(samples)
    return {name: g / np.maximum(gates[name], 1e-3) for name, g in found.items()}
