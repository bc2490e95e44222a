"""What only the engine on ONNX Runtime does."""

from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from tests.engines.small_models import model_of
from tests.engines.test_given_back import resident


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


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no way to tell what memory is taken")
def test_a_second_run_takes_no_more_memory() -> None:
    """It did, 30 MiB here: ONNX Runtime planned one block for all of it, beside what the first took."""
    nodes, last = [], "x"
    for i in range(6):
        rows, columns, product = (f"{name}{i}" for name in ("rows", "columns", "product"))
        nodes.append(helper.make_node("Softmax", [last], [rows]))
        nodes.append(helper.make_node("Softmax", [rows], [columns], axis=0))
        nodes.append(helper.make_node("MatMul", [rows, columns], [product]))
        last = product
    nodes.append(helper.make_node("ReduceSum", [last], ["y"], keepdims=0))
    session = create_engine("onnxruntime").session(model_of(nodes, {"x": [2000, 2000]}, ["y"], {}))
    fed = {"x": np.random.default_rng(0).random((2000, 2000), np.float32)}
    session.run(fed)
    before = resident()
    session.run(fed)
    assert resident() < before + (1 << 23)
