"""Scale and shift of a normalisation, and factors of channels: y_c = γ_c·x̂_c + β_c; a row is one number."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.layers.layer import Layer, arranged, bias_of, holds_floats, layer, with_bias_behind
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable
from onnxunlearn.graph.view import Model

#: axis of the channels, in ops that have a scale as input 1 and (but for RMSNormalization) a shift as input 2
_AXES = {
    "BatchNormalization": 1,
    "InstanceNormalization": 1,
    "GroupNormalization": 1,
    "LayerNormalization": -1,
    "RMSNormalization": -1,
}


@layer(*_AXES)
def normalisation(model: Model, node: Node) -> Iterator[Layer]:
    """A neuron is a channel. Only where γ has one number for each: not over more axes than one, and not of a
    GroupNormalization before opset 21, which has one for each group."""
    if node.kind == "GroupNormalization" and node.opset < 21:
        return
    if node.inputs[0] not in model.activations or (scale := editable(model, node.inputs[1])) is None:
        return
    if len(scale.shape) != 1:
        return
    arrangement = _column(scale.shape)
    shift = (
        bias_of(model, node.inputs[2], scale.shape[0]) if len(node.inputs) > 2 and node.inputs[2] else None
    )
    weight = arranged(scale, arrangement)
    yield Layer(node, "scale", weight, shift, node.outputs[0], _AXES[node.kind], arrangement)


@layer("Mul")
def factors(model: Model, node: Node) -> Iterator[Layer]:
    """What normalisations are taken apart into, and the scale of a residual branch: an activation times one
    stored number for each channel."""
    moving = [name in model.activations for name in node.inputs]
    if sum(moving) != 1:
        return
    operand = moving.index(False)
    found, shape = editable(model, node.inputs[operand]), model.shapes.get(node.inputs[1 - operand])
    if found is None or not holds_floats(model, found) or not shape:
        return
    wide = [axis for axis, size in enumerate(found.shape) if size > 1]
    trailing = len(found.shape) - 1 - wide[0] if len(wide) == 1 else 0
    if len(wide) != 1 or len(shape) < 2 + trailing or shape[-1 - trailing] != found.shape[wide[0]]:
        return
    arrangement = _column(found.shape)
    shift, output = with_bias_behind(model, node.outputs[0], arrangement.canonical[0], trailing)
    weight = arranged(found, arrangement)
    yield Layer(node, "scale", weight, shift, output, -1 - trailing, arrangement, operand)


def _column(shape: tuple[int, ...]) -> Arrangement:
    column = (int(np.prod(shape)), 1)
    return Arrangement(shape, column, (0, 1), column)
