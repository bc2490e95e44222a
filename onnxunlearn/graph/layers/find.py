"""All layers of a model, or why a tensor has none."""

from collections.abc import Collection

from onnxunlearn.graph.layers.layer import PRODUCTS, Kind, Layer, layer
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable, in_the_file
from onnxunlearn.graph.view import Model


def find_layers(model: Model, kinds: Collection[Kind] = PRODUCTS) -> list[Layer]:
    """Every layer of these kinds that can be edited, in graph order."""
    found = (each for node in model.nodes if node.kind in layer for each in layer[node.kind](model, node))
    return [each for each in found if each.kind in kinds]


def in_attributes(node: Node) -> str:
    """What to say of a tree, or of what else has no weights that could be edited."""
    return (
        f"{node} keeps what it knows in its attributes, not in weights; "
        "such a model is trained again without the class"
    )


def obstacle(model: Model, tensor: str) -> str:
    """Why the layer that makes `tensor` cannot be edited, in a few words."""
    for node in model.upstream(tensor):
        if node.traits.linear:
            return f"{node}: {_why(model, node)}"
        if node.traits.opaque:
            return in_attributes(node)
    return f"no layer makes {tensor!r}"


def _why(model: Model, node: Node) -> str:
    name = in_the_file(model, node.inputs[1])
    if node.inputs[1] in model.activations:
        return f"its weight {name!r} is computed while the model runs"
    if any(t.values.name == name for t in (model.origin or model).graph.sparse_initializer):
        return f"its weight {name!r} is stored as a sparse tensor, which is only read"
    if editable(model, node.inputs[1]) is None:
        return f"its weight {name!r} is computed from other values when the model is loaded"
    return f"its weight {name!r} has no row for each class"
