"""Relevances that other libraries computed: zennit 1.0.0 on a CNN, iNNvestigate 2.1 on single layers."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.graph import Model, as_float64, find_logits, load
from onnxunlearn.relevance import Propagator, parse_composite

REFERENCE = Path(__file__).parents[1] / "reference" / "lrp"

#: file of the reference -> the same in our words
CNN = {
    "epsilon_plus": "epsilon_plus",
    "epsilon_alpha2_beta1": "epsilon_alpha2_beta1",
    "epsilon_plus_flat": "epsilon_plus_flat",
    "epsilon_gamma_box": "epsilon_gamma_box(low=-3.0, high=3.0)",
    "epsilon_all": "epsilon",
    "epsilon_0.25": "epsilon(epsilon=0.25)",
    "gamma_all": "gamma",
    "zplus_all": "zplus",
    "wsquare_all": "wsquare",
    "zplus_nobias": "zplus(bias=False)",
}
#: tensor of the ONNX export -> module whose output it is; the export merged each BatchNorm into its Conv
CNN_TENSORS = {
    "x": "input_relevance",
    "/conv0/Conv_output_0": "bn0",
    "/relu0/Relu_output_0": "relu0",
    "/maxpool/MaxPool_output_0": "maxpool",
    "/block/conv1/Conv_output_0": "block.bn1",
    "/block/relu1/Relu_output_0": "block.relu1",
    "/block/conv2/Conv_output_0": "block.bn2",
    "/block/Add_output_0": "block.canonizer_sum",
    "/block/relu2/Relu_output_0": "block.relu2",
    "/avgpool/AveragePool_output_0": "avgpool",
    "/gap/GlobalAveragePool_output_0": "gap",
    "/flatten/Flatten_output_0": "flatten",
    "/fc1/Gemm_output_0": "fc1",
    "/relu3/Relu_output_0": "relu3",
    "logits": "fc2",
}
#: iNNvestigate's analyzer -> the same in our words, for its dense and for its convolutional layer
SINGLE = {
    "LRPZ": ("epsilon(epsilon=1e-7, only_zeros=True)",) * 2,
    "LRPEpsilon": ("epsilon(epsilon=1e-7)",) * 2,
    "LRPWSquare": ("wsquare(epsilon=1e-7, bias=False)",) * 2,
    "LRPFlat": ("flat(epsilon=1e-7)",) * 2,
    "LRPAlpha1Beta0": ("alpha1beta0(epsilon=1e-7, both_biases=True)",) * 2,
    "LRPAlpha1Beta0IgnoreBias": ("alpha1beta0(epsilon=1e-7, bias=False)",) * 2,
    "LRPAlpha2Beta1": ("alpha2beta1(epsilon=1e-7, both_biases=True)",) * 2,
    "LRPZPlus": ("zplus(epsilon=1e-7, bias=False)",) * 2,
    "LRPZ_boxed_input_layer_rule": ("zbox(low=-10, high=10, epsilon=1e-7)",) * 2,
    "LRPSequentialPresetA": ("epsilon(epsilon=0.1)", "alpha1beta0(epsilon=1e-7, both_biases=True)"),
    "LRPSequentialPresetAFlat": ("flat(epsilon=1e-7)",) * 2,
}


@cache
def engine(name: str) -> Engine:
    if name == "torch":
        pytest.importorskip("torch")
    return create_engine(name)


def worst(found: np.ndarray, expected: np.ndarray) -> float:
    """Largest difference, relative to the tensor's largest magnitude."""
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("composite", CNN)
def test_cnn(composite: str, name: str) -> None:
    reference = np.load(REFERENCE / "cnn" / f"{composite}.npz")
    for tensor, values in _cnn(reference, CNN[composite], engine(name), np.float32).items():
        assert worst(values, reference[CNN_TENSORS[tensor]]) < 1e-5, tensor


@pytest.mark.parametrize("composite", CNN)
def test_cnn_in_float64(composite: str) -> None:
    """Two engines agree to 1e-9; the reference is only as near as the float32 weights of the export, whose
    BatchNorms were merged in float32."""
    reference = np.load(REFERENCE / "cnn" / f"{composite}.npz")
    found = {name: _cnn(reference, CNN[composite], engine(name), np.float64) for name in ("numpy", "torch")}
    for tensor, values in found["numpy"].items():
        assert values.dtype == np.float64
        assert worst(found["torch"][tensor], values) < 1e-9, tensor
        assert worst(values, reference[CNN_TENSORS[tensor]]) < 1e-6, tensor


def _cnn(
    reference: dict[str, np.ndarray], composite: str, engine: Engine, dtype: type
) -> Mapping[str, np.ndarray]:
    """Relevance at every tensor that the reference has, by tensor."""
    model = load(REFERENCE / "cnn" / "model.onnx")
    x = reference["input"]
    if dtype is np.float64:
        model, x = as_float64(model), x.astype(np.float64)
    tensors = [t for t in CNN_TENSORS if CNN_TENSORS[t] in reference]
    propagator = Propagator(model, find_logits(model), engine, parse_composite(composite), tensors, dtype)
    (batch,) = propagator.run({"x": x}, np.full(len(x), 2), len(x))
    return batch.relevance


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("layer", ["Dense", "Dense_relu", "Conv2D", "Conv2D_relu"])
@pytest.mark.parametrize("analyzer", SINGLE)
def test_single_layer(analyzer: str, layer: str, name: str) -> None:
    reference = np.load(REFERENCE / "single-layer" / f"{analyzer}.npz")
    model = _single_layer(layer, reference[f"{layer}.weight"], reference[f"{layer}.bias"])
    composite = SINGLE[analyzer][layer.startswith("Conv")]
    propagator = Propagator(model, find_logits(model), engine(name), parse_composite(composite), ["x"])
    x = reference["input"].astype(np.float32)
    largest = reference[f"{layer}.output"].argmax(axis=1)
    (batch,) = propagator.run({"x": x}, largest, len(x))
    assert worst(batch.logits, reference[f"{layer}.output"]) < 1e-5
    assert worst(batch.relevance["x"], reference[f"{layer}.attribution"]) < 1e-5


def _single_layer(layer: str, weight: np.ndarray, bias: np.ndarray) -> Model:
    """Keras's layer on [N, 10, 10, 3]: channels last, outputs flattened."""
    nodes = []
    if layer.startswith("Dense"):
        initializers = {"w": weight, "b": bias}
        nodes += [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["z"]),
        ]
    else:
        initializers = {"w": np.ascontiguousarray(weight.transpose(3, 2, 0, 1)), "b": bias}
        nodes += [
            helper.make_node("Transpose", ["x"], ["channels first"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["channels first", "w", "b"], ["convolved"]),
            helper.make_node("Transpose", ["convolved"], ["z"], perm=[0, 2, 3, 1]),
        ]
    last = "z"
    if layer.endswith("relu"):
        nodes.append(helper.make_node("Relu", ["z"], ["a"]))
        last = "a"
    nodes.append(helper.make_node("Flatten", [last], ["logits"]))
    count = 500 if layer.startswith("Dense") else 320
    graph = helper.make_graph(
        nodes,
        layer,
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 10, 10, 3])],
        [helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["n", count])],
        [numpy_helper.from_array(a, name) for name, a in initializers.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return load(proto.SerializeToString())
