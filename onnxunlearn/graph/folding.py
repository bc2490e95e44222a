"""Constant folding, and what it may cost: a node of 30 bytes can ask for a terabyte, or for an hour."""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.traits import Folds

#: elements that one folded tensor may have, if NumPy makes them at once, and if the evaluator loops in Python
MOST_ELEMENTS, MOST_LOOPED = 2**26, 2**16

#: what inference needs the values of, rather than the shape: sizes, repeats, pads
_SMALL = 2**12


class TooLarge(ValueError):
    """The result would be out of proportion; its value counts as not known."""


def fold(node: Node, operands: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """`evaluate` for whatever a file holds. Raises TooLarge for what would be out of proportion."""
    node = _of_inference(node)
    check_foldable(node, operands)
    if node.traits.flattened and node.opset < 13:
        return _flattened(node, operands)
    return evaluate(node, operands)


def evaluate(node: Node, operands: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Run one node of the standard domain on known operands."""
    from onnx.reference import ReferenceEvaluator

    inputs = [n for n, v in zip(node.inputs, operands, strict=True) if v is not None]
    graph = onnx.helper.make_graph(
        [node.proto],
        "one",
        [onnx.helper.make_value_info(n, onnx.TypeProto()) for n in dict.fromkeys(inputs)],
        [onnx.helper.make_value_info(o, onnx.TypeProto()) for o in node.outputs if o],
    )
    one = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", node.opset)])
    feeds = {n: v for n, v in zip(node.inputs, operands, strict=True) if v is not None}
    values = iter(ReferenceEvaluator(one).run(None, feeds))
    return [np.asarray(next(values)) if o else np.empty(0) for o in node.outputs]


def _of_inference(node: Node) -> Node:
    """An older BatchNormalization as opset 14 has it: the evaluator would mix in the batch's statistics."""
    if node.kind != "BatchNormalization" or node.opset >= 14:
        return node
    epsilon = node.attribute("epsilon", 1e-5)
    today = onnx.helper.make_node(node.op, node.inputs, node.outputs[:1], name=node.name, epsilon=epsilon)
    return replace(node, proto=today, opset=14)


def _flattened(node: Node, operands: Sequence[np.ndarray | None]) -> list[np.ndarray]:
    """Before opset 13 all axes from `axis` on are one, for which the evaluator takes `axis` alone."""
    (x,) = operands
    assert x is not None
    axis = node.attribute("axis", 1)
    rows = x.reshape(prod(x.shape[: axis if axis >= 0 else x.ndim + axis]), -1) if x.size else x
    today = onnx.helper.make_node(node.op, node.inputs, node.outputs, name=node.name, axis=-1)
    (made,) = evaluate(replace(node, proto=today, opset=13), [rows])
    return [made.reshape(x.shape)]


def check_foldable(node: Node, operands: Sequence[np.ndarray | None]) -> None:
    """Raises TooLarge if the node's outputs would be, or if nobody can say; nothing is computed for it."""
    given = {n: np.asarray(v) for n, v in zip(node.inputs, operands, strict=True) if v is not None}
    if node.traits.folds is Folds.NEVER or any(v.dtype.kind in "OUS" for v in given.values()):
        raise TooLarge(f"{node} is not folded")
    limit = MOST_ELEMENTS if node.traits.folds is Folds.WHOLE else MOST_LOOPED
    read = sum(v.size for v in given.values())
    if read > limit or (made := _elements(node, given, read)) is None or made > limit:
        raise TooLarge(f"{node} would make more than {limit:,} elements")


def _elements(node: Node, given: dict[str, np.ndarray], read: int) -> int | None:
    """How many elements the node makes of these operands; None if shape inference cannot say."""
    if node.traits.sized_by_values:  # at most one index for each axis of each element
        return read * max((v.ndim for v in given.values()), default=0)
    kind = onnx.helper.np_dtype_to_tensor_dtype
    made = onnx.shape_inference.infer_node_outputs(
        onnx.defs.get_schema(node.op, node.opset, ""),
        node.proto,
        {n: onnx.helper.make_tensor_type_proto(kind(v.dtype), v.shape) for n, v in given.items()},
        {n: numpy_helper.from_array(v, n) for n, v in given.items() if v.size <= _SMALL},
        opset_imports=[onnx.helper.make_opsetid("", node.opset)],
    )
    total = 0
    for output in filter(None, node.outputs):
        shape = made[output].tensor_type.shape if output in made else None
        if shape is None or not made[output].tensor_type.HasField("shape"):
            return None
        if not all(d.HasField("dim_value") for d in shape.dim):
            return None
        total += prod(max(d.dim_value, 0) for d in shape.dim)
    return total
