"""A stored weight in one canonical layout, and the registry of the ops that have one."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from onnxunlearn.graph.layers.arrangement import Arrangement
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.storage import editable
from onnxunlearn.graph.stored import StoredTensor
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model
from onnxunlearn.registry import Registry

#: conv, dense     a matrix product of what the node reads, at every place
#: embedding       rows of a table, looked up; a dense layer on one-hot inputs
#: scale           channel by channel, of a normalisation or by itself
#: recurrent       inside an LSTM, GRU or RNN
Kind = Literal["conv", "dense", "embedding", "scale", "recurrent"]
#: layers whose output is a matrix product of their input
PRODUCTS: tuple[Kind, ...] = ("conv", "dense")
EVERY_KIND: tuple[Kind, ...] = (*PRODUCTS, "embedding", "scale", "recurrent")


@dataclass(frozen=True, eq=False)
class Layer:
    """A weight that is stored in the file, of a Conv, MatMul, LayerNormalization, LSTM …

    weight: canonical [outputs, inputs / groups, *kernel]; row i belongs to neuron i. bias: [outputs], the
    node's own or that of the Add behind it; None if there is none. output: the tensor behind that Add, in
    which neuron i is channel i of `axis`. operand: number of the node's input that the weight is. part: which
    weight it is, of a node that has several.
    """

    node: Node
    kind: Kind
    weight: StoredTensor
    bias: StoredTensor | None
    output: str
    axis: int
    arrangement: Arrangement
    operand: int = 1
    part: str = ""

    @property
    def name(self) -> str:
        return f"{self.node.name} {self.part}" if self.part else self.node.name

    @property
    def key(self) -> str:
        """Unique in the graph, where node names may be missing or repeated."""
        first = self.node.first_output
        return f"{first} {self.part}" if self.part else first

    @property
    def input(self) -> str:
        return self.node.inputs[0 if self.operand else 1]

    @property
    def neurons(self) -> int:
        return int(self.weight.shape[0])

    @property
    def dense(self) -> bool:
        """Whether every output sees every input (Gemm, MatMul)."""
        return self.kind == "dense"

    @property
    def added(self) -> int:
        """How many inputs add up in an output."""
        return 1 if self.kind in {"embedding", "scale"} else int(np.prod(self.weight.shape[1:]))


#: node -> its layers
Finder = Callable[[Model, Node], Iterable[Layer]]
#: op -> how to find the layers of such a node
layer: Registry[Finder] = Registry("layer")


def with_bias_behind(
    model: Model, output: str, neurons: int, trailing: int
) -> tuple[StoredTensor | None, str]:
    """The bias in an Add that alone reads `output`, and the tensor behind it; None and `output` itself if
    there is none. trailing: axes behind that of the neurons."""
    readers = model.consumers.get(output, [])
    if len(readers) == 1 and readers[0].kind == "Add":
        add = readers[0]
        operand = add.inputs[1] if add.inputs[0] == output else add.inputs[0]
        if (bias := bias_of(model, operand, neurons, trailing)) is not None:
            return bias, add.outputs[0]
    return None, output


def bias_of(model: Model, name: str, neurons: int, trailing: int = 0) -> StoredTensor | None:
    """The stored tensor behind `name` if it is one number a neuron, `trailing` axes from the last."""
    found = editable(model, name)
    if found is None:
        return None
    axis = len(found.shape) - 1 - trailing
    if axis < 0 or found.shape[axis] != neurons or int(np.prod(found.shape)) != neurons:
        return None
    return found.then(lambda array: array.reshape(neurons))


def holds_floats(model: Model, stored: StoredTensor) -> bool:
    """Whether what is seen as a weight is one, and not indices or bytes."""
    return model.stored[stored.name].data_type in FLOATS


def arranged(stored: StoredTensor, arrangement: Arrangement) -> StoredTensor:
    """The stored tensor as the canonical layout shows it."""
    return stored.then(arrangement.to_canonical) if arrangement.inward else stored
