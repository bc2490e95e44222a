"""Weights of linear models, which the ops of domain ai.onnx.ml have in attributes: as stored tensors.

LinearClassifier  coefficients [classes, features] and intercepts [classes]
LinearRegressor   coefficients [targets, features] and intercepts [targets]
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper

from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.wire import BYTES, FIXED32, FieldPath, fields

# Field numbers of onnx.proto: a model's graph, its nodes, their attributes, floats of one
_GRAPH, _NODE, _ATTRIBUTE, _FLOATS = 7, 1, 5, 7
_DOMAIN, _WEIGHTS, _BIAS = "ai.onnx.ml", "coefficients", "intercepts"


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


def without_weights(node: onnx.NodeProto) -> onnx.NodeProto:
    """The same node, with zeros where such weights are."""
    if node.domain != _DOMAIN or not _rows(node):
        return node
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    for attribute in plain.attribute:
        if attribute.name in (_WEIGHTS, _BIAS):
            attribute.floats[:] = np.zeros(len(attribute.floats))
    return plain


def payloads_of(content: FileBytes, path: FieldPath, values: bytes) -> dict[FieldPath, bytes]:
    """The attribute at `path` with new floats, each in the place of the one that it replaces.

    Raises ValueError where the way there is stored in pieces, or there is another number of floats."""
    message = content
    for number, occurrence in path:
        own = [field for field in fields(message) if field.number == number]
        if occurrence >= len(own):
            raise ValueError("the graph is stored in pieces")
        message = message.part(own[occurrence].value, own[occurrence].end)
    written, new, done = np.frombuffer(bytes(message), np.uint8).copy(), np.frombuffer(values, np.uint8), 0
    for place in _floats_in(written):
        part = new[done : done + place.size]
        place[...] = part.reshape(place.shape)
        done += place.size
    if done != len(new):
        raise ValueError("an attribute holds another number of floats")
    return {path: written.tobytes()}


def _floats_in(message: np.ndarray) -> Iterator[np.ndarray]:
    """The bytes of an attribute in which floats lie, in their order: of those that a writer made packed, and
    of those with a tag each, of which there may be millions, as [floats, 4]."""
    at = 0
    while at < len(message):
        field = next(fields(message[at:].data))
        start, value, at = at, at + field.value, at + field.end
        if field.number == _FLOATS and field.wire_type == BYTES:
            yield message[value:at]
        elif field.number == _FLOATS and field.wire_type == FIXED32:
            each = at - start
            tags = message[start : start + (len(message) - start) // each * each].reshape(-1, each)
            same = (tags[:, : value - start] == message[start:value]).all(axis=1)
            count = len(same) if same.all() else int(same.argmin())
            yield tags[:count, value - start :]
            at = start + count * each


def _rows(node: onnx.NodeProto) -> int:
    """How many scores it makes."""
    given = {attribute.name: attribute for attribute in node.attribute}
    if not any(node.output):
        return 0
    if node.op_type == "LinearRegressor":
        return int(given["targets"].i) if "targets" in given else 1
    if node.op_type != "LinearClassifier":
        return 0
    if _BIAS in given:  # of two classes there may be one score, of the second
        return len(given[_BIAS].floats)
    labels = (given[name] for name in ("classlabels_ints", "classlabels_strings") if name in given)
    return max((len(each.ints) or len(each.strings) for each in labels), default=0)
