"""The same model in double precision, for engines that can run it: what float32 results are measured against."""

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph.model import Model

_FLOAT, _DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE

#: ops that compute their statistics in float32 unless told otherwise
_STASHES = frozenset({"LayerNormalization", "GroupNormalization", "RMSNormalization"})


def as_float64(model: Model) -> Model:
    """A copy in which every float32 tensor, declared type and cast target is double; in memory only."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    for info in (*graph.input, *graph.output, *graph.value_info):
        if info.type.tensor_type.elem_type == _FLOAT:
            info.type.tensor_type.elem_type = _DOUBLE
    for tensor in graph.initializer:
        _widen(tensor, model)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _widen(attribute.t, model)
            if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", _FLOAT):
                attribute.i = _DOUBLE
            if node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
                values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
                attribute.CopyFrom(
                    onnx.helper.make_attribute("value", numpy_helper.from_array(np.asarray(values, np.float64)))
                )
        if node.op_type in _STASHES and all(a.name != "stash_type" for a in node.attribute):
            node.attribute.append(onnx.helper.make_attribute("stash_type", _DOUBLE))
        if node.op_type == "ConstantOfShape" and not node.attribute:  # float32 zeros by default
            zero = numpy_helper.from_array(np.zeros(1))
            node.attribute.append(onnx.helper.make_attribute("value", zero))
    return Model(proto.SerializeToString(), proto, model.path)


def _widen(tensor: onnx.TensorProto, model: Model) -> None:
    if tensor.data_type == _FLOAT:
        base = str(model.folder) if model.folder else ""
        values = numpy_helper.to_array(tensor, base).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
