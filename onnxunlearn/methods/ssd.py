"""SSD, selective synaptic dampening: weaken the weights that matter to the class more than to the rest.

    F_D[θ] = mean over D of (∂ℓ/∂θ)²      diagonal of the Fisher information; ℓ = cross-entropy, sample by
                                          sample; once for the forget probes, F_f, once for all of them, F
    θ' = min(λ F/F_f, 1) · θ    where F_f > α F        (else θ)

Foster, Schoepf, Brintrup, "Fast Machine Unlearning Without Retraining Through Selective Synaptic
Dampening", AAAI 2024 (the authors' code squares the mean gradient of a batch instead). Published are α =
10, λ = 1 for ResNet-18 on CIFAR; but of ten equally frequent classes none can have F_f > 10 F, so both are
searched where not given. ∂ℓ/∂W of a layer is the gradient at its output, from the `gradient` relevance
graph, times what it reads; where it reads once a sample, as the head does, F is a product of squares in
closed form. Embeddings, recurrent and normalisation layers' own weights change where the head is the only
other layer (`Workbench.trainable`); their gradients are taken sample by sample.

It lives on the loss: of a class that the model is sure of, ∂ℓ/∂θ all but vanishes, and there is little to
find. Without retained probes F = F_f, and nothing is selected by α ≥ 1.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, expose
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import PRODUCTS
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.gradients import gradients
from onnxunlearn.methods.layer_inputs import from_weight_rows, input_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import softmax
from onnxunlearn.reverse import Differentiator
from onnxunlearn.reverse.differentiate import Gradients

#: tried where none is given: how many times more a weight must matter to the class
ALPHAS = 9.0, 6.0, 4.0, 3.0, 2.0, 1.0, 0.3, 0.1, 0.03, 0.01
#: tried where none is given: what is left of a weight that matters as much to everything
LAMBDAS = 1.0, 0.1, 0.01


@dataclass(frozen=True)
class Fisher:
    """Diagonal Fisher information of a layer: weight in canonical layout, bias [neurons]."""

    weight: np.ndarray
    bias: np.ndarray


@method("ssd")
def ssd(bench: Workbench, *, alpha: float | None = None, dampening: float | None = None) -> Outcome:
    """Dampens the weights whose Fisher information is higher on the class than on everything.

    alpha: how many times higher it must be, 10 as published; searched where not given. dampening: the paper's
    λ, 1 as published; searched where not given.

    Source: Foster, Schoepf, Brintrup 2024, AAAI, arXiv:2308.07707.
    """
    check_number("ssd: alpha", alpha, 0)
    check_number("ssd: dampening", dampening, 0)
    forget = fisher(bench, np.flatnonzero(bench.forgotten))
    retain = fisher(bench, np.flatnonzero(~bench.forgotten))
    share = bench.forgotten.mean()
    everything = {
        layer: Fisher(
            share * forget[layer].weight + (1 - share) * retain[layer].weight,
            share * forget[layer].bias + (1 - share) * retain[layer].bias,
        )
        for layer in forget
    }

    alphas = ALPHAS if alpha is None else (alpha,)
    lambdas = LAMBDAS if dampening is None else (dampening,)

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        for tried, left in product(alphas, lambdas):
            edits, changed = Edits(bench.model), 0
            for layer, whole in everything.items():
                part = forget[layer]
                factors = factor(part.weight, whole.weight, tried, left)
                changed += int((factors != 1).sum())
                edits.set_weight(layer, edits.weight(layer) * factors)
                bias = edits.bias(layer)
                if bias is not None and layer.bias is not None and not layer.bias.shared:
                    edits.set_bias(layer, bias * factor(part.bias, whole.bias, tried, left))
            yield {"alpha": tried, "dampening": left, "weights": changed}, edits

    return best(bench, candidates(), asked=alpha is not None and dampening is not None)


def factor(forget: np.ndarray, everything: np.ndarray, alpha: float, dampening: float) -> np.ndarray:
    """What each weight is multiplied by, at most 1."""
    selected = forget > alpha * everything
    ratio = dampening * np.divide(everything, forget, out=np.ones_like(forget), where=forget > 0)
    return np.where(selected, np.minimum(ratio, 1), 1)


def fisher(bench: Workbench, samples: np.ndarray) -> Mapping[Layer, Fisher]:
    """Of every trainable layer, over the given probes (indices), with their labels; 0 without probes."""
    every = bench.trainable
    weights = {layer: np.zeros(layer.weight.shape) for layer in every}
    biases = {layer: np.zeros(layer.neurons) for layer in every}
    if len(samples):
        seed = softmax(bench.before[samples].astype(np.float64))
        seed[np.arange(len(samples)), bench.y[samples]] -= 1
        layers = [layer for layer in every if layer.kind in PRODUCTS]
        others = [layer for layer in every if layer.kind not in PRODUCTS]
        for found in _by_sample(bench, others, samples, seed) if others else ():
            for layer in others:
                weight, bias = found[layer.name]
                weights[layer] += weight.astype(np.float64) ** 2 / len(samples)
                biases[layer] += 0 if bias is None else bias.astype(np.float64) ** 2 / len(samples)
        for batch in gradients(bench, layers, [layer.input for layer in layers], samples, seed):
            for layer in layers:
                signals = batch.signals[layer.name].astype(np.float64)
                squares = squared(input_rows(layer, batch.tensors[layer.input]), signals)
                weights[layer] += from_weight_rows(layer, squares) / len(samples)
                biases[layer] += (signals.sum(axis=2) ** 2).sum(axis=0).reshape(-1) / len(samples)
    return {layer: Fisher(weights[layer], biases[layer]) for layer in every}


def _by_sample(
    bench: Workbench, layers: Sequence[Layer], samples: np.ndarray, seed: np.ndarray
) -> Iterator[Gradients]:
    """∂ℓ/∂(weight, bias) by layer name, of one probe after the other. seed: ∂ℓ/∂logits."""
    model, logits = bench.model, bench.logits.tensor
    tail = tail_of(model, layers, [logits], shape_arithmetic(model))
    network, edits = Differentiator(tail, [logits], bench.engine), Edits(model)
    weights = {la.name: (edits.weight(la).astype(np.float32), edits.bias(la)) for la in layers}
    if model.batch_size not in {None, 1}:
        built = f"{model.batch_size} is built into the model"
        raise UnsupportedError(f"method ssd needs a free batch size for {layers[0].name!r}; {built}")
    fed = {i.name for i in model.inputs}
    inner = [name for name in tail.boundary if name not in fed]
    session = bench.engine.session(expose(model, inner), model.folder) if inner else None
    for sample, signal in zip(samples, seed, strict=True):
        feeds = {name: value[sample : sample + 1] for name, value in bench.probes.feeds.items()}
        known = {**({} if session is None else session.run(feeds)), **feeds}
        boundary = {name: known[name] for name in tail.boundary}
        recorded = network.record(boundary, weights)
        shaped = signal.reshape(recorded[logits].shape).astype(np.float32)
        yield network.gradients(boundary, recorded, {logits: shaped})


def squared(rows: np.ndarray, signals: np.ndarray) -> np.ndarray:
    """Σ over samples of (∂ℓ/∂W)², [groups, neurons, width].

    rows: [n, groups, positions, width], what the layer reads; signals: the same of its output's gradient.
    """
    if rows.shape[2] == 1:  # (s xᵀ)² = s² (x²)ᵀ
        by_group = (signals[:, :, 0] ** 2).transpose(1, 2, 0), (rows[:, :, 0] ** 2).transpose(1, 0, 2)
        return np.asarray(by_group[0] @ by_group[1])
    return np.asarray(((signals.swapaxes(-1, -2) @ rows) ** 2).sum(axis=0))
