"""Segmenters on the command line; what a user gets wrong is one line, and nothing is written."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

from ..graph.places import heads
from ..patterns import MODEL, NAMES, scenes
from .command import onnxunlearn
from .test_bad_input import refused


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.onnx").write_bytes(MODEL.read_bytes())
    np.savez(tmp_path / "few.npz", **scenes(24, 0))  # type: ignore[arg-type]
    np.savez(tmp_path / "none.npz", **scenes(6, 0, without=4))  # type: ignore[arg-type]
    few = scenes(6, 0)
    np.savez(tmp_path / "small.npz", x=few["x"], y=few["y"][:, :8])
    np.savez(tmp_path / "strange.npz", x=few["x"], y=few["y"] + 3)
    np.savez(tmp_path / "classes.npz", x=few["x"], y=np.zeros(6, int))
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "head.yaml").write_text(
        "task: segmentation\nscores: scores\nclass_axis: 1\nplace_axes: [2, 3]\nclasses: 5\nbackground: 0\n"
    )
    onnx.save(heads.segmenter(heads.sigmoid), tmp_path / "sigmoid.onnx")
    onnx.save(heads.segmenter(heads.wrong_axis), tmp_path / "untold.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_run_and_audit(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = ("--forget", "board", "--labels", "names.txt", "--data", "few.npz")
    ran = onnxunlearn("run", "m.onnx", *asked, "--method", "mask", "--html")
    assert ran.code == 1
    assert "MISSED relearned accuracy below that of hiding the logit" in ran.out
    assert "IoU by class" in ran.out
    assert "board (column 4): places found (recall)" in ran.out
    assert "accuracy at unseen places" in ran.out
    assert (folder / "m.unlearned.report.html").exists()
    done = onnxunlearn("audit", "m.onnx", "m.unlearned.onnx", *asked, "--no-layers", "--html")
    assert "given to the run that made the edit" in caplog.text
    assert "found again at places" in done.out
    assert (folder / "m.unlearned.audit.html").exists()
    verified = onnxunlearn(
        "verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "m.unlearned.report.json"
    )
    assert verified.code == 0


def test_inspect(folder: Path) -> None:
    said = onnxunlearn("inspect", "m.onnx").out
    assert "task     segmentation: 5 classes on axis 1 of scores, at each place on axis 2 × 3" in said
    assert "heads    /6/Conv" in said
    with_file = onnxunlearn("inspect", "m.onnx", "--head", "head.yaml").out
    assert "column 0 is none of a thing" in with_file
    assert json.loads(onnxunlearn("inspect", "m.onnx", "--json").out)["places"]["place_axes"] == [2, 3]
    assert "before Sigmoid" in onnxunlearn("inspect", "sigmoid.onnx").out


def test_a_head_file_says_what_is_where(folder: Path) -> None:
    asked = ("--forget", "4", "--data", "few.npz", "--head", "head.yaml", "--method", "mask", "--json")
    report = json.loads(onnxunlearn("run", "m.onnx", *asked).out)
    assert report["places"]["background"] == 0
    assert report["options"]["head"] == "head.yaml"


@pytest.mark.parametrize(
    ("model", "arguments", "said"),
    [
        ("m.onnx", (), "segmentation: needs inputs; give some with --data"),
        ("m.onnx", ("--data", "none.npz"), "0 inputs show class 4; at least 2 that differ are needed"),
        ("m.onnx", ("--data", "small.npz"), "its masks are 8 × 16, the model says 16 × 16 places"),
        ("m.onnx", ("--data", "strange.npz"), "holds the class 5, expected an index 0..4"),
        ("m.onnx", ("--data", "classes.npz"), "y has shape 6; expected a class number for each place"),
        ("m.onnx", ("--data", "few.npz", "--task", "multi-label"), "task multi-label"),
        ("m.onnx", ("--data", "few.npz", "--head", "names.txt"), "names.txt"),
        ("untold.onnx", ("--data", "few.npz"), "say what it says where with --head FILE"),
    ],
)
def test_bad_input_is_one_line(folder: Path, model: str, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(folder, 2, "run", model, "--forget", "4", *arguments)


def test_the_background_is_no_thing_to_forget(folder: Path) -> None:
    said = refused(folder, 2, "run", "m.onnx", "--forget", "0", "--data", "few.npz", "--head", "head.yaml")
    assert "--forget: class 0 is the background here, what is none of a thing" in said


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "m.onnx", "--forget-samples", "few.npz"),
        ("relevance", "m.onnx", "--data", "few.npz", "--target", "label", "-o", "r.npz"),
        ("explain", "m.onnx", "--data", "few.npz", "--target", "predicted", "-o", "pictures"),
    ],
)
def test_what_is_not_covered_is_one_line(folder: Path, arguments: tuple[str, ...]) -> None:
    refused(folder, 2, *arguments)
