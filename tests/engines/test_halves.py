"""Widened weights reach the engine as halves, each with a Cast just before its first reader."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine, onnxruntime
from onnxunlearn.engines.halves import with_casts
from onnxunlearn.graph import Model, expose, load
from onnxunlearn.relevance.lowering import lower
from tests.graph.models import build, numbers, tensor, value

A, B = (numbers(4, 4, seed=s).astype(np.float16) for s in (0, 1))
X = numbers(2, 4, seed=2)


@pytest.fixture
def model(tmp_path: Path) -> Model:
    """y = x·a if its first element is positive, else x·b·b, lowered; a is read inside an If alone, which also
    gives c out as it is."""
    half = TensorProto.FLOAT16

    def branch(name: str, node: onnx.NodeProto) -> onnx.GraphProto:
        return helper.make_graph([node], name, [], [value(f"{name}.y", ["N", 4], half)])

    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=half),
        helper.make_node("MatMul", ["h", "b"], ["hb"]),
        helper.make_node("MatMul", ["hb", "b"], ["hbb"]),
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "limit"], ["positive"]),
        helper.make_node(
            "If",
            ["positive"],
            ["y"],
            then_branch=branch("then", helper.make_node("MatMul", ["h", "a"], ["then.y"])),
            else_branch=branch("else", helper.make_node("Identity", ["hbb"], ["else.y"])),
        ),
    ]
    weights = [tensor("a", A), tensor("b", B), tensor("c", A), tensor("limit", np.zeros((), np.float32))]
    proto = build(
        nodes, [value("x", ["N", 4])], [value("y", ["N", 4], half), value("c", [4, 4], half)], weights
    )
    path = tmp_path / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="m.data", size_threshold=8)
    return lower(load(path))


def test_each_is_cast_once_just_before_it_is_read(model: Model) -> None:
    seen = with_casts(model.proto)
    stored = {t.name: t.data_type for t in seen.graph.initializer}
    assert stored == {
        "a / stored": TensorProto.FLOAT16,
        "b / stored": TensorProto.FLOAT16,
        "c / stored": TensorProto.FLOAT16,
        "limit": TensorProto.FLOAT,
    }
    order = [node.output[0] for node in seen.graph.node]
    assert [order[order.index(n) + 1] for n in ("a", "b")] == ["y", "hb"]
    assert sorted(order) == sorted([*(n.outputs[0] for n in model.nodes), "a", "b", "c"])


@pytest.mark.parametrize("large", [False, True])
def test_the_engine_computes_what_the_widened_model_says(
    model: Model, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "_LARGE", 0 if large else onnxruntime._LARGE)
    session = create_engine("onnxruntime").session(model.proto, model.folder)
    a, b = A.astype(np.float32), B.astype(np.float32)
    for x, y in ((np.abs(X), np.abs(X) @ a), (-np.abs(X), -np.abs(X) @ b @ b)):
        values = session.run({"x": x})
        np.testing.assert_allclose(values["y"], y, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(values["c"], a)


def test_one_that_is_fed_is_no_longer_stored(model: Model) -> None:
    trial = create_engine("onnxruntime").session(expose(model, ["hbb"], fed=["b"]), model.folder)
    x, b = np.abs(X), 2 * B.astype(np.float32)
    np.testing.assert_allclose(trial.run({"x": x, "b": b})["hbb"], x @ b @ b, rtol=1e-4, atol=1e-5)


def test_a_model_without_any_is_itself(model: Model) -> None:
    proto = onnx.load(model.folder / "m.onnx", load_external_data=False) if model.folder else None
    assert proto is not None
    assert with_casts(proto) is proto
