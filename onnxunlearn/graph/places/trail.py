"""Columns of a tensor, followed back to the layer that makes them: by which nodes they came."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.graph.layers import Layer
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model
from onnxunlearn.registry import Registry

#: what stands between scores and an output, as far as it decides how scores are read
NORMALISERS = ("Sigmoid", "Softmax")
#: trails that one tensor is followed along at most
_MOST = 4096


@dataclass(frozen=True, eq=False)
class Trail:
    """Some columns of a tensor, seen in one before it.

    tensor, axis: where they are now. rank: how many axes that tensor has. index: where along that axis,
    [ways, columns]; several ways where each column is there for several anchors. columns: which of the first
    tensor's they are, -1 for one that was left out behind a Softmax. done: ops behind them, nearest the layer
    first. placed: whether something that differs from place to place came in, as anchors do. times: what they
    are multiplied by, one number a place. layer: whose output `tensor` is, and whose neurons `index` counts;
    None where they could not be followed to one.
    """

    tensor: str
    axis: int
    rank: int
    index: np.ndarray
    columns: np.ndarray
    done: tuple[str, ...] = ()
    placed: bool = False
    times: tuple["Trail", ...] = ()
    layer: Layer | None = None

    @property
    def normaliser(self) -> str | None:
        return next((op for op in self.done if op in NORMALISERS), None)

    @property
    def whole(self) -> bool:
        """Whether the columns are scores of something: nothing but a normaliser was done to them, and the
        square root of a product with what else a detector says."""
        return not self.placed and all(op in NORMALISERS or op == "Sqrt" for op in self.done)


#: output -> the layer that makes it
Layers = Mapping[str, Layer]
#: (model, node, trail) -> the trail in front of the node, in one or several tensors; nothing where it ends
Step = Callable[[Model, Node, Trail], list[Trail]]
step: Registry[Step] = Registry("step")


def trails(model: Model, layers: Layers, tensor: str, axis: int) -> list[Trail]:
    """Where the columns of a tensor, along an axis of known size, come from, in the order of places."""
    shape = shape_of(model, tensor) or ()
    every = np.arange(shape[axis] or 0)
    waiting, ended = [Trail(tensor, axis, len(shape), every[None], every)], list[Trail]()
    while waiting and len(ended) < _MOST:  # no recursion: chains may be long
        trail = waiting.pop()
        if (layer := _maker(model, layers, trail)) is not None:
            ended.append(replace(trail, layer=layer))
            continue
        node = model.producer.get(trail.tensor)
        known = node is not None and trail.tensor in model.activations and node.kind in step
        before = step[node.kind](model, node, trail) if node is not None and known else []
        waiting += reversed(before)
        if not before:
            ended.append(trail)
    return ended


def _maker(model: Model, layers: Layers, trail: Trail) -> Layer | None:
    """The layer that has a neuron for each index."""
    layer = layers.get(trail.tensor)
    if layer is None:
        return None
    axis = layer.axis if layer.axis >= 0 else layer.axis + trail.rank
    return layer if trail.axis == axis and trail.index.max(initial=0) < layer.neurons else None


def rank_of(model: Model, tensor: str) -> int | None:
    """How many axes a tensor has, whether or not it depends on the inputs."""
    shape = shape_of(model, tensor)
    return None if shape is None else len(shape)


def shape_of(model: Model, tensor: str) -> tuple[int | None, ...] | None:
    """Likewise its sizes."""
    if tensor in model.shapes:
        return model.shapes[tensor]
    value = None if tensor in model.activations else model.constant(tensor)
    return None if value is None else tuple(value.shape)


def activations(model: Model, node: Node) -> Iterator[str]:
    """The inputs that are more than constants, and than counts of places."""
    for name in dict.fromkeys(node.inputs):
        if name in model.activations and name not in model.by_shape:
            yield name
