"""What relevance can reach, and what is known once the shapes are."""

import numpy as np
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.relevance.flow import carriers, shape_arithmetic, sources
from tests.relevance.layers import flattened

X = np.random.default_rng(0).normal(size=(2, 3, 5)).astype(np.float32)


def masked() -> Model:
    """y = (x·w + b like x) where x > 0, else the row number: shapes, types and comparisons depend on x."""
    nodes = [
        helper.make_node("CastLike", ["bias", "x"], ["b"]),
        helper.make_node("MatMul", ["x", "w"], ["xw"]),
        helper.make_node("Add", ["xw", "b"], ["z"]),
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("Greater", ["x", "zeros"], ["mask"]),
        helper.make_node("Where", ["mask", "z", "zeros"], ["y"]),
    ]
    rng = np.random.default_rng(1)
    weights: dict[str, np.ndarray] = {"w": rng.normal(size=(5, 5)).astype(np.float32)}
    weights["bias"] = rng.normal(size=5)
    return flattened(nodes, X, weights)


def test_what_carries_relevance() -> None:
    model = masked()
    assert sources(model) == ["x"]
    assert carriers(model) == {"x", "xw", "z", "y", "logits"}


def test_what_is_known_with_the_shapes() -> None:
    """Among them what takes only its type from the data."""
    assert shape_arithmetic(masked()) == {"b", "shape", "zeros"}


def test_relevance_flows_where_the_mask_lets_it() -> None:
    model = masked()
    propagator = Propagator(
        model,
        Logits("logits", "logits", 0, None),
        create_engine("onnxruntime"),
        parse_composite("gradient"),
        ["z"],
    )
    (batch,) = propagator.run({"x": X}, np.array([0, 7]), 2)
    seed = np.zeros((2, 15))
    seed[[0, 1], [0, 7]] = batch.logits[[0, 1], [0, 7]]
    np.testing.assert_allclose(batch.relevance["z"], np.where(X > 0, seed.reshape(X.shape), 0), rtol=1e-6)
