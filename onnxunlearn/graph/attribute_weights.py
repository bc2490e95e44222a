"""Weights of linear models, which the ops of domain ai.onnx.ml have in attributes: as stored tensors.

LinearClassifier  coefficients [classes, features] and intercepts [classes]
LinearRegressor   coefficients [targets, features] and intercepts [targets]
"""

import onnx
from onnx import helper

from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.wire import BYTES, FIXED32, FieldPath, fields

# Field numbers of onnx.proto: a model's graph, its nodes, their attributes, floats of one
_GRAPH, _NODE, _ATTRIBUTE, _FLOATS = 7, 1, 5, 7
_DOMAIN, _WEIGHTS, _BIAS = "ai.onnx.ml", "coefficients", "intercepts"
_FLOAT = 4  # bytes


def attribute_weights(proto: onnx.ModelProto) -> dict[str, tuple[FieldPath, onnx.TensorProto]]:
    """These weights, and where the attribute of each lies in the protobuf; by `weight_name`."""
    found: dict[str, tuple[FieldPath, onnx.TensorProto]] = {}
    for index, node in enumerate(proto.graph.node):
        rows = _rows(node) if node.domain == _DOMAIN else 0
        for place, attribute in enumerate(node.attribute if rows else ()):
            count = len(attribute.floats)
            if attribute.name == _WEIGHTS and count and count % rows == 0:
                dims = [rows, count // rows]
            elif attribute.name == _BIAS and count == rows:
                dims = [rows]
            else:
                continue
            name = weight_name(node, attribute.name)
            tensor = helper.make_tensor(name, onnx.TensorProto.FLOAT, dims, attribute.floats)
            found[name] = (((_GRAPH, 0), (_NODE, index), (_ATTRIBUTE, place)), tensor)
    return found


def weight_name(node: onnx.NodeProto, attribute: str) -> str:
    """What such a weight is called: by the first output, which no other node has."""
    return f"{next(name for name in node.output if name)} / {attribute}"


def payloads_of(content: FileBytes, path: FieldPath, values: bytes) -> dict[FieldPath, bytes]:
    """New floats for the attribute at `path`, each in the place of the one that it replaces.

    Raises ValueError where they lie there in pieces, or in another number."""
    message = content
    for number, occurrence in path:
        own = [field for field in fields(message) if field.number == number]
        message = message.part(own[occurrence].value, own[occurrence].end)
    held = [field for field in fields(message) if field.number == _FLOATS]
    if len(held) == 1 and held[0].wire_type == BYTES and held[0].end - held[0].value == len(values):
        return {(*path, (_FLOATS, 0)): values}
    if any(field.wire_type != FIXED32 for field in held) or len(held) * _FLOAT != len(values):
        raise ValueError("an attribute is stored in pieces")
    parts = (values[i : i + _FLOAT] for i in range(0, len(values), _FLOAT))
    return {(*path, (_FLOATS, i)): part for i, part in enumerate(parts)}


def _rows(node: onnx.NodeProto) -> int:
    """How many scores it makes."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if not any(node.output):
        return 0
    if node.op_type == "LinearRegressor":
        return int(given["targets"].i) if "targets" in given else 1
    if node.op_type != "LinearClassifier":
        return 0
    labels = (given[name] for name in ("classlabels_ints", "classlabels_strings") if name in given)
    count = max((len(each.ints) or len(each.strings) for each in labels), default=0)
    offsets = len(given[_BIAS].floats) if _BIAS in given else 0
    return count if offsets in (0, count) else 0  # two classes may share one row
