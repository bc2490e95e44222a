import json
from pathlib import Path

import onnx
import pytest

from onnxunlearn import diff, load

from ..sample_paths import CNN, mlp
from .command import onnxunlearn


def test_after_a_run_only_the_edit_differs(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "mask")
    ran = onnxunlearn("diff", "m.onnx", "m.unlearned.onnx")
    assert (ran.code, ran.err) == (1, "")
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert lines[1].split() == ["5.bias", "/5/Gemm", "bias", "3", "1", "4"]
    assert lines[-2:] == ["4 bytes differ; both files have 438,290 bytes", "nothing else differs"]


def test_json_is_the_diff(folder: Path) -> None:
    onnxunlearn("run", "m.onnx", "--forget", 3, "--data", "probes.npz", "--method", "lra-npp")
    ran = onnxunlearn("diff", "m.onnx", "m.unlearned.onnx", "--json")
    assert ran.code == 1
    expected = diff(load("m.onnx"), load("m.unlearned.onnx")).to_json()
    assert json.loads(ran.out) == json.loads(json.dumps(expected))


def test_equal_files(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", "m.onnx")
    assert ran.code == 0
    assert ran.out == "0 bytes differ; both files have 438,290 bytes\nthe files are equal\n"


def test_other_differences_are_named_one_a_line(folder: Path) -> None:
    proto = mlp()
    proto.doc_string = "changed"
    proto.metadata_props.add(key="a", value="b")
    (folder / "other.onnx").write_bytes(proto.SerializeToString())
    ran = onnxunlearn("diff", "m.onnx", "other.onnx")
    lines = ran.out.splitlines()
    assert ran.code == 1
    assert lines[1:] == ["also differs:", "  model.doc_string", "  model.metadata_props"]


def test_models_of_different_kind(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", CNN)
    assert ran.code == 1
    assert "the files have 438,290 and 424,847 bytes" in ran.out
    assert "  graph.node\n" in ran.out


def test_both_must_be_models(folder: Path) -> None:
    ran = onnxunlearn("diff", "m.onnx", "probes.npz")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("onnxunlearn: probes.npz: ")


@pytest.mark.parametrize("out", ["out.onnx", "o.onnx", "a_longer_name.onnx"])
def test_run_and_diff_say_the_same_of_external_data(folder: Path, out: str) -> None:
    """The name of the data file, which has to be another one, is no edit; both say that it is another."""
    onnx.save_model(mlp(), "e.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    onnxunlearn("run", "e.onnx", "--forget", 3, "--data", "probes.npz", "--method", "lra-npp", "-o", out)
    ran = onnxunlearn("diff", "e.onnx", out)
    assert ran.code == 1
    told = json.loads((folder / out).with_suffix(".report.json").read_text())["changes"]
    lines = ran.out.splitlines()
    assert lines[-3].startswith(f"{told['bytes']:,} bytes differ; ")
    assert lines[-2:] == [
        f"data file weights.bin is called {out}.data, also where the model's file names it",
        "nothing else differs",
    ]
    found = json.loads(onnxunlearn("diff", "e.onnx", out, "--json").out)
    assert {name: told[name] for name in found} == found
    assert found["bytes"] == sum(tensor["bytes"] for tensor in found["tensors"]) > 0
    assert found["renamed"] == [["weights.bin", f"{out}.data"]]
    assert found["sizes"][1] == sum((folder / name).stat().st_size for name in (out, f"{out}.data"))


def test_another_name_of_a_data_file_alone_is_a_difference(folder: Path) -> None:
    for name in ("one", "two"):
        proto = mlp()
        onnx.save_model(
            proto, f"{name}.onnx", save_as_external_data=True, location=f"{name}.bin", size_threshold=0
        )
    ran = onnxunlearn("diff", "one.onnx", "two.onnx")
    assert ran.code == 1
    assert ran.out.splitlines()[1:] == [
        "data file one.bin is called two.bin, also where the model's file names it",
        "nothing else differs",
    ]
    assert ran.out.startswith("0 bytes differ; ")
