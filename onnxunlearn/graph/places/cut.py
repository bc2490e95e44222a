"""The end of a detector as a model of windows: what a place is said to be, of a few places around it alone.

A map has thousands of places, of which a few dozen matter. What enters some last layers is recorded once, as
windows around those places; the layers are then run for these, whichever images they are of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import Layer
from onnxunlearn.graph.places.view import Writer
from onnxunlearn.graph.places.window import REACH, window_of
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.graph.view import Model

#: axes of a map that are places, [N, channels, height, width]
_PLACES = (2, 3)
#: which place of which sample, row by row: two arrays, int [n]
Where = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True, eq=False)
class Cut:
    """model: takes windows [n, channels, 2r + 1, 2r + 1] of the tensors of `reaches`, r by tensor, and gives
    what is said in their middle. Names of nodes, tensors and weights are the original's."""

    model: Model
    reaches: Mapping[str, int]

    @property
    def margin(self) -> int:
        """Places at the border whose windows would leave the map."""
        return max(self.reaches.values())

    def windows(self, tensor: str, values: np.ndarray, where: Where) -> np.ndarray:
        """Of the values of one of the tensors, [N, channels, height, width], around places clear of the
        border."""
        (sample, place), side = where, 2 * self.reaches[tensor] + 1
        y, x = np.divmod(place, values.shape[3])
        every = np.lib.stride_tricks.sliding_window_view(values, (side, side), axis=_PLACES)
        found = every[sample, :, y - self.reaches[tensor], x - self.reaches[tensor]]
        return np.ascontiguousarray(found, np.float32)


def seen_in_windows(model: Model, scores: str) -> frozenset[int]:
    """Nodes at the end of a model, by index, that make `scores`, [N, classes, height, width], of a few places
    around each alone."""
    return frozenset(node.index for node in window_of(model, scores, _PLACES, REACH).nodes)


def cut_before(model: Model, layers: Sequence[Layer], scores: str) -> Cut:
    """From the first of `layers` to `scores`, [N, classes, height, width], which they make. Raises
    UnsupportedError where places are not said of windows there."""
    tail = tail_of(model, layers, [scores], shape_arithmetic(model))
    window = window_of(model, scores, _PLACES, REACH, tail.boundary)
    known = {*tail.boundary} == {*window.entries} and all(
        need.axes == _PLACES and len(set(need.reach)) == 1 for need in window.needed.values()
    )
    if not known or not {layer.node.index for layer in layers} <= {node.index for node in window.nodes}:
        raise UnsupportedError(f"{scores!r}: the layers before it do not see a few places around each alone")
    reaches = {name: window.needed[name].reach[0] for name in window.entries}
    write = Writer(model)
    write.constants(window)
    for node in window.nodes:
        write.within(node, window)
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", None, 2 * r + 1, 2 * r + 1])
        for name, r in reaches.items()
    ]
    return Cut(write.ended(inputs, scores), reaches)
