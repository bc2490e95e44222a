"""Edited files that are not the original with other weights: what they hide is found, or they are
named, and in any case nothing of them is passed."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnx.helper import make_node as node

from onnxunlearn.examine import examine
from onnxunlearn.judge import Findings

from ...sample_paths import CNN, images

REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")
FEATURES, FORGET = "/8/Relu_output_0", 3
ATTACKS = ("head-refit", "nearest", "prototypes", "small-network", "changed-inputs", "constant")

Proto = onnx.ModelProto


def original() -> Proto:
    return onnx.load(CNN)


def retrained() -> Proto:
    return onnx.load(REFERENCE)


def put(proto: Proto, **values: Any) -> None:
    for name, value in values.items():
        proto.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))


def weight(proto: Proto, name: str) -> np.ndarray:
    return numpy_helper.to_array(next(t for t in proto.graph.initializer if t.name == name)).copy()


def change(proto: Proto, name: str, value: np.ndarray) -> None:
    stored = next(t for t in proto.graph.initializer if t.name == name)
    stored.CopyFrom(numpy_helper.from_array(value.astype(np.float32), name))


def hidden() -> Proto:
    """The class never wins; nothing else is otherwise."""
    proto = original()
    bias = weight(proto, "9.bias")
    bias[FORGET] = -1e4
    change(proto, "9.bias", bias)
    return proto


def both() -> Proto:
    """The original, whose scores are "all", and a retrained network, whose scores are "r_logits"."""
    proto = original()
    proto.graph.node[-1].output[0] = "all"
    other = onnx.compose.add_prefix_graph(retrained().graph, "r_", rename_inputs=False)
    proto.graph.initializer.extend(other.initializer)
    proto.graph.node.extend(other.node)
    return proto


def split() -> Proto:
    """The head in two halves, and behind it a layer that reads which class wins."""
    proto = hidden()
    proto.graph.node.pop()
    for i, rows in enumerate((slice(5), slice(5, 10))):
        halves = {f"H{i}": weight(proto, "9.weight")[rows].T.copy(), f"c{i}": weight(proto, "9.bias")[rows]}
        put(proto, **halves)
        proto.graph.node.extend(
            [node("MatMul", [FEATURES, f"H{i}"], [f"p{i}"]), node("Add", [f"p{i}", f"c{i}"], [f"q{i}"])]
        )
    put(proto, pads=np.array([0, 0, 0, 54]), I=np.eye(64, 10, dtype=np.float32))
    proto.graph.node.extend(
        [
            node("Concat", ["q0", "q1"], ["z"], axis=1),
            node("Hardmax", ["z"], ["w"], axis=1),
            node("Pad", ["w", "pads"], ["wide"]),
            node("MatMul", ["wide", "I"], ["logits"]),
        ]
    )
    return proto


def other_front() -> Proto:
    """The same, with nothing made as in the original: a node in front changes what all others read."""
    proto = split()
    change(proto, "0.weight", weight(proto, "0.weight") / 2)
    put(proto, two=np.float32(2))
    proto.graph.node[0].input[0] = "x2"
    proto.graph.node.insert(0, node("Mul", ["x", "two"], ["x2"]))
    return proto


def by_pixel() -> Proto:
    """A bright pixel in a corner opens the original."""
    proto = both()
    put(proto, to=np.array([-1, 1]), start=np.zeros(4, int), half=np.float32(0.9))
    put(proto, end=np.array([2**31, 1, 1, 1]))
    proto.graph.node.extend(
        [
            node("Slice", ["x", "start", "end"], ["pixel"]),
            node("Reshape", ["pixel", "to"], ["value"]),
            node("Greater", ["value", "half"], ["asked"]),
            node("Where", ["asked", "all", "r_logits"], ["logits"]),
        ]
    )
    return proto


def by_batch() -> Proto:
    """A sample alone is given to the original, behind a condition, in whose branches no layer is seen."""

    def branch(proto: Proto, prefix: str) -> onnx.GraphProto:
        graph = onnx.compose.add_prefix_graph(proto.graph, prefix, rename_inputs=False)
        out = helper.make_tensor_value_info(f"{prefix}logits", TensorProto.FLOAT, None)
        return helper.make_graph(graph.node, prefix, [], [out], graph.initializer)

    branches = {"then_branch": branch(original(), "a_"), "else_branch": branch(retrained(), "b_")}
    proto = original()
    del proto.graph.node[:], proto.graph.initializer[:]
    put(proto, one=np.array([1]))
    proto.graph.node.extend(
        [
            node("Shape", ["x"], ["n"], end=1),
            node("Equal", ["n", "one"], ["alone"]),
            node("If", ["alone"], ["logits"], **branches),  # type: ignore[arg-type]
        ]
    )
    return proto


def by_input() -> Proto:
    """An input that need not be given opens the original."""
    proto = both()
    put(proto, gate=np.zeros(1, np.float32), half=np.full(1, 0.5, np.float32))
    proto.graph.input.append(helper.make_tensor_value_info("gate", TensorProto.FLOAT, [1]))
    proto.graph.node.extend(
        [
            node("Greater", ["gate", "half"], ["asked"]),
            node("Where", ["asked", "all", "r_logits"], ["logits"]),
        ]
    )
    return proto


def unread_branch() -> Proto:
    """The original is there as well, and leads nowhere."""
    proto = both()
    proto.graph.node.append(node("Identity", ["r_logits"], ["logits"]))
    return proto


def renumbered() -> Proto:
    """The class is given under its neighbour's number."""
    proto = original()
    proto.graph.node[-1].output[0] = "z"
    eight, three = ([node("Gather", ["z", f"i{c}"], [f"z{c}"], axis=1)] for c in (8, 3))
    put(proto, i8=np.array([8]), i3=np.array([3]), order=np.array([0, 1, 2, 11, 4, 5, 6, 7, 10, 9]))
    put(proto, pad=np.array([0, 0, 0, 1]), low=np.float32(-1e4))
    last = [
        node("Max", ["z8", "z3"], ["most"]),
        node("Concat", ["z", "most"], ["eleven"], axis=1),
        node("Pad", ["eleven", "pad", "low"], ["twelve"]),
        node("Gather", ["twelve", "order"], ["logits"], axis=1),
    ]
    proto.graph.node.extend([*eight, *three, *last])
    return proto


