"""Merge what scales and shifts a linear node's channels into that node, as training frameworks do at export.

LRP of Conv → BatchNormalization is defined on the merged layer: w·γ/√(v+ε). The model is not changed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph import Model, Node
from onnxunlearn.reverse.adjoints import Site
from onnxunlearn.reverse.adjoints.arithmetic import scale_and_shift


@dataclass(frozen=True)
class Merged:
    """output: tensor behind the last merged node. nodes: their indices. scale, shift: per channel."""

    output: str
    nodes: tuple[int, ...]
    scale: np.ndarray
    shift: np.ndarray


def merge_behind(model: Model, node: Node, stop: str, site_of: Callable[[Node], Site]) -> Merged | None:
    """What can be merged into `node`: the chain of its only readers, while they scale and shift channels.

    Stops at the tensor `stop` (the logits). None if there is nothing to merge.
    """
    channels = node.traits.channels
    if channels is None or sum(name in model.activations for name in node.inputs) != 1:
        return None  # a product of two activations has no weight to merge into
    if node.kind == "MatMul" and node.inputs[1] in model.activations:
        return None  # of W·x the last axis, which is scaled, is one of x
    output, nodes = node.outputs[0], list[int]()
    scale, shift = np.ones(()), np.zeros(())
    while output != stop:
        readers = model.consumers.get(output, [])
        if len(readers) != 1 or not readers[0].traits.affine:
            break
        reader = readers[0]
        if sum(name in model.activations for name in reader.inputs) != 1:
            break
        parts = _per_channel(site_of(reader), channels)
        if parts is None:
            break
        scale, shift = scale * parts[0], shift * parts[0] + parts[1]
        output, nodes = reader.outputs[0], [*nodes, reader.index]
    return Merged(output, tuple(nodes), scale, shift) if nodes else None


def _per_channel(site: Site, axis: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Scale and shift as vectors over the channels; None if they differ within a channel."""
    input = 0 if site.carries(0) else 1
    if site.node.kind == "Div" and input:
        return None
    parts = scale_and_shift(site)
    shape = site.shape(input)
    if shape != site.y_shape:
        return None
    vectors = []
    for part in parts:
        full = part.reshape((1,) * (len(shape) - part.ndim) + part.shape)
        if any(n != 1 for i, n in enumerate(full.shape) if i != axis % len(shape)):
            return None
        vectors.append(np.broadcast_to(full.reshape(-1), (shape[axis],)))
    return vectors[0], vectors[1]
