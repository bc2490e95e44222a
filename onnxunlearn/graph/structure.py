"""What must hold of a model before anything walks through it: readable names, functions that end, sizes.

The ONNX checker and shape inference are written in C++ and take some of this for granted; a file that
breaks it could take the whole process down.
"""

from collections.abc import Iterator
from math import prod

import onnx
from google.protobuf.message import Message

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.messages import located, messages

#: nodes that a model may have once its functions are written out, and how deep these may call each other
_MOST_NODES, _DEEPEST_CALLS = 200_000, 100
#: bytes of names and constants that it may have then, more than twice what the file has
_MOST_BYTES = 2**27
#: graphs within each other: protobuf stops at 100 messages, an If or Loop takes three, and what is declared
#: or inferred of a tensor in the innermost graph five more
_DEEPEST_GRAPHS = 32
#: elements that a declared input may have, its batch included: a gigabyte in float32
_LARGEST_INPUT = 2**28

_ELEMENT_TYPES = frozenset(onnx.TensorProto.DataType.values())

_OPTIONAL = onnx.defs.OpSchema.FormalParameterOption.Optional

#: domain, name, overload
Key = tuple[str, str, str]


def check_structure(proto: onnx.ModelProto, name: str) -> None:
    """Raises InputError or UnsupportedError, the message starting with the model's `name`."""
    _check_depth(proto, name)
    _check_messages(proto, name)
    _check_opsets(proto, name)
    _check_inputs(proto.graph, name)
    _check_attributes(proto.graph, name)
    _check_omitted(proto, name)
    for graph in messages(proto, onnx.GraphProto):
        _check_unique([t.name for t in graph.initializer], "initializers", name)
    if proto.functions:
        _check_functions(proto, name)


def _check_depth(proto: onnx.ModelProto, name: str) -> None:
    deepest = max(len(path) for path, _ in located(proto, onnx.GraphProto))
    depth = 1 + (deepest - 1) // 3  # on the way from one to the next lie a node and its attribute
    if depth > _DEEPEST_GRAPHS:
        raise UnsupportedError(
            f"{name}: its graphs are nested {depth} deep (If, Loop, Scan); "
            f"at most {_DEEPEST_GRAPHS} can be handled"
        )


def _check_messages(proto: onnx.ModelProto, name: str) -> None:
    for message in messages(proto, Message):
        if isinstance(message, onnx.TypeProto.Tensor) and message.elem_type not in _ELEMENT_TYPES:
            raise InputError(
                f"{name}: a tensor is declared with element type {message.elem_type}, which is not known; "
                "export the model again"
            )
        for text in _texts(message):
            if isinstance(text, bytes):  # what protobuf gives for a string that cannot be decoded
                raise InputError(f"{name}: the name {text[:40]!r} is not UTF-8 text; export the model again")


def _check_opsets(proto: onnx.ModelProto, name: str) -> None:
    """The file has room for 64 bits, what looks up an op's schema for 32."""
    for imported in messages(proto, onnx.OperatorSetIdProto):
        if not 0 <= imported.version < 2**31:
            raise InputError(
                f"{name}: opset {imported.version} of domain {imported.domain or 'ai.onnx'!r} is declared, "
                "which there cannot be; export the model again"
            )


def _texts(message: Message) -> Iterator[str | bytes]:
    """The message's own strings, which should be text."""
    if isinstance(message, onnx.NodeProto):
        yield from (message.name, message.op_type, message.domain, *message.input, *message.output)
    elif isinstance(message, onnx.TensorProto):
        yield message.name
        for entry in message.external_data:
            yield from (entry.key, entry.value)
    else:
        for field, content in message.ListFields():
            if field.type == field.TYPE_STRING:
                yield from content if field.is_repeated else [content]


def _check_unique(names: list[str], what: str, name: str) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(n for n in names if n in seen or seen.add(n))  # type: ignore[func-returns-value]
        raise InputError(f"{name}: two {what} are called {twice!r}; export the model again")


def _check_inputs(graph: onnx.GraphProto, name: str) -> None:
    _check_unique([i.name for i in graph.input], "inputs", name)
    _check_unique([o.name for o in graph.output], "outputs", name)
    stored = {tensor.name for tensor in graph.initializer}
    for info in graph.input:
        if info.name in stored:  # IR 3 lists weights, too, which may be larger
            continue
        sizes = [size for size in sizes_of(info) if size is not None]
        if prod(sizes) > _LARGEST_INPUT:
            raise InputError(
                f"{name}: input {info.name!r} is declared with {' × '.join(map(str, sizes))} values; "
                f"at most {_LARGEST_INPUT:,} can be handled, export the model with a smaller batch"
            )


