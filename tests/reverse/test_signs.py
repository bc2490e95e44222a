"""Tensors that are provably ≥ 0."""

import numpy as np
from onnx import helper

from onnxunlearn.reverse.signs import nonnegative_tensors
from tests.relevance.layers import model_of


def test_nonnegative_tensors() -> None:
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("Tanh", ["x"], ["t"]),
        helper.make_node("Add", ["r", "r"], ["rr"]),
        helper.make_node("Add", ["r", "t"], ["rt"]),
        helper.make_node("Add", ["r", "plus"], ["shifted up"]),
        helper.make_node("Add", ["r", "minus"], ["shifted down"]),
        helper.make_node("Clip", ["x", "zero"], ["c"]),
        helper.make_node("Clip", ["x", "below"], ["d"]),
        helper.make_node("Flatten", ["rr"], ["f"]),
        helper.make_node("Concat", ["f", "c"], ["both"], axis=1),
        helper.make_node(
            "Concat", ["both", "t", "rt", "d", "shifted up", "shifted down"], ["logits"], axis=1
        ),
    ]
    constants = {
        "zero": np.zeros((), np.float32),
        "below": -np.ones((), np.float32),
        "plus": np.ones(3, np.float32),
        "minus": -np.ones(3, np.float32),
    }
    model = model_of(nodes, {"x": ["n", 3]}, constants, "logits", ["n", 21])
    assert nonnegative_tensors(model) == {"r", "rr", "c", "f", "both", "shifted up"}
