"""A dense network (20 inputs, 32 hidden, 6 classes) with something odd before or behind it, and probes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import Model, load

_RNG = np.random.default_rng(0)
W1, B1, W2, B2 = (_RNG.normal(size=s).astype(np.float32) for s in ((32, 20), (32,), (6, 32), (6,)))
#: [240, 20]
X = _RNG.normal(size=(240, 20)).astype(np.float32)
ML = "ai.onnx.ml"
node = helper.make_node


def array(name: str, value: Any, dtype: Any = None) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype), name)


def network(
    tail: Sequence[onnx.NodeProto] = (),
    constants: Sequence[onnx.TensorProto] = (),
    outputs: Sequence[tuple[str, int]] = (("logits", 6),),
    *,
    before: Sequence[onnx.NodeProto] = (),
    read: str = "x",
    ir_version: int = 8,
    opset: int = 17,
    ml: int = 3,
) -> onnx.ModelProto:
    """x [N, 20] → `before` → `read` → Gemm, Relu, Gemm → logits [N, 6] → `tail` → outputs [N, width]."""
    trunk = [
        node("Gemm", [read, "W1", "b1"], ["a"], name="hidden", transB=1),
        node("Relu", ["a"], ["z"]),
        node("Gemm", ["z", "W2", "b2"], ["logits"], name="head", transB=1),
    ]
    weights = [array("W1", W1), array("b1", B1), array("W2", W2), array("b2", B2), *constants]
    graph = helper.make_graph(
        [*before, *trunk, *tail],
        "odd",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 20])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width]) for name, width in outputs],
        weights,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(ML, ml)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version)


def weights_as_inputs(opset: int = 8, ir_version: int = 3) -> onnx.ModelProto:
    model = network(opset=opset, ir_version=ir_version)
    for weight in model.graph.initializer:
        listed = helper.make_tensor_value_info(weight.name, weight.data_type, weight.dims)
        model.graph.input.append(listed)
    return model


def zip_map(**classlabels: Any) -> onnx.ModelProto:
    """The scores leave as a map, as exporters of scikit-learn write it: classlabels_int64s or _strings."""
    named = node("ZipMap", ["p"], ["o"], domain=ML, **classlabels)
    model = network([node("Softmax", ["logits"], ["p"], axis=1), named])
    key = TensorProto.STRING if "classlabels_strings" in classlabels else TensorProto.INT64
    maps = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    del model.graph.output[:]
    model.graph.output.append(helper.make_value_info("o", helper.make_sequence_type_proto(maps)))
    return model


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def logits_of(x: np.ndarray = X) -> np.ndarray:
    """What the network says in its logits, [N, 6]."""
    return np.asarray(np.maximum(x @ W1.T + B1, 0) @ W2.T + B2)


def columns(x: np.ndarray = X) -> np.ndarray:
    """The class it gives, int [N]: the column of the largest logit."""
    return np.asarray(logits_of(x).argmax(axis=1))
