"""Lists of sizes that double at every node: forty Concats of two kilobytes ask for a terabyte.

Shape inference computes such lists at load time, and what it cannot allocate takes the process down.
"""

from collections import ChainMap
from collections.abc import Iterable, Mapping
from math import prod

import onnx

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.structure import Key, callees_first, key_of
from onnxunlearn.graph.traits import traits

#: sizes in a list that is computed from other lists; real ones have as many as a tensor has axes
_LONGEST = 2**20
#: what one that nobody declares may have at most
_AXES = 64
_INTEGERS = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)


def check_growth(proto: onnx.ModelProto, name: str) -> None:
    """Raises UnsupportedError, its message starting with the model's `name`, if a list could get too long.

    Requires: `check_structure`.
    """
    functions = {(f.domain, f.name, f.overload): f for f in proto.functions}
    factors: dict[Key, int] = {}
    for key in callees_first(functions, name):
        body = functions[key]
        lengths = _lengths(body.node, ChainMap(dict.fromkeys(body.input, 1)), factors)
        factors[key] = max((1, *lengths.values()))
    stored = _stored(proto.graph.initializer)
    allowed = _LONGEST + 4 * sum(stored.values())
    for tensor, length in _lengths(proto.graph.node, ChainMap(stored), factors).items():
        if length > allowed:
            raise UnsupportedError(
                f"{name}: tensor {tensor!r} would be a list of up to {length:,} sizes; "
                f"at most {allowed:,} can be handled"
            )


def _lengths(
    nodes: Iterable[onnx.NodeProto], outer: ChainMap[str, int], factors: Mapping[Key, int]
) -> dict[str, int]:
    """How long each list of integers that the nodes make could be, by tensor; 0 for what is no such list."""
    own: dict[str, int] = {}
    found = outer.new_child(own)  # no copy: bodies may be many, and what is around them long
    for node in nodes:
        read = [found.get(name, 0) for name in node.input]
        inner = [a.g for a in node.attribute if a.HasField("g")]
        if node.op_type in {"Shape", "Constant"}:
            length = _AXES + sum(_length(a.t) + len(a.ints) for a in node.attribute)
        elif node.op_type == "Concat":
            length = sum(read)
        elif key_of(node) in factors:
            length = factors[key_of(node)] * max(read, default=1)
        elif inner:
            given = max(read, default=0)
            length = max((given, *(_longest(body, given, found, factors) for body in inner)))
        else:
            length = max(read, default=0) if traits(node.op_type).lists else 0
        own.update((output, length) for output in node.output)
    return own


def _longest(body: onnx.GraphProto, given: int, outer: ChainMap[str, int], factors: Mapping[Key, int]) -> int:
    """Of the lists that a body makes or hands on. given: how long its inputs could be."""
    inputs = {info.name: given for info in body.input}
    inside = outer.new_child(inputs | _stored(body.initializer))
    made = _lengths(body.node, inside, factors)
    handed_on = (made.get(o.name, inside.get(o.name, 0)) for o in body.output)
    return max((0, *made.values(), *handed_on))


def _stored(tensors: Iterable[onnx.TensorProto]) -> dict[str, int]:
    return {tensor.name: _length(tensor) for tensor in tensors}


def _length(tensor: onnx.TensorProto) -> int:
    return prod(tensor.dims) if tensor.data_type in _INTEGERS and len(tensor.dims) < 2 else 0
