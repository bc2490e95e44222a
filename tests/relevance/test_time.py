"""Relevance of long graphs: time grows with their length, not with its square."""

import time

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxunlearn import explain
from tests.engines.small_models import model_of


def chain(length: int) -> onnx.ModelProto:
    """x[N, 4] through a chain of ReLUs to three logits."""
    nodes = [helper.make_node("Relu", [f"h{i}" if i else "x"], [f"h{i + 1}"]) for i in range(length)]
    nodes.append(helper.make_node("MatMul", [f"h{length}", "w"], ["y"]))
    w = np.arange(12, dtype=np.float32).reshape(4, 3)
    model = model_of(nodes, {"x": ["N", 4]}, [], {"w": w})
    model.graph.output.append(helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", 3]))
    return model


def seconds(length: int) -> float:
    """CPU seconds."""
    data = chain(length).SerializeToString()
    begin = time.process_time()
    found = explain(data, {"x": np.array([[1, -1, 2, 0]], np.float32)}, 1)["x"]
    used = time.process_time() - begin
    np.testing.assert_allclose(found, [[1, 0, 14, 0]], rtol=1e-5)  # x⁺·w, of which nothing is lost
    return used


@pytest.mark.slow
def test_four_times_the_nodes_do_not_take_much_more_than_four_times_as_long() -> None:
    """Measured 5.3 times; 11 times while memory was planned ahead, which goes through all of it each time."""
    seconds(100)  # imports
    assert seconds(16_000) / seconds(4_000) < 8
