"""If, Loop and Scan: what is known of them is inlined, the rest refused by name."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, find_logits, load
from onnxunlearn.inspection import inspect
from onnxunlearn.lowering import fold, lower
from onnxunlearn.relevance import Propagator, parse_composite
from tests.lowering.bodies import (
    ITERATION,
    ON,
    STEP,
    Feeds,
    assert_same,
    assert_slope,
    body,
    branching,
    gradient,
    looping,
    normal,
)
from tests.relevance.layers import model_of

SIZE_IS_FOUR = [
    helper.make_node("Shape", ["h"], ["shape"]),
    helper.make_node("Gather", ["shape", "one"], ["size"]),
    helper.make_node("Equal", ["size", "four"], ["c"]),
]


@pytest.mark.parametrize(
    ("condition", "constants", "op"),
    [
        ([], {"c": np.array(True)}, "Relu"),
        ([], {"c": np.array(False)}, "Neg"),
        (SIZE_IS_FOUR, {"one": np.array(1), "four": np.array(4)}, "Relu"),
        (SIZE_IS_FOUR, {"one": np.array(1), "four": np.array(1)}, "Neg"),
    ],
)
def test_decided_ifs_are_replaced(condition: list[onnx.NodeProto], constants: Feeds, op: str) -> None:
    model, feeds = branching(condition, constants), {"x": normal(2, 4)}
    lowered = lower(model)
    assert "If" not in [node.op for node in lowered.nodes]
    assert op in [node.op for node in lowered.nodes]
    assert_same(model, lowered, feeds)
    assert_slope(model, feeds)


def test_an_open_if_is_refused_by_name() -> None:
    condition = [
        helper.make_node("ReduceMax", ["h"], ["most"], keepdims=0),
        helper.make_node("Greater", ["most", "zero"], ["c"]),
    ]
    model = branching(condition, {"zero": np.zeros((), np.float32)})
    assert lower(model) is model
    with pytest.raises(UnsupportedError, match="node 'choice', op If, opset 17: its condition"):
        gradient(model, {"x": normal(2, 4)})


def test_an_if_is_settled_for_each_batch() -> None:
    """Whether there is one sample or several is known only once they are there."""
    nodes = [
        helper.make_node("Shape", ["h"], ["shape"]),
        helper.make_node("Gather", ["shape", "zero"], ["size"]),
        helper.make_node("Equal", ["size", "one"], ["c"]),
    ]
    model = branching(nodes, {"zero": np.array(0), "one": np.array(1)})
    for size in (1, 3):
        assert_slope(model, {"x": normal(size, 4)})
    assert not inspect(model).missing


#: what a Loop's body is given, and what the bodies below make


@pytest.mark.parametrize("opset", [11, 17])
def test_a_loop_of_known_length(opset: int) -> None:
    model = looping(["times", "", "x"], body([ON, *STEP], ["on", "next"], ITERATION), {"times": np.array(3)})
    lowered = lower(model)
    assert [node.op for node in lowered.nodes].count("Tanh") == 3
    assert_same(model, lowered, {"x": normal(2, 4)})
    assert_slope(model, {"x": normal(2, 4)})


def test_a_loop_that_does_not_run() -> None:
    model = looping(["times", "", "x"], body([ON, *STEP], ["on", "next"], ITERATION), {"times": np.array(0)})
    assert_slope(model, {"x": normal(2, 4)})


@pytest.mark.parametrize("opset", [11, 17])
def test_what_a_loop_stacks(opset: int) -> None:
    inner = body([ON, *STEP], ["on", "next", "p"], ITERATION)
    after = [
        helper.make_node("Transpose", ["all"], ["turned"], perm=[1, 0, 2]),
        helper.make_node("Flatten", ["turned"], ["logits"]),
    ]
    model = looping(
        ["times", "yes", "x"],
        inner,
        {"times": np.array(2), "yes": np.array(True)},
        outputs=("last", "all"),
        after=after,
        opset=opset,
    )
    assert_same(model, lower(model), {"x": normal(2, 4)})
    assert_slope(model, {"x": normal(2, 4)})


def test_a_loop_until_it_has_counted_far_enough() -> None:
    """No limit is given; the body compares its own count."""
    more = helper.make_node("Less", ["i", "last"], ["on"])
    inner = body([more, *STEP], ["on", "next"], ITERATION, {"last": np.array(2)})
    model = looping(["", "yes", "x"], inner, {"yes": np.array(True)})
    lowered = lower(model)
    assert [node.op for node in lowered.nodes].count("Tanh") == 3
    assert_same(model, lowered, {"x": normal(2, 4)})


def test_an_if_within_a_loop() -> None:
    first = helper.make_node("Equal", ["i", "nought"], ["is first"])
    then = helper.make_graph(
        [helper.make_node("Relu", ["p"], ["t"])], "t", [], [onnx.ValueInfoProto(name="t")]
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["p"], ["e"])], "e", [], [onnx.ValueInfoProto(name="e")]
    )
    choice = helper.make_node("If", ["is first"], ["next"], then_branch=then, else_branch=other)
    inner = body([ON, first, STEP[0], choice], ["on", "next"], ITERATION, {"nought": np.array(0)})
    model = looping(["times", "", "x"], inner, {"times": np.array(3)})
    lowered = lower(model)
    ops = [node.op for node in lowered.nodes]
    assert (ops.count("Relu"), ops.count("Neg"), ops.count("If")) == (1, 2, 0)
    assert_same(model, lowered, {"x": normal(2, 4)})
    assert_slope(model, {"x": normal(2, 4)})


def test_a_loop_over_the_samples_is_settled_for_each_batch() -> None:
    before = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Gather", ["shape", "nought"], ["times"]),
    ]
    model = looping(
        ["times", "", "x"],
        body([ON, *STEP], ["on", "next"], ITERATION),
        {"nought": np.array(0)},
        before,
    )
    for size in (1, 3):
        assert_slope(model, {"x": normal(size, 4)})


@pytest.mark.parametrize("times", [None, 1001])
def test_a_loop_is_refused_by_name(times: int | None) -> None:
    """As often as the data say, or too often."""
    before = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["times"], to=TensorProto.INT64),
    ]
    inner = body([ON, *STEP], ["on", "next"], ITERATION)
    fixed = {"times": np.array(times)} if times else {}
    model = looping(["times", "", "x"], inner, fixed, [] if times else before)
    with pytest.raises(UnsupportedError, match="node 'again', op Loop, opset 17: how often it runs"):
        gradient(model, {"x": normal(2, 4)})
    assert inspect(model).missing == {"Loop": 1}


def scanning(shape: list[int | str], **attributes: Any) -> Model:
    """A state of sums that is added to every slice, tanh of which is stacked."""
    nodes = [helper.make_node("Add", ["h", "slice"], ["next"]), helper.make_node("Tanh", ["next"], ["made"])]
    inner = body(nodes, ["next", "made"])
    inner.input.append(helper.make_tensor_value_info("slice", TensorProto.FLOAT, None))
    scan = helper.make_node(
        "Scan", ["start", "x"], ["sum", "all"], name="s", body=inner, num_scan_inputs=1, **attributes
    )
    axis = attributes.get("scan_output_axes", [0])[0]
    nodes = [
        scan,
        helper.make_node("Transpose", ["all"], ["turned"], perm=[1, 0, 2] if axis == 0 else [0, 1, 2]),
        helper.make_node("Concat", ["turned", "lifted"], ["both"], axis=1),
        helper.make_node("Flatten", ["both"], ["logits"]),
    ]
    nodes.insert(1, helper.make_node("Unsqueeze", ["sum", "axis"], ["lifted"]))
    constants = {"start": normal(2, 4), "axis": np.array([1])}
    return model_of(nodes, {"x": shape}, constants, "logits", ["n", "c"])


@pytest.mark.parametrize("steps", [3, "t"])
@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_scan(axis: int, turned: int, steps: int | str) -> None:
    """Over the second axis, which may be as long as the batch says."""
    model = scanning(
        [2, steps, 4],
        scan_input_axes=[1],
        scan_input_directions=[turned],
        scan_output_axes=[axis],
        scan_output_directions=[turned],
    )
    feeds = {"x": normal(2, 3, 4)}
    if steps == 3:
        assert "Scan" not in [node.op for node in lower(model).nodes]
        assert_same(model, lower(model), feeds)
    assert_slope(model, feeds)


def test_weights_standardised_whenever_the_model_runs_are_constants() -> None:
    """A BatchNormalization (of opset 13) of the weight, as torch writes BiT."""
    nodes = [
        helper.make_node("ReduceMean", ["w"], ["mean"], axes=[0], keepdims=0),
        helper.make_node("Sub", ["w", "mean"], ["centred"]),
        helper.make_node("Mul", ["centred", "centred"], ["square"]),
        helper.make_node("ReduceMean", ["square"], ["variance"], axes=[0], keepdims=0),
        helper.make_node("BatchNormalization", ["w", "one", "nought", "mean", "variance"], ["v", *"abcd"]),
        helper.make_node("MatMul", ["x", "v"], ["logits"]),
    ]
    constants = {"w": normal(4, 4), "one": np.ones(4, np.float32), "nought": np.zeros(4, np.float32)}
    model = model_of(nodes, {"x": ["n", 4]}, constants, "logits", ["n", 4], opset=13)
    folded = fold(model)
    assert "v" in folded.stored
    assert "BatchNormalization" not in [node.op for node in folded.nodes]
    assert_same(model, folded, {"x": normal(3, 4)})
    assert_slope(model, {"x": normal(3, 4)})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("free", [False, True])
def test_a_scripted_loop_of_torch(free: bool, tmp_path: Path) -> None:
    """A recurrent network by hand, compiled by TorchScript: a Loop over the sequence, as long as it is."""
    torch = pytest.importorskip("torch")

    class Network(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.cell = torch.nn.Linear(9, 5)
            self.head = torch.nn.Linear(5, 4)

        def forward(self, x):  # type: ignore[no-untyped-def]
            h = torch.zeros(x.shape[0], 5)
            for t in range(x.shape[1]):
                h = torch.tanh(self.cell(torch.cat([x[:, t], h], 1)))
            return self.head(h)

    torch.manual_seed(0)
    network, x = Network().eval(), torch.randn(2, 6, 4, requires_grad=True)
    path = tmp_path / "model.onnx"
    script = torch.jit.script(network)
    torch.onnx.export(
        script,
        (x.detach(),),
        str(path),
        opset_version=17,
        dynamo=False,
        input_names=["x"],
        output_names=["logits"],
        dynamic_axes={"x": {0: "n", 1: "t"}, "logits": {0: "n"}} if free else None,
    )
    model = load(path)
    assert "Loop" in [node.op for node in model.nodes]
    first = network(x)[:, 0]
    (first * first.detach()).sum().backward()
    propagator = Propagator(
        model, find_logits(model), create_engine("onnxruntime"), parse_composite("gradient"), ["x"]
    )
    (batch,) = propagator.run({"x": x.detach().numpy()}, np.zeros(2, int), 2)
    np.testing.assert_allclose(batch.relevance["x"], x.grad.numpy(), atol=1e-5)
