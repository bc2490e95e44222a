"""Weights that a local function holds in Constant nodes: edited where they lie, if the function runs once."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Edited, FileBytes, Model, find_layers, load
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower

RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def held(name: str, value: np.ndarray) -> onnx.NodeProto:
    return helper.make_node("Constant", [], [name], value=numpy_helper.from_array(value))


def network(calls: int) -> onnx.ModelProto:
    """`dense`, a function with weight and bias of its own, so many times in a row; behind it the head."""
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)]
    body = [
        held("w", floats(8, 8) / 3),
        held("b", floats(8)),
        helper.make_node("Gemm", ["a", "w", "b"], ["g"], name="inner", transB=1),
        helper.make_node("Relu", ["g"], ["r"]),
    ]
    dense = helper.make_function("local", "dense", ["a"], ["r"], body, opsets[:1])
    names = ["x", *(f"h{i}" for i in range(calls))]
    nodes = [helper.make_node("dense", [a], [b], domain="local") for a, b in pairwise(names)]
    nodes.append(helper.make_node("MatMul", [names[-1], "head"], ["y"], name="head"))
    x, y = (helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", s]) for n, s in (("x", 8), ("y", 3)))
    graph = helper.make_graph(nodes, "g", [x], [y], [numpy_helper.from_array(floats(8, 3), "head")])
    return helper.make_model(graph, ir_version=8, opset_imports=opsets, functions=[dense])


def test_an_edit_is_written_into_the_function(tmp_path: Path) -> None:
    path, out = tmp_path / "model.onnx", tmp_path / "edited.onnx"
    path.write_bytes(network(1).SerializeToString())
    model = load(path)
    seen = lower(model)
    layer, head = find_layers(seen)
    assert (layer.neurons, layer.weight.shared, head.name) == (8, False, "head")
    edits = Edits(seen)
    weight, bias = edits.weight(layer), edits.bias(layer)
    assert bias is not None
    weight[2], bias[2] = 0.25, -1
    edits.set_weight(layer, weight)
    edits.set_bias(layer, bias)
    Edited.of(model, edits.arrays).save(out)
    edited = load(out)
    found = diff(model, edited, seen)
    assert {t.name for t in found.tensors} == {"local::dense / 0 / w", "local::dense / 1 / b"}
    assert {(t.layer, t.rows) for t in found.tensors} == {(layer.name, (2,))}
    assert found.others == ()
    assert found.sizes[0] == found.sizes[1]
    body = edited.proto.functions[0].node
    np.testing.assert_array_equal(numpy_helper.to_array(body[0].attribute[0].t), weight)
    np.testing.assert_array_equal(numpy_helper.to_array(body[1].attribute[0].t), bias)
    session, x = create_engine().session, {"x": floats(3, 8)}
    trial = session(edits.applied().proto).run(x)["y"]
    np.testing.assert_allclose(session(edited.proto).run(x)["y"], trial, rtol=1e-5)
    assert (session(model.proto).run(x)["y"] != trial).any()


def test_one_that_runs_twice_is_left_alone() -> None:
    """And said to be."""
    model = network(2).SerializeToString()
    assert [la.name for la in find_layers(lower(load(model)))] == ["head"]
    found = inspect(model)
    assert [la.name for la in found.layers] == ["head"]
    assert len(found.weights_that_cannot_be_edited) == 2
    x = np.concatenate([floats(20, 8) + 3 * floats(1, 8) for _ in range(6)])
    assert unlearn(model, 1, {"x": x}).report["method"]["depth"] == "head only"


def test_such_a_model_forgets() -> None:
    model = network(1).SerializeToString()
    assert inspect(model).weights_that_cannot_be_edited == ()
    x = np.concatenate([floats(20, 8) + 3 * floats(1, 8) for _ in range(6)])
    result = unlearn(model, 1, {"x": x}, method="erase", parameters={"steps": 20})
    assert "local::dense / 0 / w" in {t["name"] for t in result.report["changes"]["tensors"]}
    assert Model(
        FileBytes(result.model_bytes), onnx.load_model_from_string(result.model_bytes)
    ).stored.keys() == {
        "local::dense / 0 / w",
        "local::dense / 1 / b",
        "head",
    }
