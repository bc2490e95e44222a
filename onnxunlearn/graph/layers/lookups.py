"""Embeddings: rows of a stored table, looked up by what is fed."""

from collections.abc import Iterator

from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.layers.layer import Layer, arranged, holds_floats, layer
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable
from onnxunlearn.graph.view import Model


@layer("Gather")
def embedding(model: Model, node: Node) -> Iterator[Layer]:
    """A dense layer on one-hot inputs: a neuron is a column of the table [entries, size], an input an entry.

    Not what is looked up by position alone: that is the same for every sample.
    """
    table, looked_up = node.inputs
    by_data = looked_up in model.activations and looked_up not in model.by_shape
    if not by_data or node.attribute("axis", 0) != 0 or (found := editable(model, table)) is None:
        return
    if len(found.shape) != 2 or not holds_floats(model, found):
        return
    arrangement = Arrangement.turned(found.shape)
    weight = arranged(found, arrangement)
    yield Layer(node, "embedding", weight, None, node.outputs[0], -1, arrangement, operand=0)
