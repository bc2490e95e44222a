"""Damaged copies of valid models: by field, so that most still parse and get deep, and by byte.

What comes out depends on the seeds and the random generator alone.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

#: where integers go wrong
_NUMBERS = (
    0,
    1,
    2,
    3,
    7,
    8,
    100,
    127,
    128,
    255,
    256,
    65_535,
    2**20,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    2**63 - 1,
)
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e-45, 3.4e38, float("inf"), float("-inf"), float("nan"))
_TEXTS = ("", "x", "\0", "two\nlines", "../secret", "/etc/passwd", "ai.onnx", "com.microsoft", "n" * 50_000)
#: fields whose damage the checker sees at once, so that little else gets tried
_COARSE = ("domain", "type", "data_type", "elem_type", "op_type", "opset_import", "ref_attr_name")
_OPS = sorted({schema.name for schema in onnx.defs.get_all_schemas() if schema.domain == ""})

_INTEGERS = (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64)
_UNSIGNED = (FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64)
_REALS = (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE)


def mutated(seeds: Sequence[bytes], random: Random, donors: Sequence[bytes] = ()) -> bytes:
    """One of the models, damaged; parts of others are taken from `donors` (default: the models)."""
    data = random.choice(seeds)
    seeds = donors or seeds
    how = random.random()
    if how < 0.88:
        data = _by_field(data, seeds, random)
    if how > 0.85:
        data = _by_byte(data, seeds, random)
    return data


def _by_field(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    model = onnx.ModelProto.FromString(data)
    donor = onnx.ModelProto.FromString(random.choice(seeds))
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        places = list(_messages(model))
        if random.random() < 0.03:
            _nest(model.graph, random)
            continue
        inner = [m for m in places if isinstance(m, onnx.NodeProto | onnx.AttributeProto)]
        message = random.choice(inner if inner and random.random() < 0.6 else places)
        if isinstance(message, onnx.NodeProto) and random.random() < 0.2:
            message.op_type = random.choice(_OPS)
            continue
        fields: list[Any] = list(message.DESCRIPTOR.fields)
        given: list[Any] = [field for field, _ in message.ListFields()]
        known = given and (isinstance(message, onnx.AttributeProto) or random.random() < 0.8)
        field = random.choice(given if known else fields)
        if field.name in _COARSE and random.random() < 0.9:
            continue
        _change(message, field, [places, list(_messages(donor))], random)
    return model.SerializeToString()


def _nest(graph: onnx.GraphProto, random: Random) -> None:
    """Put a node into a branch of an If, that into a branch of another, and so on."""
    if not graph.node:
        return
    node = random.choice(graph.node)
    graph.initializer.append(onnx.helper.make_tensor("yes", onnx.TensorProto.BOOL, [], [True]))
    for level in range(random.choice((1, 2, 5, 29))):
        made = list(node.output)
        for i, output in enumerate(made):
            node.output[i] = f"{output}{level}"
        others = [
            onnx.helper.make_node("Identity", node.input[:1], [f"{output} else"]) for output in node.output
        ]
        then, other = _branch("then", [node]), _branch("else", others)
        made_of = onnx.helper.make_node("If", ["yes"], made, then_branch=then, else_branch=other)
        node.CopyFrom(made_of)


def _branch(name: str, nodes: Sequence[onnx.NodeProto]) -> onnx.GraphProto:
    results = [onnx.ValueInfoProto(name=output) for node in nodes for output in node.output]
    return onnx.helper.make_graph(nodes, name, [], results)


def _messages(root: Message) -> Iterator[Message]:
    yield root
    for field, content in root.ListFields():
        if field.message_type is not None:
            for message in [content] if isinstance(content, Message) else content:
                yield from _messages(message)


def _change(message: Message, field: FieldDescriptor, pools: list[list[Message]], random: Random) -> None:
    if not field.is_repeated:
        if random.random() < 0.15:
            message.ClearField(field.name)
        elif field.message_type is not None:
            getattr(message, field.name).CopyFrom(_other(field, pools, random))
        else:
            _set(message, field, random, pools)
        return
    content: Any = getattr(message, field.name)
    how = random.choice(("delete", "double", "swap", "value", "value", "value", "insert", "many", "clear"))
    if how == "clear":
        message.ClearField(field.name)
    elif how == "delete" and content:
        del content[random.randrange(len(content))]
    elif field.message_type is not None:
        _change_messages(content, how, _other(field, pools, random), random)
    else:
        values = list(content)
        at = random.randrange(len(values)) if values else 0
        if how == "swap" and values:
            other = random.randrange(len(values))
            values[at], values[other] = values[other], values[at]
        elif how == "double" and values:
            values.insert(at, values[at])
        elif how == "many":
            values += [_value(field, random, pools)] * 60
        else:
            values[at : at + (how == "value")] = [_value(field, random, pools)]
        del content[:]
        content.extend(values)


def _change_messages(content: Any, how: str, other: Message, random: Random) -> None:
    at = random.randrange(len(content)) if content else 0
    if how == "double" and content:
        content.add().CopyFrom(content[at])
    elif how == "swap" and content:
        kept = type(other)()
        kept.CopyFrom(content[at])
        to = random.randrange(len(content))
        content[at].CopyFrom(content[to])
        content[to].CopyFrom(kept)
    elif how == "many":
        for _ in range(60):
            content.add().CopyFrom(other)
    elif how == "value" and content:
        content[at].CopyFrom(other)
    else:
        content.add().CopyFrom(other)


def _other(field: FieldDescriptor, pools: list[list[Message]], random: Random) -> Message:
    """A message of the field's type, from this model or another; an empty one if there is none."""
    same = [m for m in random.choice(pools) if m.DESCRIPTOR is field.message_type]
    assert field.message_type is not None
    made = GetMessageClass(field.message_type)()
    if same:
        made.CopyFrom(random.choice(same))
    return made


