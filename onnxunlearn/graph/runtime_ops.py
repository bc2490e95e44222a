"""What ONNX Runtime takes and ONNX's checker does not.

Ops that the runtime's optimiser writes into the standard domain, which does not have them; outputs without a
shape or without a type, which it infers; the standard domain written out as `ai.onnx` at a node.
"""

import onnx

from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import in_data_file, is_outside

#: op -> the standard's opset that has it; None for no opset
_RUNTIME = {
    "SimplifiedLayerNormalization": None,
    "SkipSimplifiedLayerNormalization": None,
    "LayerNormalization": 17,
}


def checkable(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy for ONNX's checker: these ops in ONNX Runtime's own domain, all outputs with a type and shape.
    None if the model needs none.

    Tensors that lie in other files, or are held, are empty in it: what is checked is the graph.
    """
    opset = max((o.version for o in proto.opset_import if o.domain in {"", "ai.onnx"}), default=1)

    def is_foreign(node: onnx.NodeProto) -> bool:
        if node.op_type not in _RUNTIME or node.domain not in {"", "ai.onnx"}:
            return False
        since = _RUNTIME[node.op_type]
        return since is None or opset < since

    foreign = any(is_foreign(node) for node in messages(proto, onnx.NodeProto))
    spelt = any(node.domain == "ai.onnx" for node in messages(proto, onnx.NodeProto))
    held = any(is_outside(t) and not in_data_file(t) for t in proto.graph.initializer)
    if (
        not foreign
        and not spelt
        and not held
        and not any(_is_undeclared(output) for output in proto.graph.output)
    ):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in messages(copy, onnx.NodeProto):
        if is_foreign(node):
            node.domain = "com.microsoft"
        elif node.domain == "ai.onnx":
            node.domain = ""
    if foreign and all(o.domain != "com.microsoft" for o in copy.opset_import):
        copy.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    for output in filter(_is_undeclared, copy.graph.output):
        known = output.type.tensor_type.elem_type or onnx.TensorProto.FLOAT
        output.CopyFrom(onnx.helper.make_tensor_value_info(output.name, known, []))
    for tensor in messages(copy, onnx.TensorProto):
        if is_outside(tensor):
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
            tensor.dims[:] = [0]
    return copy


def _is_undeclared(output: onnx.ValueInfoProto) -> bool:
    """Whether nothing is said of an output, or only of which numbers a tensor is."""
    kind, tensor = output.type.WhichOneof("value"), output.type.tensor_type
    return kind is None or (kind == "tensor_type" and tensor.elem_type > 0 and not tensor.HasField("shape"))
