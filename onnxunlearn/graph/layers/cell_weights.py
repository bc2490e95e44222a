"""The weights of LSTM, GRU and RNN: what a hidden unit makes of the input, of the state, and adds."""

from collections.abc import Iterator

from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.layers.layer import Layer, arranged, layer
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable
from onnxunlearn.graph.view import Model

#: the node's inputs 1, 2, 3
_PARTS = ("W", "R", "B")


@layer("LSTM", "GRU", "RNN")
def cell(model: Model, node: Node) -> Iterator[Layer]:
    """A neuron is a hidden unit of a direction; its row holds what all its gates read.

    W [directions, gates·hidden, inputs] and R [directions, gates·hidden, hidden] are seen as
    [directions·hidden, inputs, gates], B [directions, 2·gates·hidden] as [directions·hidden, 1, 2·gates].
    """
    recalled = node.inputs[2]
    hidden = editable(model, recalled)
    if node.inputs[0] not in model.activations or hidden is None or len(hidden.shape) != 3:
        return
    directions, stacked, units = hidden.shape
    if directions > 1 and not node.outputs[0]:
        return  # of the last states alone nobody can say which direction a channel belongs to
    for operand, part in enumerate(_PARTS, start=1):
        name = node.inputs[operand] if len(node.inputs) > operand else ""
        if not name or (found := editable(model, name)) is None:
            continue
        gates = (2 if part == "B" else 1) * stacked // units
        split = (directions, gates, units, *found.shape[2:])
        order = (0, 2, 3, 1) if part != "B" else (0, 2, 1)
        inputs = found.shape[2] if part != "B" else 1
        arrangement = Arrangement(found.shape, split, order, (directions * units, inputs, gates))
        weight = arranged(found, arrangement)
        yield Layer(node, "recurrent", weight, None, node.first_output, -1, arrangement, operand, part)
