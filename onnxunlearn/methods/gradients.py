"""Gradients of a loss on the logits, at every layer, through the `gradient` relevance graph: no torch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph import Layer
from onnxunlearn.methods.layer_inputs import output_rows
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.relevance import parse_composite

GRADIENT = parse_composite("gradient")


@dataclass(frozen=True)
class GradientBatch:
    """samples: which probes. tensors: recorded, samples first. signals: by layer name, ∂L/∂(its output) in
    the order of `output_rows`, [n, groups, positions, neurons / groups]."""

    samples: np.ndarray
    tensors: dict[str, np.ndarray]
    signals: dict[str, np.ndarray]


def gradients(
    bench: Workbench,
    layers: Sequence[Layer],
    tensors: Sequence[str],
    samples: np.ndarray,
    seed: np.ndarray,
) -> Iterator[GradientBatch]:
    """The gradient at each of `layers`, and the recorded `tensors`, batch by batch.

    samples: indices of probes. seed: ∂L/∂logits of each of them, [len(samples), classes].
    """
    outputs = [layer.output for layer in layers]
    for start in range(0, len(samples), bench.batch_size):
        part = slice(start, start + bench.batch_size)
        found = bench.relevance(outputs, samples[part], seed[part], lambda _, r: r, GRADIENT)
        recorded = bench.record(tensors, samples[part])
        signals = {layer.name: output_rows(layer, found[layer.output]) for layer in layers}
        yield GradientBatch(samples[part], recorded, signals)