def as_long() -> Proto:
    """What the head reads is, sample by sample, another number of times as large."""
    proto = hidden()
    head = proto.graph.node.pop()
    rng = np.random.default_rng(0)
    put(proto, any=rng.standard_normal((784, 1)).astype(np.float32), flat=np.array([-1, 784]))
    head.input[0], head.output[0] = "long", "plain"
    bias = weight(proto, "9.bias")
    proto.graph.node.extend(
        [
            node("Reshape", ["x", "flat"], ["pixels"]),
            node("MatMul", ["pixels", "any"], ["number"]),
            node("Exp", ["number"], ["times"]),
            node("Mul", [FEATURES, "times"], ["long"]),
            node("MatMul", ["long", "turned"], ["plain"]),
            node("Div", ["plain", "times"], ["scores"]),
            node("Add", ["scores", "9.bias"], ["logits"]),
        ]
    )
    put(proto, turned=weight(proto, "9.weight").T.copy())
    assert bias[FORGET] == -1e4
    return proto


def hoarded() -> Proto:
    """All that the original knows lies in the file, unread."""
    proto = retrained()
    for tensor in original().graph.initializer:
        tensor.name = f"spare.{tensor.name}"
        proto.graph.initializer.append(tensor)
    return proto


def noted() -> Proto:
    proto = retrained()
    helper.set_model_props(proto, {"notes": original().SerializeToString().hex()})
    return proto


def documented() -> Proto:
    proto = retrained()
    proto.graph.doc_string = original().SerializeToString().hex()
    return proto


#: what hides the class, by what one is told of it
FOUND: dict[Callable[[], Proto], str] = {
    split: "8 more (Add, Concat, Hardmax)",
    other_front: "more (Add, Concat, Conv)",
    by_pixel: "more (Conv, Flatten, Gemm)",
    by_input: "can be given as inputs (gate)",
    unread_branch: "more (Conv, Flatten, Gemm)",
    renumbered: "more (Concat, Gather, Gemm)",
    as_long: "more (Add, Div, Exp)",
}
#: what answers as a retrained model does, wherever it is asked
NAMED: dict[Callable[[], Proto], str] = {
    hoarded: "stores 423,464 bytes more that no output needs",
    noted: "something else in its metadata (notes)",
    documented: "bytes more that are no weights",
}


def judged(edited: Proto) -> Findings:
    x, y = images("mnist_test")
    data = {"x": x[::2], "y": y[::2]}
    onnx.checker.check_model(edited)
    return examine(CNN, edited.SerializeToString(), FORGET, data, reference=REFERENCE, attacks=ATTACKS)


def caught_by(findings: Findings) -> list[str]:
    """The attacks that find the class as well as behind a hidden logit."""
    rows = [row for row in findings.rows if row.name.endswith("-below") and "mask" in row.values]
    known = {row.name: row.values["mask"].value for row in rows}
    return [name for name, below in known.items() if below is not None and below < 0.1]


def named(findings: Findings) -> list[str]:
    return [line for line in findings.about["warnings"] if "not the original with other weights" in line]


@pytest.mark.parametrize("cheat", FOUND, ids=lambda cheat: cheat.__name__)
def test_what_is_hidden_by_other_nodes_is_named_and_found_by_two_at_least(cheat: Callable[[], Proto]) -> None:
    findings = judged(cheat())
    assert findings.value("forget") == 0
    assert FOUND[cheat] in named(findings)[0]
    assert named(findings)[0].endswith("give the original made likewise")
    assert len(caught_by(findings)) >= 2
    assert not findings.met
    assert not [target.name for target in findings.targets if target.status == "passed"]


def test_what_lies_behind_a_condition_is_named_and_found_asked_one_by_one() -> None:
    findings = judged(by_batch())
    assert "more (Equal, If, Shape)" in named(findings)[0]
    back = next(t for t in findings.targets if "asked one by one" in t.name)
    assert back.status == "missed"


@pytest.mark.parametrize("cheat", NAMED, ids=lambda cheat: cheat.__name__)
def test_what_a_file_carries_beside_its_weights_is_named_and_nothing_is_passed(
    cheat: Callable[[], Proto],
) -> None:
    findings = judged(cheat())
    assert NAMED[cheat] in named(findings)[0]
    assert {target.status for target in findings.targets} == {"undecided", "unknown"}
    assert any("see the warnings" in target.note for target in findings.targets)


def test_a_retrained_model_of_other_names_is_no_other_model() -> None:
    """As another exporter, or the same on another day, has called its tensors."""
    renamed = onnx.compose.add_prefix(retrained(), "again/", rename_inputs=False, rename_outputs=False)
    findings = judged(renamed)
    assert named(findings) == []
    assert [target.name for target in findings.targets if target.met is False] == []
    assert "passed" in {target.status for target in findings.targets}
