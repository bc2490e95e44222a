"""Half precision seen as single: every float16 and bfloat16 value v becomes float32(v), which is exact.

    x ─ f16 ops ─ y      becomes      x ─ Cast to float32 ─ the same ops in float32 ─ y

Relevances are sums of many small shares over small denominators; in half precision they would drown.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph import Model
from onnxunlearn.graph.messages import messages
from onnxunlearn.relevance.lowering.draft import in_memory

_FLOAT = onnx.TensorProto.FLOAT
_HALVES = frozenset({onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16})
#: attributes that name an element type
_TYPES = frozenset({"to", "dtype", "output_dtype"})


def widen(model: Model) -> Model:
    """The model in float32; the model itself if nothing in it is half.

    Requires: half inputs have no default value. Ensures: inputs keep their type (a Cast follows them),
    outputs and all between are float32; values differ by the half model's own rounding.
    """
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    changed = False
    base = str(model.folder) if model.folder else ""
    for tensor in messages(proto, onnx.TensorProto):
        if tensor.data_type in _HALVES:
            values = numpy_helper.to_array(tensor, base).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
            changed = True
    for attribute in messages(proto, onnx.AttributeProto):
        if attribute.name in _TYPES and attribute.i in _HALVES:
            attribute.i = _FLOAT
            changed = True
    fed = [i.name for i in model.inputs if i.type.tensor_type.elem_type in _HALVES]
    for info in messages(proto, onnx.ValueInfoProto):
        if info.type.tensor_type.elem_type in _HALVES:
            info.type.tensor_type.elem_type = _FLOAT
            changed = True
    if not changed:
        return model
    for info in proto.graph.input:
        if info.name in fed:
            original = next(i for i in model.inputs if i.name == info.name)
            info.type.tensor_type.elem_type = original.type.tensor_type.elem_type
    _cast_inputs(proto.graph, {name: f"{name} / float32" for name in fed})
    return in_memory(model, proto)


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
