import json
from pathlib import Path

import pytest
from onnx import TensorProto as T
from onnx import helper

from onnxunlearn import inspect

from ..sample_paths import MOBILE, mlp
from .command import onnxunlearn


def test_what_it_says(folder: Path) -> None:
    ran = onnxunlearn("inspect", "m.onnx")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines[:4] == [
        "m.onnx: 438,290 bytes, IR 8, opset ai.onnx 17",
        "input    x: float, batch × 1 × 28 × 28",
        "logits   logits: 10 classes (output logits)",
        "tensors  6 float",
    ]
    rows = [" ".join(line.split()) for line in lines]
    assert "/1/Gemm Gemm 128 128 × 784 yes 1.weight" in rows
    assert "/5/Gemm Gemm 10 10 × 64 yes 5.weight" in rows


def test_json_is_the_inspection(folder: Path) -> None:
    ran = onnxunlearn("inspect", "m.onnx", "--json")
    assert json.loads(ran.out) == json.loads(json.dumps(inspect("m.onnx").to_json()))


@pytest.mark.parametrize("columns", ["20", "80", "200"])
def test_names_are_whole_whatever_the_width(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    rows = [" ".join(line.split()) for line in onnxunlearn("inspect", MOBILE).out.splitlines()]
    assert "node_Conv_220 Conv 48 48 × 16 × 1 × 1 yes 3.body.0.weight" in rows


def test_ops_without_a_rule_are_named(folder: Path) -> None:
    proto = mlp()
    proto.graph.node[1].input[0] = "sorted"
    proto.graph.node.insert(1, helper.make_node("TopK", ["flat", "k"], ["sorted", "order"]))
    proto.graph.node[0].output[0] = "flat"
    proto.graph.initializer.append(helper.make_tensor("k", T.INT64, [1], [784]))
    (folder / "topk.onnx").write_bytes(proto.SerializeToString())
    ran = onnxunlearn("inspect", "topk.onnx")
    assert ran.code == 0
    assert "LRP lacks TopK ×1" in ran.out.splitlines()


def test_several_heads_are_listed_with_how_to_choose(folder: Path) -> None:
    proto = mlp()
    proto.graph.node.append(helper.make_node("Gemm", ["/3/Gemm_output_0", "w", "b"], ["side"], "second"))
    proto.graph.node.append(helper.make_node("Softmax", ["side"], ["p"], axis=1))
    inner = next(node.output[0] for node in proto.graph.node if node.name == "/3/Gemm")
    proto.graph.node[-2].input[0] = inner
    proto.graph.initializer.append(helper.make_tensor("w", T.FLOAT, [64, 3], [0.5] * 192))
    proto.graph.initializer.append(helper.make_tensor("b", T.FLOAT, [3], [0.0] * 3))
    proto.graph.output.append(helper.make_tensor_value_info("p", T.FLOAT, ["batch", 3]))
    (folder / "two.onnx").write_bytes(proto.SerializeToString())
    ran = onnxunlearn("inspect", "two.onnx")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines[2:5] == [
        "output   logits: 10 classes (logits logits)",
        "output   p: 3 classes (logits side, before Softmax)",
        "         each could be meant: choose one with --output-name, here and in the other commands",
    ]
    rows = [" ".join(line.split()) for line in lines]
    assert "/5/Gemm Gemm 10 10 × 64 yes 5.weight" in rows
    assert "second Gemm 3 3 × 64 yes w" in rows
    told = json.loads(onnxunlearn("inspect", "two.onnx", "--json").out)
    assert (told["output"], told["logits"], told["classes"], told["covered"]["Gemm"]) == (None, None, None, 4)
    assert [(o["output"], o["classes"]) for o in told["outputs"]] == [("logits", 10), ("p", 3)]
    for name, line in (
        ("logits", "logits   logits: 10 classes (output logits)"),
        ("p", "logits   side: 3 classes, before Softmax (output p)"),
    ):
        lines = onnxunlearn("inspect", "two.onnx", "--output-name", name).out.splitlines()
        assert line in lines
        other = "p" if name == "logits" else "logits"
        assert f"others   {other}: class scores, too; --output-name chooses them" in lines
        assert any(line.startswith("rules of epsilon_plus") for line in lines)
    assert "others " not in onnxunlearn("inspect", "m.onnx").out
