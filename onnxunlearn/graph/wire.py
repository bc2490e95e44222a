"""Replace single fields in a serialized protobuf, leaving every other byte as it is.

Parsing and serializing again may reorder or drop what a writer put into the file; splicing cannot.
Format: https://protobuf.dev/programming-guides/encoding/
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from onnxunlearn.graph.file_bytes import FileBytes

#: (field number, occurrence) from the outermost message inwards
FieldPath = tuple[tuple[int, int], ...]

VARINT, _FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
#: bits of a number, seven a byte, that protobuf reads at most
_LONGEST = 70


class Field(NamedTuple):
    """Where a field lies in its message; all but the first two are positions."""

    number: int
    wire_type: int
    start: int  # of the tag
    length_at: int  # of the length prefix (wire type 2 only)
    value: int  # of the value
    end: int


def read_varint(data: bytes | memoryview | FileBytes, position: int) -> tuple[int, int]:
    """The number at `position`, and the position behind it. Raises ValueError where it has no end."""
    value = shift = 0
    while shift < _LONGEST:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise ValueError("a number of more than 64 bits")


def varint(value: int) -> bytes:
    """`value` (≥ 0) in the shortest encoding."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def fields(data: memoryview | FileBytes) -> Iterator[Field]:
    """The fields of a message, as they lie in it. Raises ValueError for a kind that ONNX does not use."""
    position = 0
    while position < len(data):
        start = position
        tag, position = read_varint(data, position)
        number, wire_type = tag >> 3, tag & 7
        if not number:
            raise ValueError("there is no field 0")
        length_at = position
        if wire_type == VARINT:
            _, end = read_varint(data, position)
        elif wire_type == _FIXED64:
            end = position + 8
        elif wire_type == FIXED32:
            end = position + 4
        elif wire_type == BYTES:
            length, position = read_varint(data, position)
            end = position + length
        else:
            raise ValueError(f"wire type {wire_type} of field {number} is not used by ONNX")
        yield Field(number, wire_type, start, length_at, position, end)
        position = end


def splice(data: FileBytes, payloads: Mapping[FieldPath, FileBytes | bytes]) -> FileBytes:
    """`data` with the length-delimited fields at the given paths replaced.

    What stays is shared, not copied. The enclosing lengths are rewritten only where a payload's size changed.
    Raises KeyError for a path that is not in the message, ValueError for one that does not end at a
    length-delimited field.
    """
    nested: dict[tuple[int, int], dict[FieldPath, FileBytes | bytes]] = {}
    for path, payload in payloads.items():
        nested.setdefault(path[0], {})[path[1:]] = payload
    pieces: list[FileBytes | bytes] = []
    seen: dict[int, int] = {}
    copied = 0
    for item in fields(data):
        occurrence = seen.get(item.number, 0)
        seen[item.number] = occurrence + 1
        inner = nested.pop((item.number, occurrence), None)
        if inner is None:
            continue
        if item.wire_type != BYTES:
            raise ValueError(f"field {item.number} is not length-delimited")
        new = inner[()] if () in inner else splice(data.part(item.value, item.end), inner)
        same_size = len(new) == item.end - item.value
        head = data.part(copied, item.value if same_size else item.length_at)
        pieces += [head, new] if same_size else [head, varint(len(new)), new]
        copied = item.end
    if nested:
        raise KeyError(f"no field {next(iter(nested))} in the message")
    return FileBytes.joined(*pieces, data.part(copied, len(data)))
