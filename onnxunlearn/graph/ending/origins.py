"""One step further back: what a tensor is of the one before it, where constants alone lie between."""

import numpy as np

from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.ending.reader import MOVING, Reader, moved
from onnxunlearn.graph.node import Node

#: further back than that nobody writes logits
_STEPS = 16


def whole_origin(reader: Reader, columns: Columns) -> Columns | None:
    """Columns of one sample as all numbers of one tensor in their order, if there is such a tensor further
    back: −(−z) is z."""
    for _ in range(_STEPS):
        if _is_whole(reader, columns):
            return columns
        before = _before(reader, columns)
        if before is None:
            return None
        columns = before
    return None


def _is_whole(reader: Reader, columns: Columns) -> bool:
    (base, *others) = columns.terms
    return not base.how and not others and columns.is_whole(reader.size(base.tensor) or 0)


def _before(reader: Reader, columns: Columns) -> Columns | None:
    """The same in the tensors before; None where there are none, or a class would be of two numbers."""
    whole = Columns({}, columns.offset)
    for base, (index, scale) in columns.terms.items():
        origin = None if base.how else _origin(reader, base.tensor)
        if origin is None:
            return None
        own = origin.sample()
        terms = {b: (i[index], s[index] * scale) for b, (i, s) in own.terms.items()}
        added = whole.plus(Columns(terms, own.offset[index] * scale))
        if added is None:
            return None
        whole = added
    return whole if whole.terms else None


def _origin(reader: Reader, tensor: str) -> Columns | None:
    node = reader.model.producer.get(tensor)
    if node is None:
        return None
    if node.kind in MOVING:
        before = reader.fresh(node.inputs[0])
        if before is None:
            return None
        arranged = moved(reader, node, before, node.outputs.index(tensor))
        return None if arranged is None else arranged.columns
    if node.kind == "Neg":
        columns = reader.columns(Base(node.inputs[0]))
        return columns and columns.scaled(-1)
    return _by_constant(reader, node) if node.kind in {"Add", "Sub", "Mul", "Div"} else None


def _by_constant(reader: Reader, node: Node) -> Columns | None:
    values = [reader.model.constant(name) for name in node.inputs]
    variable = [place for place, value in enumerate(values) if value is None]
    if len(variable) != 1:
        return None
    constant = values[1 - variable[0]]
    columns = reader.columns(Base(node.inputs[variable[0]]))
    if constant is None or columns is None or constant.dtype.kind not in "fiu":
        return None
    number, second = constant.astype(np.float64), variable[0] == 1
    if node.kind == "Add":
        return columns.shifted(number)
    if node.kind == "Sub":
        return columns.scaled(-1).shifted(number) if second else columns.shifted(-number)
    if not number.all() or (node.kind == "Div" and second):
        return None
    return columns.scaled(number if node.kind == "Mul" else 1 / number)
