"""Ops that ONNX Runtime's optimiser writes into the standard domain, which does not have them."""

import onnx

from onnxunlearn.graph.messages import messages

#: op -> the standard's opset that has it; None for no opset
_RUNTIME = {
    "SimplifiedLayerNormalization": None,
    "SkipSimplifiedLayerNormalization": None,
    "LayerNormalization": 17,
}


def checkable(proto: onnx.ModelProto) -> onnx.ModelProto | None:
    """A copy for ONNX's checker, with these ops in ONNX Runtime's own domain; None if the model has none.

    Tensors that lie in other files are empty in it: what is checked is the graph.
    """
    opset = max((o.version for o in proto.opset_import if o.domain in {"", "ai.onnx"}), default=1)

    def is_foreign(node: onnx.NodeProto) -> bool:
        if node.op_type not in _RUNTIME or node.domain not in {"", "ai.onnx"}:
            return False
        since = _RUNTIME[node.op_type]
        return since is None or opset < since

    if not any(is_foreign(node) for node in messages(proto, onnx.NodeProto)):
        return None
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    for node in messages(copy, onnx.NodeProto):
        if is_foreign(node):
            node.domain = "com.microsoft"
    if all(o.domain != "com.microsoft" for o in copy.opset_import):
        copy.opset_import.append(onnx.helper.make_opsetid("com.microsoft", 1))
    for tensor in messages(copy, onnx.TensorProto):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor.ClearField("data_location")
            tensor.ClearField("external_data")
            tensor.dims[:] = [0]
    return copy
