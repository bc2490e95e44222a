"""Runs about classes at places, done again from their reports: replay, and verify on data of one's own."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn.judge.run_report import read_run_report

from .. import tiny_detector
from ..patterns import MODEL, NAMES, scenes
from .command import onnxunlearn
from .test_bad_input import refused

HEAD = "task: segmentation\nscores: scores\nclass_axis: 1\nplace_axes: [2, 3]\nclasses: 5\nbackground: 0\n"
REPORT, EDITED = "m.unlearned.report.json", "m.unlearned.onnx"


def arrays(path: Path, count: int, seed: int) -> None:
    np.savez(path, **scenes(count, seed))  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "m.onnx").write_bytes(MODEL.read_bytes())
    arrays(tmp_path / "few.npz", 24, 0)
    arrays(tmp_path / "others.npz", 24, 1)
    (tmp_path / "names.txt").write_text("\n".join(NAMES) + "\n")
    (tmp_path / "head.yaml").write_text(HEAD)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_run_is_replayed_and_measured_on_other_scenes(folder: Path) -> None:
    asked = ("--forget", "board", "--labels", "names.txt", "--method", "mask", "-q")
    onnxunlearn("run", "m.onnx", *asked, "--data", "few.npz")
    again = onnxunlearn("replay", REPORT, "--model", "m.onnx", "--data", "few.npz")
    assert again.code == 0
    assert "the same: every byte" in again.out
    masks = scenes(24, 0)
    masks["y"][0, 0, 0] = 1 - (masks["y"][0, 0, 0] == 1)  # the inputs are the same, what is where is not
    np.savez("edited.npz", **masks)  # type: ignore[arg-type]
    said = refused(folder, 2, "replay", REPORT, "--model", "m.onnx", "--data", "edited.npz")
    assert "edited.npz: does not hold the inputs of the run (few.npz)" in said
    of = ("--original", "m.onnx", "--report", REPORT, "--data", "others.npz")
    verified = onnxunlearn("verify", EDITED, *of, "--json")
    assert verified.code == 1  # a mask forgets nothing that is below it
    found = json.loads(verified.out)
    assert found["holds"]
    assert found["audit"]["task"] == "segmentation"


def test_a_head_file_is_given_again(folder: Path) -> None:
    asked = ("--forget", "4", "--head", "head.yaml", "--data", "few.npz", "--method", "mask", "-q")
    onnxunlearn("run", "m.onnx", *asked)
    Path("head.yaml").rename("elsewhere.yaml")
    again = ("replay", REPORT, "--model", "m.onnx", "--data", "few.npz")
    said = "the run had the head file head.yaml; give it with --head"
    assert said in refused(folder, 2, *again)
    assert onnxunlearn(*again, "--head", "elsewhere.yaml", "-q").code == 0
    verified = ("verify", EDITED, "--original", "m.onnx", "--report", REPORT, "--data", "others.npz")
    assert said in refused(folder, 2, *verified)
    assert json.loads(onnxunlearn(*verified, "--head", "elsewhere.yaml", "--json").out)["holds"]


def test_a_detector_is_known_by_its_annotations_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")
    monkeypatch.chdir(tmp_path)
    Path("m.onnx").write_bytes(tiny_detector.trained())
    Path("names.txt").write_text("\n".join(tiny_detector.NAMES) + "\n")
    data = tiny_detector.write(tmp_path / "data", 24, 1)
    asked = ("--forget", "green", "--labels", "names.txt", "--data", "data", "--method", "mask", "-q")
    onnxunlearn("run", "m.onnx", *asked)
    again = ("replay", REPORT, "--model", "m.onnx", "--data", "data")
    assert onnxunlearn(*again, "-q").code == 0
    report: dict[str, Any] = json.loads(Path(REPORT).read_text())
    assert report["probes"]["annotations"]["path"] == "annotations.json"
    file = data / "annotations.json"
    other = file.read_text().replace('"category_id": 0', '"category_id": 2', 1)
    file.write_text(other)
    said = refused(tmp_path, 2, *again)
    assert "data: is annotated otherwise than the inputs of the run (data)" in said


def test_columns_of_a_detector_are_told_without_the_one_for_nothing(folder: Path) -> None:
    """A class of a report is a column, a class that one types an object."""
    onnxunlearn("run", "m.onnx", "--forget", "4", "--data", "few.npz", "--method", "mask", "-q")
    report = json.loads(Path(REPORT).read_text())
    report["places"] |= {"task": "detection", "background": 0}
    path = folder / "detector.json"
    path.write_text(json.dumps(report))
    assert read_run_report(path).forget == "3"
    report["places"]["background"] = None
    path.write_text(json.dumps(report))
    assert read_run_report(path).forget == "4"
