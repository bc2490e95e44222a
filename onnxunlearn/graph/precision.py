"""The same model in double precision, for engines that can run it: what float32 results are measured by."""

from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph.external import read
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import TYPE_ATTRIBUTES, is_outside
from onnxunlearn.graph.view import Model

_FLOAT, _DOUBLE = onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE


def as_float64(model: Model) -> Model:
    """A copy in which every float32 tensor, declared type and cast target is double; in memory only."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    for declared in messages(proto, onnx.TypeProto.Tensor):
        if declared.elem_type == _FLOAT:
            declared.elem_type = _DOUBLE
    for tensor in messages(proto, onnx.TensorProto):
        if tensor.data_type == _FLOAT:
            outside = is_outside(tensor)
            values = read(tensor, model.folder or Path()) if outside else numpy_helper.to_array(tensor)
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float64), tensor.name))
    for node in messages(proto, onnx.NodeProto):
        _widen(node, model.opsets.get("", 1))
    return Model(FileBytes(proto.SerializeToString()), proto, model.path)


def _widen(node: onnx.NodeProto, opset: int) -> None:
    for attribute in node.attribute:
        if attribute.name in TYPE_ATTRIBUTES and attribute.i == _FLOAT:
            attribute.i = _DOUBLE
        if node.op_type == "Constant" and attribute.name in {"value_float", "value_floats"}:
            values = attribute.f if attribute.name == "value_float" else list(attribute.floats)
            _set(attribute, "value", numpy_helper.from_array(np.asarray(values, np.float64)))
    given = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "ConstantOfShape" and not given:  # float32 zeros
        _set(node.attribute.add(), "value", numpy_helper.from_array(np.zeros(1)))
    if node.op_type == "GroupNormalization" and opset >= 21:
        # Engines compute LayerNormalization and RMSNormalization in their input's type, whatever `stash_type`
        # says; this one they take apart as ONNX defines it, with a Cast.
        _set(given.get("stash_type") or node.attribute.add(), "stash_type", _DOUBLE)


def _set(attribute: onnx.AttributeProto, name: str, value: onnx.TensorProto | int) -> None:
    attribute.CopyFrom(onnx.helper.make_attribute(name, value))