def _check_attributes(graph: onnx.GraphProto, name: str) -> None:
    for node in messages(graph, onnx.NodeProto):
        for attribute in node.attribute:
            if attribute.ref_attr_name:
                raise InputError(
                    f"{name}: attribute {attribute.name!r} of node {node.name!r}, op {node.op_type}, refers "
                    "to a function's, but the node is in none; export the model again"
                )


def _check_omitted(proto: onnx.ModelProto, name: str) -> None:
    """Kernels look at what must be there without asking: ONNX Runtime's Split crashes without an output."""
    versions = {"" if o.domain == "ai.onnx" else o.domain: o.version for o in proto.opset_import}
    for node in messages(proto, onnx.NodeProto):
        if ("" not in node.input and "" not in node.output) or any(a.HasField("g") for a in node.attribute):
            continue
        domain = "" if node.domain == "ai.onnx" else node.domain
        try:
            schema = onnx.defs.get_schema(node.op_type, versions.get(domain, 1), domain)
        except onnx.defs.SchemaError:
            continue
        for kind, given, formal in (
            ("input", node.input, schema.inputs),
            ("output", node.output, schema.outputs),
        ):
            for index, tensor in enumerate(given):
                if not tensor and formal and formal[min(index, len(formal) - 1)].option != _OPTIONAL:
                    raise InputError(
                        f"{name}: node {node.name!r}, op {node.op_type}, omits its {kind} {index}, "
                        "which it needs; export the model again"
                    )


def _check_functions(proto: onnx.ModelProto, name: str) -> None:
    keys: list[Key] = [(f.domain, f.name, f.overload) for f in proto.functions]
    _check_unique(
        [f"{domain}::{function}" + (f":{o}" if o else "") for domain, function, o in keys], "functions", name
    )
    functions = dict(zip(keys, proto.functions, strict=True))
    nodes: dict[Key, int] = {}
    sizes: dict[Key, int] = {}
    depth: dict[Key, int] = {}
    for key in callees_first(functions, name):
        body = list(messages(functions[key], onnx.NodeProto))
        called = [k for k in map(key_of, body) if k in functions]
        nodes[key] = len(body) + sum(nodes[k] for k in called)
        sizes[key] = functions[key].ByteSize() + sum(sizes[k] for k in called)
        depth[key] = 1 + max((depth[k] for k in called), default=0)
    total = sum(nodes.get(key_of(node), 1) for node in messages(proto.graph, onnx.NodeProto))
    deepest = max(depth.values())
    if total > _MOST_NODES or deepest > _DEEPEST_CALLS:
        raise UnsupportedError(
            f"{name}: written out, its functions make {total:,} nodes and call each other {deepest} deep; "
            f"at most {_MOST_NODES:,} and {_DEEPEST_CALLS} can be handled"
        )
    size = sum(sizes.get(key_of(node), 0) for node in messages(proto.graph, onnx.NodeProto))
    if size > _MOST_BYTES + 2 * proto.ByteSize():
        raise UnsupportedError(
            f"{name}: written out, its functions take {size:,} bytes; "
            f"at most {_MOST_BYTES:,} more than twice the file can be handled"
        )


def key_of(node: onnx.NodeProto) -> Key:
    return node.domain, node.op_type, node.overload


def callees_first(functions: dict[Key, onnx.FunctionProto], name: str) -> list[Key]:
    """The functions, each behind those that it calls. Raises InputError if one calls itself."""
    order: list[Key] = []
    open_: set[Key] = set()
    done: set[Key] = set()
    for start in functions:
        stack = [start]
        while stack:
            key = stack[-1]
            if key in done:
                stack.pop()
            elif key in open_:
                open_.remove(key)
                done.add(key)
                order.append(stack.pop())
            else:
                open_.add(key)
                called = {k for k in map(key_of, messages(functions[key], onnx.NodeProto)) if k in functions}
                if again := called & open_:
                    domain, function, _ = next(iter(again))
                    raise InputError(
                        f"{name}: function {domain}::{function} calls itself, so that it never ends; "
                        "export the model again"
                    )
                stack += called - done
    return order
