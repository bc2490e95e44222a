"""The end of a model as a model of its own."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, expose, find_layers, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_after, tail_of

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)


def counting(which: int) -> Model:
    """Two dense layers, reshaped to as many rows as the input has samples (0) or numbers (1)."""
    node = helper.make_node
    nodes = [
        node("Gemm", ["x", "w1"], ["h"]),
        node("Relu", ["h"], ["r"]),
        node("Gemm", ["r", "w2"], ["z"]),
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "which"], ["n"]),
        node("Concat", ["n", "rest"], ["shape"], axis=0),
        node("Reshape", ["z", "shape"], ["y"]),
    ]
    values = {
        "w1": RNG.normal(size=(4, 6)).astype(np.float32),
        "w2": RNG.normal(size=(6, 4)).astype(np.float32),
        "which": np.array([which]),
        "rest": np.array([-1]),
    }
    graph = helper.make_graph(
        nodes,
        "counting",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    proto = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return load(proto.SerializeToString())


@pytest.mark.parametrize(("which", "boundary"), [(0, {"r"}), (1, {"r", "x"})], ids=["samples", "numbers"])
def test_an_input_that_tells_the_number_of_samples_does_not_enter(which: int, boundary: set[str]) -> None:
    model, engine = counting(which), create_engine()
    last = find_layers(model)[-1]
    tail = tail_of(model, [last], ["y"], shape_arithmetic(model))
    assert set(tail.boundary) == boundary
    known = {"x": X, **engine.session(expose(model, ["r", "y"])).run({"x": X})}
    fed = {name: known[name] for name in tail.boundary}
    alone = tail.alone(fed)
    assert {tensor.name for tensor in alone.graph.initializer} == {"w2", "which", "rest"}
    found = engine.session(expose(alone, ["y"])).run(fed)["y"]
    np.testing.assert_array_equal(found, known["y"])
    weights = {last.name: (np.zeros(last.weight.shape, np.float32), None)}
    with_fed = tail.as_model(fed)
    assert {tensor.name for tensor in with_fed.graph.initializer} >= {"which", "rest"}
    assert "w2" not in {tensor.name for tensor in with_fed.graph.initializer}
    assert not engine.session(expose(with_fed, ["y"])).run({**fed, **tail.feeds(weights)})["y"].any()


def test_what_is_needed_after_recorded_tensors() -> None:
    model = counting(0)
    tail = tail_after(model, ["r"], ["y"])
    assert {node.kind for node in tail.nodes} == {"Gemm", "Shape", "Gather", "Concat", "Reshape"}
    assert set(tail.boundary) == {"r", "x"}
