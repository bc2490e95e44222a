"""Conv, ConvTranspose, Gemm and MatMul: a matrix product, at every place of an image or sequence."""

from collections.abc import Iterator

from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.layers.layer import Layer, arranged, bias_of, layer, with_bias_behind
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable
from onnxunlearn.graph.view import Model


@layer("Conv", "ConvTranspose")
def convolution(model: Model, node: Node) -> Iterator[Layer]:
    """A neuron is an output channel. A ConvTranspose reads [inputs, outputs / groups, *kernel]."""
    if node.inputs[0] not in model.activations or (weight := editable(model, node.inputs[1])) is None:
        return
    shape = weight.shape
    if len(shape) < 3:
        return
    arrangement = Arrangement.unchanged(shape)
    if node.kind == "ConvTranspose":
        group = int(node.attribute("group", 1))
        inputs, outputs = shape[0] // group, shape[1]
        order = (0, 2, 1, *range(3, 1 + len(shape)))
        split, canonical = (group, inputs, outputs, *shape[2:]), (group * outputs, inputs, *shape[2:])
        arrangement = Arrangement(shape, split, order, canonical)
    neurons, output = arrangement.canonical[0], node.outputs[0]
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = bias_of(model, node.inputs[2], neurons)
    else:  # behind a convolution the axes of space follow that of the neurons
        bias, output = with_bias_behind(model, output, neurons, len(shape) - 2)
    yield Layer(node, "conv", arranged(weight, arrangement), bias, output, 1, arrangement)


@layer("Gemm", "MatMul")
def dense(model: Model, node: Node) -> Iterator[Layer]:
    """A neuron is a column of the matrix that x is multiplied by (of a Gemm with transB a row)."""
    if node.inputs[0] not in model.activations or (weight := editable(model, node.inputs[1])) is None:
        return
    if len(weight.shape) != 2 or node.attribute("transA", 0):
        return
    turned = not node.attribute("transB", 0)
    arrangement = Arrangement.turned(weight.shape) if turned else Arrangement.unchanged(weight.shape)
    neurons, output = arrangement.canonical[0], node.outputs[0]
    if len(node.inputs) > 2 and node.inputs[2]:
        bias = bias_of(model, node.inputs[2], neurons)
    else:
        bias, output = with_bias_behind(model, output, neurons, 0)
    yield Layer(node, "dense", arranged(weight, arrangement), bias, output, -1, arrangement)
