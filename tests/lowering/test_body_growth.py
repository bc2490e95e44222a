"""Bodies that would grow too large are left; what is inlined grows with the file."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.lowering import lower
from tests.lowering.bodies import (
    ITERATION,
    ON,
    STEP,
    assert_same,
    assert_slope,
    body,
    branch,
    branching,
    looping,
    normal,
)
from tests.relevance.layers import model_of


def nested(depth: int) -> onnx.GraphProto:
    """A body that makes tanh(h), or a Loop of ten steps with such a body; no two name anything alike."""
    names = [f"{name}{depth}" for name in ("i", "go", "h", "on", "next")]
    count, go, h, on, following = names
    inputs = [
        helper.make_tensor_value_info(count, TensorProto.INT64, []),
        helper.make_tensor_value_info(go, TensorProto.BOOL, []),
        helper.make_tensor_value_info(h, TensorProto.FLOAT, None),
    ]
    outputs = [onnx.ValueInfoProto(name=on), onnx.ValueInfoProto(name=following)]
    if depth:
        work = helper.make_node("Loop", ["times", "", h], [following], body=nested(depth - 1))
    else:
        work = helper.make_node("Tanh", [h], [following])
    return helper.make_graph([helper.make_node("Identity", [go], [on]), work], "body", inputs, outputs)


def test_loops_within_loops_multiply() -> None:
    """Two are unrolled; six would make a million nodes."""
    for depth, op in ((1, "Tanh"), (5, "Loop")):
        model = looping(["times", "", "x"], nested(depth), {"times": np.array(10)})
        ops = {node.op for node in lower(model).nodes}
        assert ops & {"Tanh", "Loop"} == {op}


@pytest.mark.parametrize(
    ("most", "unrolled"),
    [(1000, ["again", "small"]), (300, ["small"]), (20, [])],
)
def test_a_loop_that_is_too_large_is_left_whatever_else_there_is(
    most: int, unrolled: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One writes some 450 nodes, one some 40. What is left is whole: a second run changes nothing."""
    monkeypatch.setattr("onnxunlearn.lowering.room._NODES", most)
    small = helper.make_node("Loop", ["times", "", "x"], ["z"], name="small", body=nested(0))
    model = looping(["times", "", "x"], nested(1), {"times": np.array(10)}, before=[small])
    lowered = lower(model)
    loops = {node.name: node for node in lowered.nodes if node.kind == "Loop"}
    assert sorted({"again", "small"} - loops.keys()) == unrolled
    assert lower(lowered) is lowered
    assert all(loop.proto == node.proto for node in model.nodes if (loop := loops.get(node.name)))


def test_many_loops_that_are_too_large_together_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.lowering.room._NODES", 45)
    others = [helper.make_node("Loop", ["times", "", "x"], [z], name=z, body=nested(0)) for z in "abc"]
    model = looping(["times", "", "x"], nested(0), {"times": np.array(10)}, before=others)
    assert lower(model) is model


def within(depth: int) -> onnx.GraphProto:
    """Ifs within each other, the innermost Tanh(h)."""
    inner = branch("Tanh", "h0")
    for level in range(depth):
        out = f"h{level + 1}"
        node = helper.make_node("If", ["yes"], [out], then_branch=inner, else_branch=branch("Relu", "other"))
        info = helper.make_tensor_value_info(out, TensorProto.FLOAT, None)
        inner = helper.make_graph([node], f"level {level}", [], [info])
    return inner


def test_what_is_made_of_bodies_within_bodies_grows_with_the_file() -> None:
    """Names, with a prefix for each body around them, doubled at each level: 12 GB of 7 kB."""
    sizes = {}
    for depth in (10, 20, 30):
        nodes = [helper.make_node("Identity", ["x"], ["h"]), *within(depth).node]
        nodes.append(helper.make_node("MatMul", [f"h{depth}", "w"], ["logits"]))
        stored = {"w": normal(4, 4), "yes": np.array(True)}
        model = model_of(nodes, {"x": ["N", 4]}, stored, "logits", ["N", 4])
        lowered = lower(model)
        assert [node.op for node in lowered.nodes if node.op not in {"Identity"}] == ["Tanh", "MatMul"]
        assert_same(model, lowered, {"x": normal(2, 4)})
        sizes[depth] = lowered.proto.ByteSize()
    assert sizes[30] - sizes[20] < 3 * (sizes[20] - sizes[10]), sizes
    assert sizes[30] < 30_000


def test_long_names_are_not_written_at_every_step() -> None:
    """5 GB of 160 kB."""
    long = "n" * 20_000
    inner = body([ON, helper.make_node("Tanh", ["h"], [long])], ["on", long], ITERATION)
    model = looping(["times", "", "x"], inner, {"times": np.array(500)})
    lowered = lower(model)
    assert sum(node.op == "Tanh" for node in lowered.nodes) == 500
    assert lowered.proto.ByteSize() < 2_000_000
    assert_same(model, lowered, {"x": normal(2, 4)})


def test_what_a_body_stores_is_written_once() -> None:
    step = [helper.make_node("MatMul", ["h", "v"], ["p"]), STEP[1]]
    inner = body([ON, *step], ["on", "next"], ITERATION, {"v": normal(4, 4)})
    model = looping(["times", "", "x"], inner, {"times": np.array(5)})
    lowered = lower(model)
    weights = [node.inputs[1] for node in lowered.nodes if node.op == "MatMul"]
    assert len(weights) == 5
    assert len(set(weights)) == 1
    assert_same(model, lowered, {"x": normal(2, 4)})
    assert_slope(model, {"x": normal(2, 4)})


def test_what_a_huge_constant_decides_is_left_open() -> None:
    """A condition behind a gigabyte of zeros: nobody makes them to find out."""
    condition = [
        helper.make_node("ConstantOfShape", ["sizes"], ["zeros"]),
        helper.make_node("ReduceMax", ["zeros"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "zero"], ["c"]),
    ]
    fixed = {"sizes": np.array([2**14, 2**14]), "zero": np.zeros((), np.float32)}
    assert "If" in [node.op for node in lower(branching(condition, fixed)).nodes]
