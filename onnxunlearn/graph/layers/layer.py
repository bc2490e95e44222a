"""The nodes whose weights can be edited, and where each weight is stored.

Whatever way a file stores a weight (initializer or Constant node, transposed, reshaped, cast, quantised), a
layer shows it in one canonical layout: [outputs, inputs, *kernel]. Edits are made there and land in the
stored tensor. A quantised, half or fused layer is found in the lowered model, which says of its constants
what stored tensors they are made of (`Model.encodings`).
"""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable, in_the_file
from onnxunlearn.graph.stored import StoredTensor
from onnxunlearn.graph.view import Model


@dataclass(frozen=True, eq=False)
class Layer:
    """A Conv, Gemm or MatMul whose weight is stored in the file.

    weight: canonical [outputs, inputs / groups, *kernel]. bias: [outputs], the node's own or that of the
    Add behind it; None if there is none. output: the tensor behind that Add, in which neuron i is channel i
    of `axis`.
    """

    node: Node
    weight: StoredTensor
    bias: StoredTensor | None
    output: str

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def input(self) -> str:
        return self.node.inputs[0]

    @property
    def neurons(self) -> int:
        return int(self.weight.shape[0])

    @property
    def axis(self) -> int:
        """The axis of `output` that counts neurons."""
        return 1 if self.node.kind == "Conv" else -1

    @property
    def dense(self) -> bool:
        """Whether every output sees every input (Gemm, MatMul)."""
        return self.node.kind != "Conv"


def find_layers(model: Model) -> list[Layer]:
    """Every layer that can be edited, in graph order."""
    layers = (_layer(model, node) for node in model.nodes if node.kind in {"Conv", "Gemm", "MatMul"})
    return [layer for layer in layers if layer is not None]


def obstacle(model: Model, tensor: str) -> str:
    """Why the layer that makes `tensor` cannot be edited, in a few words."""
    for node in model.upstream(tensor):
        if node.kind in {"Conv", "Gemm", "MatMul"}:
            return f"{node}: {_why(model, node)}"
        if node.traits.opaque:
            return f"{node} keeps what it knows in its attributes, not in weights"
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


def _layer(model: Model, node: Node) -> Layer | None:
    if node.inputs[0] not in model.activations or node.inputs[1] in model.activations:
        return None
    weight = editable(model, node.inputs[1])
    if weight is None:
        return None
    if node.kind != "Conv":
        if len(weight.shape) != 2 or node.attribute("transA", 0):
            return None
        if not node.attribute("transB", 0):
            weight = weight.then(np.transpose)
    elif len(weight.shape) < 3:
        return None
    neurons, output = weight.shape[0], node.outputs[0]
    if len(node.inputs) > 2 and node.inputs[2]:
        return Layer(node, weight, _bias(model, node.inputs[2], neurons), output)
    # Behind a Conv the axes of space follow that of the neurons.
    trailing = len(weight.shape) - 2
    readers = model.consumers.get(output, [])
    if len(readers) == 1 and readers[0].kind == "Add":
        add = readers[0]
        operand = add.inputs[1] if add.inputs[0] == output else add.inputs[0]
        if (bias := _bias(model, operand, neurons, trailing)) is not None:
            return Layer(node, weight, bias, add.outputs[0])
    return Layer(node, weight, None, output)


def _bias(model: Model, name: str, neurons: int, trailing: int = 0) -> StoredTensor | None:
    """The stored tensor behind `name` if it is one number a neuron, `trailing` axes from the last."""
    found = editable(model, name)
    if found is None:
        return None
    axis = len(found.shape) - 1 - trailing
    if axis < 0 or found.shape[axis] != neurons or int(np.prod(found.shape)) != neurons:
        return None
    return found.then(lambda array: array.reshape(neurons))