def _set(message: Message, field: FieldDescriptor, random: Random, pools: list[list[Message]]) -> None:
    value = _value(field, random, pools)
    if field.cpp_type in _INTEGERS and random.random() < 0.3:
        value = max(-(2**31), min(2**31 - 1, getattr(message, field.name) + random.choice((-1, 1))))
    if field.type == FieldDescriptor.TYPE_BYTES:
        value = _damaged(getattr(message, field.name), random)
    setattr(message, field.name, value)


def _value(field: FieldDescriptor, random: Random, pools: list[list[Message]]) -> Any:
    narrow = field.cpp_type in (FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_UINT32)
    number = random.choice(_NUMBERS if random.random() < 0.6 else range(30))
    if narrow:
        number = min(number, 2**31 - 1)
    if field.cpp_type in _UNSIGNED:
        return number
    if field.cpp_type in _INTEGERS:
        return random.choice((number, number, -number, -number - 1))
    if field.cpp_type in _REALS:
        return random.choice(_FLOATS)
    if field.cpp_type == FieldDescriptor.CPPTYPE_ENUM:
        assert field.enum_type is not None
        return random.choice(field.enum_type.values).number
    if field.type == FieldDescriptor.TYPE_BYTES:
        return random.randbytes(random.randrange(40))
    if field.type == FieldDescriptor.TYPE_STRING:
        return _text(random, pools[0])
    return random.random() < 0.5


def _text(random: Random, places: list[Message]) -> str:
    """Mostly a name of something else in the model: that makes cycles, duplicates and wrong types."""
    if random.random() < 0.3:
        return random.choice(_TEXTS)
    nodes = [m for m in places if isinstance(m, onnx.NodeProto)]
    names = [name for node in nodes for name in (*node.input, *node.output)]
    return random.choice(names) if names else "x"


def _by_byte(data: bytes, seeds: Sequence[bytes], random: Random) -> bytes:
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        data = _damaged(data, random, random.choice(seeds))
    return data


def _damaged(data: bytes, random: Random, other: bytes = b"\xff" * 64) -> bytes:
    at, end = sorted((random.randrange(len(data) + 1), random.randrange(len(data) + 1)))
    start = random.randrange(len(other) + 1)
    piece = other[start : start + random.randrange(64)]
    how = random.choice(("flip", "flip", "flip", "set", "varint", "cut", "splice", "double", "drop", "text"))
    if how == "flip" and at < len(data):
        return data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
    if how == "set":
        return data[:at] + random.randbytes(1) + data[at + 1 :]
    if how == "varint":  # a length or a number that is huge, or never ends
        return (
            data[:at] + random.choice((b"\xff" * 9 + b"\x01", b"\x80" * 12, b"\xff\xff\x7f")) + data[at + 1 :]
        )
    if how == "cut":
        return data[:at]
    if how == "splice":
        return data[:at] + piece + data[at + random.choice((0, len(piece))) :]
    if how == "double":
        return data[:end] + data[at:end][:4096] + data[end:]
    if how == "drop":
        return data[:at] + data[at + random.randrange(1, 40) :]
    return data[:at] + b"\xff\xfe" + data[at + 2 :]  # not UTF-8
