"""A report beside a model is about that model, or it is said."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxunlearn.graph import Edited, Model, load
from onnxunlearn.judge import chose, describe_files, foreign_report, report_path

from ..graph.models import dense, external, numbers, tensor

W = numbers(4, 3)


def write(folder: Path, proto: onnx.ModelProto, *edits: np.ndarray) -> Model:
    """An edited model with its report, in `folder`; of several edits the report is about the last one."""
    (folder / "m.onnx").write_bytes(proto.SerializeToString())
    for values in edits:
        out, *data = Edited.of(load(folder / "m.onnx"), {"w": values}).save(
            folder / "out.onnx", overwrite=True
        )
        report = {"schema": 1, "edited": describe_files(out, data)}
        report_path(out).write_text(json.dumps(report))
    return load(out)


def test_where_it_lies() -> None:
    assert report_path(Path("a/out.onnx")) == Path("a/out.report.json")
    assert report_path(Path("a/out.v2.onnx"), Path("b")) == Path("b/out.v2.report.json")


def test_its_own(tmp_path: Path) -> None:
    assert foreign_report(write(tmp_path, dense(tensor("w", W)), -W)) is None
    assert foreign_report(load(tmp_path / "m.onnx")) is None  # none beside it
    assert foreign_report(load((tmp_path / "m.onnx").read_bytes())) is None


def test_of_another_model(tmp_path: Path) -> None:
    write(tmp_path, dense(tensor("w", W)), -W)
    (tmp_path / "out.onnx").write_bytes((tmp_path / "m.onnx").read_bytes())
    said = foreign_report(load(tmp_path / "out.onnx"))
    assert said is not None
    assert said.startswith("out.report.json beside it is the report on another model")


def test_of_another_data_file(tmp_path: Path) -> None:
    """Two runs with other seeds write models that differ in nothing but the data."""
    (tmp_path / "d").write_bytes(W.tobytes())
    proto = dense(external("w", "d", [4, 3]))
    assert foreign_report(write(tmp_path, proto, -W)) is None
    before = report_path(tmp_path / "out.onnx").read_text()
    model = write(tmp_path, proto, -W, 2 * W)
    assert foreign_report(model) is None
    report_path(tmp_path / "out.onnx").write_text(before)
    assert foreign_report(model) is not None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"edited": 3}',
        b'{"edited": {"sha256": 3}}',
        b"\xff",
        b"[" * 100_000,
        bytes(2**24 + 1),
    ],
    ids=lambda content: repr(content[:9]),
)
def test_what_is_no_report_of_ours_says_nothing(tmp_path: Path, content: bytes) -> None:
    model = write(tmp_path, dense(tensor("w", W)), -W)
    report_path(tmp_path / "out.onnx").write_bytes(content)
    assert foreign_report(model) is None


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    model = write(tmp_path, dense(tensor("w", W)), -W)
    report_path(tmp_path / "out.onnx").unlink()
    os.mkfifo(report_path(tmp_path / "out.onnx"))
    assert foreign_report(model) is None


@pytest.mark.parametrize("data", [3, [3], [{"path": "x"}], {}, [{"path": None, "sha256": None}]])
def test_data_files_that_the_model_lacks(tmp_path: Path, data: Any) -> None:
    model = write(tmp_path, dense(tensor("w", W)), -W)
    report = json.loads(report_path(tmp_path / "out.onnx").read_text())
    report["edited"]["data"] = data
    report_path(tmp_path / "out.onnx").write_text(json.dumps(report))
    assert foreign_report(model) is not None


def test_which_samples_chose(tmp_path: Path) -> None:
    model = write(tmp_path, dense(tensor("w", W)), -W)
    path = report_path(tmp_path / "out.onnx")
    report = json.loads(path.read_text())
    path.write_text(json.dumps(report | {"probes": {"sha256": "abc", "arrays": "def"}}))
    assert chose(model, "abc")
    assert chose(model, "def")
    assert not chose(model, "ghi")
    assert not chose(model, None)
    path.write_text(json.dumps({"edited": {"sha256": "other"}, "probes": {"sha256": "abc"}}))
    assert not chose(model, "abc")  # a report on another model
