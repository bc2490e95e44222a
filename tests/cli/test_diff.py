import json
from pathlib import Path

from onnxunlearn import diff, load

from ..sample_paths import CNN, mlp
from .command import onnxunlearn


def test_after_a_run_only_the_edit_differs(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask")
    ran = onnxunlearn("diff", "m.onnx", "m.unlearned.onnx")
    assert (ran.code, ran.err) == (0, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines[1].split() == ["5.bias", "/5/Gemm", "bias", "3", "1", "4"]
    assert lines[-2:] == ["4 bytes differ; both files have 438 290 bytes", "nothing else differs"]


def test_json_is_the_diff(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "lra-npp")
    ran = onnxunlearn("diff", "m.onnx", "m.unlearned.onnx", "--json")
    expected = diff(load("m.onnx"), load("m.unlearned.onnx")).to_json()
    assert json.loads(ran.out) == json.loads(json.dumps(expected))


def test_equal_files(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", "m.onnx")
    assert ran.out == "0 bytes differ; both files have 438 290 bytes\nthe files are equal\n"


def test_other_differences_are_named_one_a_line(folder: Path) -> None:
    proto = mlp()
    proto.doc_string = "changed"
    proto.metadata_props.add(key="a", value="b")
    (folder / "other.onnx").write_bytes(proto.SerializeToString())
    lines = onnxunlearn("diff", "m.onnx", "other.onnx").out.splitlines()
    assert lines[1:] == ["also differs:", "  model.doc_string", "  model.metadata_props"]


def test_models_of_different_kind(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", CNN)
    assert ran.code == 0
    assert "the files have 438 290 and 424 847 bytes" in ran.out
    assert "  graph.node\n" in ran.out


def test_both_must_be_models(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", "probes.npz")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("onnxunlearn: probes.npz: ")
