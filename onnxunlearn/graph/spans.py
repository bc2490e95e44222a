"""Where numbers lie in the files of a model, and how wide they are."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import onnx

from onnxunlearn.graph.external import place
from onnxunlearn.graph.tensors import element_bits, external_tensors
from onnxunlearn.graph.view import Model
from onnxunlearn.graph.wire import BYTES, VARINT, fields, read_varint

_TENSOR = onnx.TensorProto.DESCRIPTOR
_FIELD = {field.name: field.number for field in _TENSOR.fields}
#: fields of numbers that have a width of their own, whatever the tensor's type
_WIDTHS = {_FIELD["float_data"]: 4, _FIELD["double_data"]: 8}
#: what tensors lie in
_ENTERED = {
    message.DESCRIPTOR.full_name
    for message in (
        onnx.GraphProto,
        onnx.NodeProto,
        onnx.AttributeProto,
        onnx.TensorProto,
        onnx.SparseTensorProto,
        onnx.FunctionProto,
    )
}


class Span(NamedTuple):
    """Bytes from start to end, whole numbers of `width` bytes (1, 2, 4 or 8) each; packed ones count as 1."""

    start: int
    end: int
    width: int


def number_spans(model: Model) -> dict[str, list[Span]]:
    """By location as the model names it, "" for its own file: the numbers there, rising, apart."""
    try:
        found = {"": list(_inside(memoryview(model.data), 0, onnx.ModelProto.DESCRIPTOR))}
    except ValueError:  # unknown fields of a kind that ONNX does not use: then nothing is known of any
        found = {"": []}
    for tensor in external_tensors(model.proto):
        at = place(tensor)
        found.setdefault(at.location, []).append(_span(at.offset, at.length, _width(tensor.data_type)))
    return {location: list(_apart(spans)) for location, spans in found.items()}


def _inside(view: memoryview, start: int, kind: Any) -> Iterator[Span]:
    """kind: the message's descriptor."""
    data_type = 0
    payloads = []
    for field in fields(view):
        where = start + field.value, field.end - field.value
        if kind is not _TENSOR:
            inner = kind.fields_by_number.get(field.number)
            message = None if inner is None else inner.message_type
            if field.wire_type == BYTES and message is not None and message.full_name in _ENTERED:
                yield from _inside(view[field.value : field.end], where[0], message)
        elif field.wire_type == VARINT and field.number == _FIELD["data_type"]:
            data_type, _ = read_varint(view, field.value)
        elif field.wire_type == BYTES and field.number in (_FIELD["raw_data"], *_WIDTHS):
            payloads.append((*where, field.number))
    for at, length, number in payloads:
        yield _span(at, length, _WIDTHS.get(number) or _width(data_type))


def _width(data_type: int) -> int:
    bits = element_bits(data_type) or 8
    return {16: 2, 32: 4, 64: 8}.get(bits, 1)


def _span(start: int, length: int, width: int) -> Span:
    return Span(start, start + length, width if length % width == 0 else 1)


def _apart(spans: list[Span]) -> Iterator[Span]:
    """Of tensors that share bytes, the first."""
    end = 0
    for span in sorted(spans):
        if span.start >= end and span.end > span.start:
            yield span
            end = span.end
