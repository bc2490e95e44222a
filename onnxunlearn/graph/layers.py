"""The nodes whose weights can be edited, and where each weight is stored.

Whatever way a file stores a weight (initializer or Constant node, transposed, reshaped, cast), a layer
shows it in one canonical layout: [outputs, inputs, *kernel]. Edits are made there and land in the stored
tensor, because a `StoredTensor` knows for every canonical element the flat position it is stored at.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from onnxunlearn.graph.model import LAYOUT_OPS, Model, Node, evaluate


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor in the file, seen through the layout ops between it and its consumer.

    positions: flat index into the stored values, for each element as the consumer (or, for a layer's
    weight, the canonical layout) sees it.
    readers: every node that reads the stored values, through whatever layout ops; not those that ask only
    for their shape.
    """

    name: str
    positions: np.ndarray = field(repr=False)
    readers: tuple[Node, ...]

    @property
    def shared(self) -> bool:
        """Whether an edit would change more than one node."""
        return len(self.readers) > 1

    def view(self, stored: np.ndarray) -> np.ndarray:
        """The stored values as the consumer sees them (a copy, float32 or wider)."""
        seen = stored.reshape(-1)[self.positions]
        return seen.astype(np.result_type(seen.dtype, np.float32), copy=False)

    def write(self, stored: np.ndarray, seen: np.ndarray) -> np.ndarray:
        """A copy of the stored values in which the consumer sees `seen`; dtype as stored."""
        changed = stored.copy()
        changed.reshape(-1)[self.positions.reshape(-1)] = seen.reshape(-1).astype(stored.dtype)
        return changed


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
        return int(self.weight.positions.shape[0])

    @property
    def axis(self) -> int:
        """The axis of `output` that counts neurons."""
        return 1 if self.node.kind == "Conv" else -1

    @property
    def dense(self) -> bool:
        """Whether every output sees every input (Gemm, MatMul)."""
        return self.node.kind != "Conv"


def stored_tensor(model: Model, name: str) -> StoredTensor | None:
    """Where the values of a constant tensor are stored; None if they are computed or not in the file."""
    chain: list[Node] = []
    while name not in model.stored:
        node = model.producer.get(name)
        if node is None or node.kind not in LAYOUT_OPS:
            return None
        chain.append(node)
        name = node.inputs[0]
    shape = tuple(model.stored[name].dims)
    positions = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape)
    for node in reversed(chain):
        if node.kind != "Cast":
            operands = [model.constant(n) for n in node.inputs[1:]]
            if any(operand is None for operand in operands):
                return None
            try:
                positions = evaluate(node, [positions, *operands])[0]
            except Exception:  # a layout op that does not fit its operand: nobody can run it
                return None
    return StoredTensor(name, positions, tuple(_readers(model, name)))


def _readers(model: Model, name: str) -> Iterator[Node]:
    waiting = [name]
    while waiting:  # no recursion: chains may be long
        name = waiting.pop()
        for node in model.consumers.get(name, ()):
            if node.kind in LAYOUT_OPS and node.inputs[0] == name:
                waiting.append(node.outputs[0])
            elif node.kind not in {"Shape", "Size"}:  # which no edit changes
                yield node


def find_layers(model: Model) -> list[Layer]:
    """Every layer that can be edited, in graph order."""
    layers = (_layer(model, node) for node in model.nodes if node.kind in {"Conv", "Gemm", "MatMul"})
    return [layer for layer in layers if layer is not None]


def _layer(model: Model, node: Node) -> Layer | None:
    if node.inputs[0] not in model.activations or node.inputs[1] in model.activations:
        return None
    weight = stored_tensor(model, node.inputs[1])
    if weight is None:
        return None
    if node.kind != "Conv":
        if weight.positions.ndim != 2 or node.attribute("transA", 0):
            return None
        if not node.attribute("transB", 0):
            weight = replace(weight, positions=weight.positions.T)
    elif weight.positions.ndim < 3:
        return None
    neurons, output = weight.positions.shape[0], node.outputs[0]
    if len(node.inputs) > 2 and node.inputs[2]:
        return Layer(node, weight, _bias(model, node.inputs[2], neurons), output)
    # Behind a Conv the axes of space follow that of the neurons.
    trailing = weight.positions.ndim - 2
    readers = model.consumers.get(output, [])
    if len(readers) == 1 and readers[0].kind == "Add":
        add = readers[0]
        operand = add.inputs[1] if add.inputs[0] == output else add.inputs[0]
        if (bias := _bias(model, operand, neurons, trailing)) is not None:
            return Layer(node, weight, bias, add.outputs[0])
    return Layer(node, weight, None, output)


def _bias(model: Model, name: str, neurons: int, trailing: int = 0) -> StoredTensor | None:
    """The stored tensor behind `name` if it is one number a neuron, `trailing` axes from the last."""
    found = stored_tensor(model, name)
    if found is None:
        return None
    axis = found.positions.ndim - 1 - trailing
    if axis < 0 or found.positions.shape[axis] != neurons or found.positions.size != neurons:
        return None
    return replace(found, positions=found.positions.reshape(neurons))
