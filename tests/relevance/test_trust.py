"""Relevances that are not numbers are no result; those that are all zero are said to be."""

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import explain
from onnxunlearn.errors import InputError
from tests.cli.command import onnxunlearn


def network(*middle: tuple[str, list[str], str], kind: int = TensorProto.FLOAT) -> bytes:
    """x [N, 3] -> `middle`, which makes h [N, 3] -> W, a matrix of ones -> y [N, 2]."""
    nodes = [helper.make_node(op, inputs, [output]) for op, inputs, output in middle]
    for node in nodes:
        if node.op_type == "Cast":
            node.attribute.append(helper.make_attribute("to", TensorProto.FLOAT))
    graph = helper.make_graph(
        [*nodes, helper.make_node("MatMul", ["h", "W"], ["y"])],
        "network",
        [helper.make_tensor_value_info("x", kind, ["N", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(np.ones((3, 2), np.float32), "W")],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


X = np.array([[1, 2, 3], [0, 0, -1], [0, 0, 0]], np.float32)


def test_logits_that_are_not_numbers() -> None:
    """Of finite weights: sqrt(-1) in the second sample."""
    model = network(("Sqrt", ["x"], "h"))
    with pytest.raises(InputError, match="the logits of sample 1 are not numbers"):
        explain(model, {"x": X}, 0, batch_size=1)
    assert np.isfinite(explain(model, {"x": X[:1]}, 0)["x"]).all()


def test_relevances_that_are_not_finite() -> None:
    """The logit is 0, its slope is infinite."""
    with pytest.raises(InputError, match="relevance at 'x' is not finite with composite 'gradient'"):
        explain(network(("Sqrt", ["x"], "h")), {"x": X[2:]}, 0, start="contrast", composite="gradient")


def test_zero_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    model = network(("Relu", ["x"], "h"))
    with caplog.at_level(logging.WARNING):
        assert not explain(model, {"x": -X[:1]}, 0, tensors="x,h")["x"].any()
    assert caplog.messages == [
        "warning: relevance is 0 everywhere at 'x', 'h' with composite epsilon_plus: the logits may be "
        "probabilities or not depend on it; try another --composite, --tensors or --output-name"
    ]


def test_zero_for_some_samples(caplog: pytest.LogCaptureFixture) -> None:
    model = network(("Relu", ["x"], "h"))
    np.testing.assert_allclose(explain(model, {"x": X}, 0)["x"], [[1, 2, 3], [0, 0, 0], [0, 0, 0]], rtol=1e-5)
    assert caplog.messages == [
        "warning: relevance is 0 for 2 of 3 samples at 'x' with composite epsilon_plus"
    ]
    caplog.clear()
    explain(model, {"x": X[:1]}, 0)
    assert caplog.messages == []


@pytest.mark.parametrize("tensors", ["inputs", "all"])
def test_integers_alone_take_no_relevance(tensors: str) -> None:
    """Nor is an archive of nothing written: a tensor is named that does take it."""
    model = network(("Cast", ["x"], "h"), kind=TensorProto.INT64)
    feeds = {"x": X.astype(np.int64)}
    with pytest.raises(InputError) as caught:
        explain(model, feeds, 0, tensors=tensors)
    assert str(caught.value) == (
        f"tensors {tensors!r}: no input is float, and none looks anything up in an embedding; "
        "name tensors behind them, such as 'h'"
    )
    np.testing.assert_allclose(explain(model, feeds, 0, tensors="h")["h"], X, rtol=1e-5)


def test_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Warnings are shown with -q, too; what is refused is not written."""
    monkeypatch.chdir(tmp_path)
    onnx.save(onnx.ModelProto.FromString(network(("Sqrt", ["x"], "h"))), "sqrt.onnx")
    onnx.save(onnx.ModelProto.FromString(network(("Relu", ["x"], "h"))), "relu.onnx")
    np.savez("x.npz", x=-X[:1])
    arguments = ("--data", "x.npz", "--target", 0, "-o", "out.npz", "-q")
    ran = onnxunlearn("relevance", "sqrt.onnx", *arguments)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert not Path("out.npz").exists()
    ran = onnxunlearn("relevance", "relu.onnx", *arguments)
    assert ran.code == 0
    assert not np.load("out.npz")["x"].any()
