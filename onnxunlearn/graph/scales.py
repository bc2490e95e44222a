"""Scales of quantised tensors: what engines divide by, and nobody checks again.

ONNX Runtime ends the whole process at some scales of 0, and makes numbers of others that mean nothing.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import is_outside
from onnxunlearn.graph.view import Model

_UNARY = ("LeakyRelu", "Sigmoid", "Softmax", "AveragePool", "GlobalAveragePool", "ReduceMean")
#: op -> which of its inputs are scales; that of QLinearConcat has any number of them
_SCALES: dict[str, tuple[int, ...]] = {
    "QuantizeLinear": (1,),
    "DequantizeLinear": (1,),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "QLinearAdd", "QLinearMul"), (1, 4, 6)),
    **dict.fromkeys((f"QLinear{op}" for op in _UNARY), (1, 3)),
    "QLinearWhere": (2, 5, 7),
    "QGemm": (1, 4, 7),
    "MatMulIntegerToFloat": (2, 3),
    "DynamicQuantizeMatMul": (2,),
    "DynamicQuantizeLSTM": (8, 10),
    "QAttention": (3, 4),
    "MatMulNBits": (2,),
}


def check_scales(model: Model, name: str) -> None:
    """Raises InputError, its message starting with the model's `name`, for a stored scale that is none.

    A scale is a finite number above 0. Those of blocks of weights may be 0 or below: that is how some
    quantisers write blocks of zeros, or use the one integer that is left over below.
    """
    for nodes, stored in _scopes(model):
        for node in nodes:
            for index in _indices(node):
                scale = _value(model, stored, node.input[index])
                if scale is None:
                    continue
                wrong = scale[~np.isfinite(scale)] if _of_blocks(node) else scale[~_sound(scale)]
                if wrong.size:
                    raise InputError(
                        f"{name}: scale {node.input[index]!r} of node {node.name!r}, op {node.op_type}, "
                        f"holds {wrong[0]:g}; expected finite numbers above 0, quantise the model again"
                    )


def _sound(scale: np.ndarray) -> np.ndarray:
    return np.isfinite(scale) & (scale > 0)


def _indices(node: onnx.NodeProto) -> Sequence[int]:
    """The inputs of the node that are scales."""
    count = len(node.input)
    found = range(0, count, 3) if node.op_type == "QLinearConcat" else _SCALES.get(node.op_type, ())
    return [index for index in found if index < count and node.input[index]]


def _of_blocks(node: onnx.NodeProto) -> bool:
    blocks = any(a.name == "block_size" and a.i > 0 for a in node.attribute)
    return blocks and node.op_type in {"DequantizeLinear", "MatMulNBits"}


def _scopes(model: Model) -> Iterator[tuple[Sequence[onnx.NodeProto], dict[str, onnx.TensorProto]]]:
    """The nodes of every graph and function, with what is stored beside them."""
    for graph in messages(model.proto, onnx.GraphProto):
        yield graph.node, {tensor.name: tensor for tensor in graph.initializer} | _constants(graph.node)
    for function in model.proto.functions:
        yield function.node, _constants(function.node)


def _constants(nodes: Sequence[onnx.NodeProto]) -> dict[str, onnx.TensorProto]:
    return {
        node.output[0]: attribute.t
        for node in nodes
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value" and node.output
    }


def _value(model: Model, stored: dict[str, onnx.TensorProto], name: str) -> np.ndarray | None:
    """The scale as floats; None if it is no constant."""
    tensor = stored.get(name)
    value: np.ndarray | None
    if tensor is not None and not is_outside(tensor):
        value = numpy_helper.to_array(tensor)
    else:
        value = model.constant(name)
    return None if value is None else np.asarray(value).astype(np.float64).reshape(-1)
