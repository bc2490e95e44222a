"""What is half or wrapped computes the same once lowered, and relevance passes it."""

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import Logits, load
from onnxunlearn.lowering import inline, lower, widen
from tests.lowering.lowered import (
    ENGINES,
    SAMPLES,
    assert_same,
    correlation,
    digits,
    halved,
    normal,
    relevance,
    values,
)


def test_a_plain_model_is_left_alone() -> None:
    model = load(SAMPLES / "mnist_cnn.onnx")
    assert lower(model) is model


def test_functions_are_inlined() -> None:
    body = [helper.make_node("MatMul", ["a", "w"], ["z"]), helper.make_node("Relu", ["z"], ["b"])]
    function = helper.make_function("own", "Layer", ["a", "w"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Layer", ["x", "w0"], ["h"], domain="own"),
        helper.make_node("Layer", ["h", "w1"], ["logits"], domain="own"),
    ]
    graph = helper.make_graph(
        nodes,
        "two calls",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(normal(4, 5), "w0"), numpy_helper.from_array(normal(5, 3), "w1")],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=opsets, functions=[function], ir_version=8)
    model, feeds = load(proto.SerializeToString()), {"x": normal(2, 4)}
    lowered = inline(model)
    assert [node.op for node in lowered.nodes] == ["MatMul", "Relu"] * 2
    assert "h" in lowered.activations
    assert_same(model, lowered, feeds, 0)
    assert relevance(model, feeds, ["x", "h"], "epsilon_plus", Logits("logits", "logits", 3, None))


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_resnet", "fashion_mobile"])
def test_half_network(name: str) -> None:
    plain, feeds = load(SAMPLES / f"{name}.onnx"), digits()
    model = halved(plain)
    half = {n: v.astype(np.float16) for n, v in feeds.items()}
    lowered = widen(model)
    size = abs(values(plain, feeds)["logits"]).max()
    assert_same(model, lowered, half, 1e-2 * size, [*ENGINES, "torch"])
    assert values(lowered, half)["logits"].dtype == np.float32
    targets = values(plain, feeds)["logits"].argmax(1)
    for composite in ("epsilon_plus", "gradient"):
        expected = relevance(plain, feeds, ["x"], composite, None, targets)["x"]
        found = relevance(model, half, ["x"], composite, None, targets)["x"]
        assert correlation(found, expected) > 0.999
