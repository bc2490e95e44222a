"""What a user gets wrong with --forget-samples: one line each, and nothing written."""

import json
from pathlib import Path

import numpy as np
import pytest

from ..sample_paths import images
from ..shared_samples import TRIGGER, marked
from .command import onnxunlearn
from .test_bad_input import refused


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    asked = marked("trigger", 4)
    np.savez(tmp_path / "with.npz", **asked.samples)  # type: ignore[arg-type]
    np.savez(tmp_path / "without.npz", **asked.like)  # type: ignore[arg-type]
    x, y = images("mnist_probes")
    np.savez(tmp_path / "few.npz", x=x[:30], y=y[:30])
    np.savez(tmp_path / "small.npz", x=x[:4, :, :14])
    (tmp_path / "empty").mkdir()
    (tmp_path / "m.onnx").write_bytes(TRIGGER.read_bytes())
    monkeypatch.chdir(tmp_path)
    return tmp_path


WITH, LIKE = ("--forget-samples", "with.npz"), ("--like", "without.npz")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "give --forget CLASS, or --forget-samples PATH"),
        (("--forget", "3", *WITH), "--forget and --forget-samples: give one of them"),
        (("--forget", "3", "--like", "few.npz"), "--like: goes with --forget-samples"),
        (("--forget", "3", "--paired"), "--paired: goes with --forget-samples"),
        ((*WITH, "--paired"), "paired: with what?"),
        (WITH, "nothing is given that lacks it"),
        (
            (*WITH, "--like", "few.npz", "--paired"),
            "with.npz: 40 samples, few.npz: 30; --paired wants as many",
        ),
        ((*WITH, "--like", "small.npz"), "small.npz"),
        ((*WITH, "--like", "empty"), "empty"),
        (("--forget-samples", "empty", *LIKE), "empty"),
        ((*WITH, "--like", "with.npz"), "with.npz and with.npz: hold the same samples"),
        ((*WITH, *LIKE, "--task", "single-label"), "task single-label: is about classes"),
        ((*WITH, *LIKE, "--method", "mask"), "method 'mask' is about classes"),
        ((*WITH, "--like", "nowhere.npz"), "nowhere.npz"),
    ],
)
def test_bad_input_is_one_line(folder: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in refused(folder, 2, "run", "m.onnx", *arguments)


def test_a_task_about_samples_needs_samples(folder: Path) -> None:
    asked = ("--forget", "3", "--data", "few.npz", "--task", "concept")
    assert "task concept: needs samples" in refused(folder, 2, "run", "m.onnx", *asked)


def test_run_audit_and_report(folder: Path) -> None:
    asked = (*WITH, *LIKE, "--paired")
    ran = onnxunlearn("run", "m.onnx", *asked, "--method", "project", "--html", "-o", "out.onnx")
    assert ran.code in (0, 1), ran
    assert "with it, taken for class 0 (attack success)" in ran.out
    assert {"out.onnx", "out.report.json", "out.report.html"} <= {path.name for path in folder.iterdir()}
    assert "What in the inputs spoke for the answer" in (folder / "out.report.html").read_text()
    again = onnxunlearn("audit", "m.onnx", "out.onnx", *asked, "--no-layers", "--json")
    assert '"points_to": 0' in again.out
    page = onnxunlearn("report", "out.report.json", "-o", "again.html")
    assert page.code == 0, page
    same = onnxunlearn("diff", "m.onnx", "out.onnx")
    assert "7.weight" in same.out or "9.weight" in same.out


def test_neither_input_is_written(folder: Path) -> None:
    for name in ("with.npz", "without.npz"):
        ran = refused(folder, 2, "run", "m.onnx", *WITH, *LIKE, "--paired", "-o", name, "--overwrite")
        assert name in ran


def test_a_run_about_samples_is_verified_and_replayed(folder: Path) -> None:
    assert onnxunlearn("run", "m.onnx", *WITH, *LIKE, "--paired", "--method", "project").code in (0, 1)
    again = ("replay", "m.unlearned.report.json", "--model", "m.onnx")
    ran = onnxunlearn(*again, *WITH, *LIKE)
    assert ran.code == 0, ran
    assert "the same: every byte" in ran.out
    for missing, said in (
        ((), "replay: the run was about what samples share (with.npz)"),
        (WITH, "the run had samples (without.npz); replay it with the same --like"),
        ((*WITH, "--like", "few.npz"), "few.npz: does not hold the samples of the run (without.npz)"),
        ((*WITH, *LIKE, "--data", "few.npz"), "the run had no samples; replay it with the same --data"),
    ):
        assert said in refused(folder, 2, *again, *missing)
    asked = ("verify", "m.unlearned.onnx", "--original", "m.onnx", "--report", "m.unlearned.report.json")
    assert onnxunlearn(*asked).code == 0
    assert "give such samples with --forget-samples" in refused(folder, 2, *asked, "--data", "few.npz")
    measured = onnxunlearn(*asked, *WITH, *LIKE, "--json")
    assert measured.code in (0, 1), measured
    assert json.loads(measured.out)["audit"]["rows"]


def test_samples_go_with_no_run_about_a_class(folder: Path) -> None:
    assert onnxunlearn("run", "m.onnx", "--forget", "3", "--method", "mask").code in (0, 1)
    again = ("replay", "m.unlearned.report.json", "--model", "m.onnx")
    assert "the run was about classes; leave --like out" in refused(folder, 2, *again, *LIKE)
