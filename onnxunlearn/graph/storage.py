"""Where the file keeps what a constant of the model is made of, and who else reads it."""

from dataclasses import replace

import numpy as np
import onnx

from onnxunlearn.graph.folding import evaluate
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.quantised import Quantised
from onnxunlearn.graph.stored import Step, StoredTensor
from onnxunlearn.graph.view import Model


def stored_tensor(model: Model, name: str) -> StoredTensor | None:
    """Where the values of a constant tensor are stored; None if they are computed or not in the file."""
    chain: list[Node] = []
    while name not in model.stored:
        node = model.producer.get(name)
        if node is None or not node.traits.layout:
            return None
        chain.append(node)
        name = node.inputs[0]
    steps: list[Step] = []
    for node in reversed(chain):
        if node.kind not in {"Cast", "Identity"}:
            operands = [model.constant(n) for n in node.inputs[1:]]
            if any(operand is None for operand in operands):
                return None
            steps.append(_step(node, operands))
    found = StoredTensor(name, tuple(model.stored[name].dims), model.readers(name), tuple(steps))
    try:
        return found if found.shape is not None else None
    except Exception:  # a layout op that does not fit its operand: nobody can run it
        return None


def _step(node: Node, operands: list[np.ndarray | None]) -> Step:
    if node.kind == "Transpose":
        order = node.attribute("perm")
        return lambda array: array.transpose(order)
    return lambda array: evaluate(node, [array, *operands])[0]


def editable(model: Model, name: str) -> StoredTensor | None:
    """Where the values lie, if the file holds them or what they are made of."""
    found = stored_tensor(model, name)
    if found is None or model.origin is None:
        return found
    encoding = model.encodings.get(found.name)
    parts = [found] if encoding is None else encoding.parts
    for part in parts:
        tensor = model.origin.stored.get(part.name)
        if tensor is None or tuple(tensor.dims) != part.stored_shape:
            return None
    # Each reader of stored integers has floats of its own in the lowered model.
    readers = found.readers if encoding is None else _readers(model.origin, encoding)
    return replace(found, readers=readers) if len(readers) > len(found.readers) else found


def in_the_file(model: Model, name: str) -> str:
    """The tensor of the file that lowering made `name` of; `name` itself if it is one."""
    file = model.origin or model
    while name not in file.producer and name not in file.stored:
        maker = model.producer.get(name)
        if maker is None or not maker.inputs:
            break
        name = maker.inputs[0]
    return name


def may_grow(file: Model, encoding: Quantised) -> bool:
    """Whether scale and zero point are this constant's alone, and not those of an accumulator."""
    if encoding.by_the_graph or len(encoding.scales) != 1:
        return False
    if file.stored[encoding.integers.name].data_type == onnx.TensorProto.INT32:
        return False
    others = [stored_tensor(file, part.name) for part in encoding.parts[1:]]
    return all(part is not None and not part.shared for part in others)


def counts_bytes(file: Model, encoding: Quantised) -> bool:
    """Whether the zero points lie in a list of numbers that take as many bytes as each needs."""
    if not isinstance(encoding.zero, StoredTensor):
        return False
    return bool(file.stored[encoding.zero.name].int32_data)


def _readers(file: Model, encoding: Quantised) -> tuple[Node, ...]:
    """The nodes of the file that read the integers."""
    found = stored_tensor(file, encoding.integers.name)
    return found.readers if found else ()
