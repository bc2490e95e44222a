"""Models with If and Loop, and what is asked of them."""

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Propagator, parse_composite
from tests.lowering.lowered import values
from tests.relevance.layers import model_of

Feeds = dict[str, np.ndarray]
RNG = np.random.default_rng(0)
LOGITS = Logits("logits", "logits", 4, None)


def normal(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def gradient(model: Model, feeds: Feeds, engine: str = "onnxruntime") -> np.ndarray:
    """Of the first class."""
    propagator = Propagator(model, LOGITS, create_engine(engine), parse_composite("gradient"), ["x"])
    size = len(feeds["x"])
    (batch,) = propagator.run(feeds, np.zeros(size, int), size)
    return batch.relevance["x"]


def assert_slope(model: Model, feeds: Feeds) -> None:
    """On every engine the gradient is the slope of the model as it stands, by ONNX Runtime."""
    x, direction, step = feeds["x"], normal(*feeds["x"].shape), 1e-2
    up, down = (
        values(model, {**feeds, "x": x + sign * step * direction})["logits"][:, 0] for sign in (1, -1)
    )
    seed = values(model, feeds)["logits"][:, 0]
    slope = float(((up - down) * seed).sum()) / (2 * step)
    for engine in ("onnxruntime", "numpy", "torch"):
        found = float((gradient(model, feeds, engine) * direction).sum())
        assert found == pytest.approx(slope, rel=2e-2, abs=1e-2), engine


def assert_same(model: Model, lowered: Model, feeds: Feeds) -> None:
    expected = values(model, feeds)
    for engine in ("onnxruntime", "numpy"):
        for name, value in values(lowered, feeds, engine).items():
            np.testing.assert_allclose(value, expected[name], atol=1e-5)


def branch(op: str, name: str) -> onnx.GraphProto:
    """A branch that makes op(h) and takes h from outside."""
    nodes = [helper.make_node(op, ["h"], ["inner"]), helper.make_node("Identity", ["inner"], [name])]
    return helper.make_graph(nodes, name, [], [onnx.ValueInfoProto(name=name)])


def branching(condition: Sequence[onnx.NodeProto], constants: Feeds) -> Model:
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["h"]),
        *condition,
        helper.make_node(
            "If", ["c"], ["y"], name="choice", then_branch=branch("Relu", "t"), else_branch=branch("Neg", "e")
        ),
        helper.make_node("Gemm", ["y", "w"], ["logits"]),
    ]
    return model_of(nodes, {"x": ["n", 4]}, {"w": normal(4, 4), **constants}, "logits", ["n", 4])


ITERATION = [
    helper.make_tensor_value_info("i", TensorProto.INT64, []),
    helper.make_tensor_value_info("go", TensorProto.BOOL, []),
]


def body(
    nodes: Sequence[onnx.NodeProto],
    results: Sequence[str],
    inputs: Sequence[onnx.ValueInfoProto] = (),
    constants: Feeds | None = None,
) -> onnx.GraphProto:
    h = helper.make_tensor_value_info("h", TensorProto.FLOAT, None)
    ends = [helper.make_tensor_value_info(results[0], TensorProto.BOOL, [])] if inputs else []
    ends += [helper.make_tensor_value_info(r, TensorProto.FLOAT, None) for r in results[len(ends) :]]
    stored = [numpy_helper.from_array(a, n) for n, a in (constants or {}).items()]
    return helper.make_graph(list(nodes), "body", [*inputs, h], ends, stored)


STEP = [
    helper.make_node("MatMul", ["h", "w"], ["p"]),
    helper.make_node("Tanh", ["p"], ["next"]),
]
ON = helper.make_node("Identity", ["go"], ["on"])


def looping(
    inputs: Sequence[str],
    inner: onnx.GraphProto,
    constants: Feeds,
    before: Sequence[onnx.NodeProto] = (),
    outputs: Sequence[str] = ("y",),
    after: Sequence[onnx.NodeProto] = (),
    opset: int = 17,
) -> Model:
    nodes = [
        *before,
        helper.make_node("Loop", inputs, outputs, name="again", body=inner),
        *(after or [helper.make_node("Gemm", ["y", "w"], ["logits"])]),
    ]
    return model_of(nodes, {"x": ["n", 4]}, {"w": normal(4, 4), **constants}, "logits", ["n", 4], opset)
