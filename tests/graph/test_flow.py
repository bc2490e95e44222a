"""What relevance can reach, and what is known once the shapes are."""

import numpy as np
import pytest
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import FileBytes, Logits, Model
from onnxunlearn.graph.flow import carriers, shape_arithmetic, sources
from onnxunlearn.relevance import Propagator, parse_composite
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


@pytest.mark.parametrize("op", ["Gather", "GatherND"])
def test_an_index_from_the_data_is_recorded(op: str) -> None:
    """y = the rows of x that the argmax of x·w points at, as causal language models pick their last token."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["scores"]),
        helper.make_node("ArgMax", ["scores"], ["which"], axis=1, keepdims=0),
    ]
    weights: dict[str, np.ndarray] = {"w": np.random.default_rng(3).normal(size=(5, 2)).astype(np.float32)}
    if op == "Gather":  # [2, 3, 5] at which [2, 2] of axis 1 -> [2, 2, 2, 5]
        nodes.append(helper.make_node("Gather", ["x", "which"], ["y"], axis=1))
    else:  # which[n] = (sample, row) -> [2, 5]; the index is bounded by the sizes 2 and 3
        weights["limit"] = np.array([1, 2])
        nodes.append(helper.make_node("Min", ["which", "limit"], ["bounded"]))
        nodes.append(helper.make_node("GatherND", ["x", "bounded"], ["y"]))
    model = flattened(nodes, X, weights)
    picked = np.argmax(X @ weights["w"], axis=1)
    found = []
    for engine in ("onnxruntime", "numpy"):
        logits = Logits("logits", "logits", 0, None)
        propagator = Propagator(model, logits, create_engine(engine), parse_composite("gradient"), ["x"])
        (batch,) = propagator.run({"x": X}, np.array([1, 3]), 2)
        found.append(batch.relevance["x"])
    expected = np.zeros_like(X)
    for n, target in enumerate((1, 3)):
        value = batch.logits[n, target]
        if op == "Gather":  # the first picked row of sample 0's list, read from sample n
            expected[n, picked.reshape(-1)[target // 5], target % 5] += value
        else:
            sample, row = np.minimum(picked[n], [1, 2])
            expected[sample, row, target] += value
    for relevance in found:
        np.testing.assert_allclose(relevance, expected, rtol=1e-6)


def test_relevance_is_not_lost_in_a_branch() -> None:
    """An If that reads the data inside is refused by name."""
    then = helper.make_graph([helper.make_node("Relu", ["x"], ["a"])], "then", [], [value("a")])
    other = helper.make_graph([helper.make_node("Tanh", ["x"], ["b"])], "else", [], [value("b")])
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["total"], keepdims=0),
        helper.make_node("Greater", ["total", "zero"], ["positive"]),
        helper.make_node("If", ["positive"], ["y"], name="choice", then_branch=then, else_branch=other),
    ]
    model = flattened(nodes, X, {"zero": np.zeros((), np.float32)})
    logits = Logits("logits", "logits", 0, None)
    propagator = Propagator(model, logits, create_engine("onnxruntime"), parse_composite("gradient"), ["x"])
    with pytest.raises(UnsupportedError, match="'choice', op If, opset 17"):
        next(propagator.run({"x": X}, np.array([0, 0]), 2))


def value(name: str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, X.shape)


def test_relevance_does_not_end_at_what_is_looked_up_by_position() -> None:
    """Position embeddings, whose numbers come of the sequence's length."""
    nodes = [
        helper.make_node("Shape", ["ids"], ["shape"], start=1),
        helper.make_node("Squeeze", ["shape"], ["length"]),
        helper.make_node("Range", ["nought", "length", "one"], ["numbers"]),
        helper.make_node("Gather", ["words", "ids"], ["word"]),
        helper.make_node("Gather", ["places", "numbers"], ["place"]),
        helper.make_node("Add", ["word", "place"], ["x"]),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["m", "w"], ["logits"]),
    ]
    rng = np.random.default_rng(0)
    words, places, w = (rng.normal(size=s).astype(np.float32) for s in ((7, 4), (9, 4), (4, 3)))
    constants = {"nought": np.array(0), "one": np.array(1), "words": words, "places": places, "w": w}
    graph = helper.make_graph(
        nodes,
        "text",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["n", "t"])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])],
        [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    model = Model(FileBytes(proto.SerializeToString()), proto)
    assert sources(model) == ["word"]
    ids = rng.integers(0, 7, (2, 5))
    logits = Logits("logits", "logits", 3, None)
    propagator = Propagator(model, logits, create_engine("numpy"), parse_composite("epsilon"), ["word"])
    (batch,) = propagator.run({"ids": ids}, np.array([0, 2]), 2)
    x = words[ids] + places[:5]
    share = words[ids] * w.T[[0, 2]][:, None] / 5  # of the logit, up to ε
    np.testing.assert_allclose(batch.relevance["word"], share, atol=1e-3 * np.abs(x).max())
