"""Large weights, left where the bytes of the file lie.

protobuf copies what it parses, and whoever changes a message copies it first: with the weights in it a model
of 100 MB would be in memory many times. So they are taken out before it is parsed: the message says of them
that they are in memory, where arrays see them in the file's bytes.
"""

import sys
from collections.abc import Iterator
from itertools import islice
from math import prod
from typing import NamedTuple

import numpy as np
import onnx
from google.protobuf.message import DecodeError

from onnxunlearn.graph.external import hold
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.tensors import element_bits
from onnxunlearn.graph.wire import BYTES, Field, FieldPath, fields, splice

#: bytes from which on a weight is large; and of all large ones of a model, below which they stay in it
_LARGE, _MUCH = 1 << 16, 1 << 24
#: fields that are looked through in one message: a file that is no model may have any number
_MOST_FIELDS = 1 << 20
# Field numbers of onnx.proto
_GRAPH, _INITIALIZER, _RAW = 7, 5, 9
_OTHER_VALUES = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


class Weight(NamedTuple):
    """A large one. number: which of the initializers. tensor: all but its values. start, end: of these."""

    number: int
    tensor: onnx.TensorProto
    start: int
    end: int


def cut(content: FileBytes) -> FileBytes:
    """The same bytes, each large weight a piece of its own, which begins where arrays of its type may."""
    pieces, done = list[FileBytes | bytes](), 0
    for weight in large_weights(content):
        own = np.array(content.array(weight.start, weight.end))
        own.flags.writeable = False
        pieces += [bytes(content.part(done, weight.start)), FileBytes(own.data)]
        done = weight.end
    return FileBytes.joined(*pieces, bytes(content.part(done, len(content)))) if done else content


def parsed(content: FileBytes) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The message, and the weights that it has no values of, by name: they must be kept as long as it is.
    Raises DecodeError."""
    held, payloads = dict[str, np.ndarray](), dict[FieldPath, bytes]()
    for weight in large_weights(content):
        tensor = weight.tensor
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        raw = content.array(weight.start, weight.end)
        if raw.ctypes.data % dtype.alignment:
            raw = np.array(raw)
        held[tensor.name] = raw.view(dtype).reshape(tuple(tensor.dims))
        held[tensor.name].flags.writeable = False
        hold(tensor, held[tensor.name])
        payloads[(_GRAPH, 0), (_INITIALIZER, weight.number)] = tensor.SerializeToString()
    slim = splice(content, payloads) if payloads else content
    return onnx.ModelProto.FromString(bytes(slim)), held


def large_weights(content: FileBytes) -> list[Weight]:
    """Those of the graph's initializers that lie there as plain bytes; none where they are few, or the bytes
    are no model that is understood."""
    if len(content) < _MUCH or sys.byteorder != "little":
        return []
    try:
        found = list(_weights(content))
    except (ValueError, IndexError, DecodeError):  # what is wrong with it protobuf says
        return []
    unique = len({weight.tensor.name for weight in found}) == len(found)
    return found if unique and sum(w.end - w.start for w in found) >= _MUCH else []


def _weights(content: FileBytes) -> Iterator[Weight]:
    graphs = [field for field in _fields(content) if field.number == _GRAPH]
    if len(graphs) != 1:  # protobuf joins them
        return
    graph = content.part(graphs[0].value, graphs[0].end)
    initializers = (field for field in _fields(graph) if field.number == _INITIALIZER)
    for number, field in enumerate(initializers):
        if field.wire_type == BYTES and field.end - field.value > _LARGE:
            message = graph.part(field.value, field.end)
            raw = [inner for inner in _fields(message) if inner.number == _RAW]
            if len(raw) == 1 and raw[0].end - raw[0].value > _LARGE:
                tensor = _without(message, raw[0])
                start = graphs[0].value + field.value + raw[0].value
                end = start + raw[0].end - raw[0].value
                if _is_plain(tensor, end - start):
                    yield Weight(number, tensor, start, end)


def _fields(message: FileBytes) -> list[Field]:
    """Raises ValueError where they are not complete, or too many."""
    found = list(islice(fields(message), _MOST_FIELDS))
    if (found[-1].end if found else 0) != len(message):
        raise ValueError("not complete, or too many fields")
    return found


def _without(message: FileBytes, field: Field) -> onnx.TensorProto:
    rest = FileBytes.joined(message.part(0, field.start), message.part(field.end, len(message)))
    return onnx.TensorProto.FromString(bytes(rest))


def _is_plain(tensor: onnx.TensorProto, size: int) -> bool:
    """Whether so many bytes are all its values, in elements of whole bytes."""
    bits = element_bits(tensor.data_type) or 0
    others = tensor.data_location or tensor.external_data or tensor.HasField("segment")
    others = others or any(len(getattr(tensor, name)) for name in _OTHER_VALUES)
    sizes = tuple(tensor.dims)
    return not others and 8 <= bits <= 64 and min(sizes, default=0) >= 0 and prod(sizes) * bits == 8 * size
