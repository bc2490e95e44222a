"""What only the engine on ONNX Runtime does."""

import numpy as np
from onnx import helper

from onnxunlearn.engines import create_engine
from tests.engines.small_models import model_of


def test_a_graph_of_many_inputs() -> None:
    """As relevance graphs are: run in another form, with the same values."""
    names = [f"x{i}" for i in range(1500)]
    nodes = [helper.make_node("Mul", [name, "two"], [f"y{i}"]) for i, name in enumerate(names)]
    nodes.append(helper.make_node("Sum", [f"y{i}" for i in range(1500)], ["y"]))
    stored = {"two": np.array(2, np.float32), "unused": np.ones(1, np.float32)}
    model = model_of(nodes, {name: [2] for name in names}, ["y"], stored)
    before = model.SerializeToString()
    session = create_engine("onnxruntime").session(model)
    fed = {name: np.full(2, i, np.float32) for i, name in enumerate(names)}
    np.testing.assert_array_equal(session.run(fed)["y"], np.full(2, 1500 * 1499, np.float32))
    assert model.SerializeToString() == before
