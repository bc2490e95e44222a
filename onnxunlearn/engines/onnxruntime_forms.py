"""Models in the form that ONNX Runtime takes best; what they compute stays the same."""

from math import prod

import onnx

from onnxunlearn.graph.dimensions import sizes_of
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import element_bits


def runnable(model: onnx.ModelProto, many: int) -> onnx.ModelProto:
    """The model itself, or a copy of it. many: inputs from which on constants are fixed."""
    return _with_fixed_constants(_trimmed(model), many)


def _trimmed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without omitted inputs at the end of a list.

    It means the same without them, but ONNX Runtime crashes on some (LayerNormalization with bias "").
    """
    if not any(_omits_last(node) for node in messages(model, onnx.NodeProto)):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in messages(copy, onnx.NodeProto):
        while _omits_last(node):
            del node.input[-1]
    return copy


def _with_fixed_constants(model: onnx.ModelProto, many: int) -> onnx.ModelProto:
    """A model of many inputs in IR 3, where no feed replaces a constant; other models as they are.

    From IR 4 on one may, so that ONNX Runtime looks through all inputs at each use of a constant.
    """
    graph = model.graph
    listed = {i.name for i in graph.input}
    if len(listed) <= many or model.functions or any(t.name in listed for t in graph.initializer):
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    copy.ir_version = 3
    make = onnx.helper.make_tensor_value_info
    copy.graph.input.extend(make(t.name, t.data_type, t.dims) for t in graph.initializer)
    return copy


def _omits_last(node: onnx.NodeProto) -> bool:
    return bool(node.input) and not node.input[-1]


def tensor_bytes(model: onnx.ModelProto) -> int:
    """Of its weights, and of inputs of a fixed size, which weights that are fed are."""
    fixed = (sizes for i in model.graph.input if None not in (sizes := sizes_of(i)))
    inputs = 4 * sum(prod(size or 1 for size in sizes) for sizes in fixed)
    return inputs + sum((element_bits(t.data_type) or 0) * prod(t.dims) // 8 for t in model.graph.initializer)
