"""Half precision seen as single: every float16 and bfloat16 value v becomes float32(v), which is exact.

    x ─ f16 ops ─ y      becomes      x ─ Cast to float32 ─ the same ops in float32 ─ y

Relevances are sums of many small shares over small denominators; in half precision they would drown.
"""

from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph import Model, external
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import HALVES, TYPE_ATTRIBUTES, is_outside
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import in_memory
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.sparse import dense

_FLOAT = onnx.TensorProto.FLOAT


def single(model: Model) -> str:
    """Nothing is float16 or bfloat16 but the model's inputs."""
    inputs = {i.name for i in model.inputs}
    left = next((found for found in _half(model.proto, inputs)), None)
    return "" if left is None else f"half precision ({type(left).__name__} {left.name!r})"


@lowering_pass("widen", requires=[unlisted, dense], ensures=[single])
def widen(model: Model) -> Model:
    """The model in float32; the model itself if nothing in it is half.

    Inputs keep their type (a Cast follows them), unless they have a default value; outputs and all between
    are float32; values differ by the half model's own rounding.
    """
    halves = {i.name for i in model.inputs if i.type.tensor_type.elem_type in HALVES}
    fed = [n for n in sorted(halves) if any(reader.kind != "Cast" for reader in model.consumers.get(n, []))]
    if not fed and not any(True for _ in _half(model.proto, halves)):
        return model
    slim, lent = external.move_out(model.proto)
    proto = onnx.ModelProto()
    proto.CopyFrom(slim)
    for tensor in proto.graph.initializer:  # those stay outside: a message would copy them, and hold 2 GB
        if tensor.data_type in HALVES and is_outside(tensor):
            external.widen(tensor)
    for found in list(_half(proto, halves)):
        if isinstance(found, onnx.TensorProto):
            outside = is_outside(found)
            values = external.read(found, model.folder or Path()) if outside else numpy_helper.to_array(found)
            found.CopyFrom(numpy_helper.from_array(values.astype(np.float32), found.name))
        elif isinstance(found, onnx.AttributeProto):
            found.i = _FLOAT
        else:
            found.type.tensor_type.elem_type = _FLOAT
    _cast_inputs(proto.graph, {name: f"{name} / float32" for name in fed})
    return in_memory(model, proto, lent=lent)


def _half(
    proto: onnx.ModelProto, inputs: Collection[str]
) -> Iterator[onnx.TensorProto | onnx.AttributeProto | onnx.ValueInfoProto]:
    """Everything that says float16 or bfloat16: values, types to cast to, declared types but of `inputs`."""
    yield from (t for t in messages(proto, onnx.TensorProto) if t.data_type in HALVES)
    for attribute in messages(proto, onnx.AttributeProto):
        if attribute.name in TYPE_ATTRIBUTES and attribute.i in HALVES:
            yield attribute
    for info in messages(proto, onnx.ValueInfoProto):
        if info.type.tensor_type.elem_type in HALVES and info.name not in inputs:
            yield info


def _cast_inputs(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    """Everyone, subgraphs included, reads the float32 copy of an input."""
    for node in messages(graph, onnx.NodeProto):
        for i, name in enumerate(node.input):
            node.input[i] = renamed.get(name, name)
    for inner in messages(graph, onnx.GraphProto):
        for info in inner.output:
            info.name = renamed.get(info.name, info.name)
    casts = [
        onnx.helper.make_node("Cast", [name], [wide], name=wide, to=_FLOAT) for name, wide in renamed.items()
    ]
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
