"""Labels that a file declares, on the command line."""

import json
import re
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.small_network import X, columns, network, zip_map

from .command import onnxunlearn

NOTE = "class numbers are the labels 1, 2, 3, 4, 5, 6 from ZipMap 'o', not columns: 1 is column 0"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a model of labels 1 to 6 and probes labelled so."""
    onnx.save(zip_map(classlabels_int64s=[1, 2, 3, 4, 5, 6]), tmp_path / "m.onnx")
    np.savez(tmp_path / "probes.npz", x=X, y=columns() + 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_inspect(here: Path) -> None:
    ran = onnxunlearn("inspect", "m.onnx")
    assert ran.err == f"onnxunlearn: warning: m.onnx: {NOTE}\n"
    (line,) = (line for line in ran.out.splitlines() if line.startswith("labels"))
    assert line.startswith("labels   class 1 (column 0), class 2 (column 1), class 3 (column 2), ")
    assert line.endswith("class 6 (column 5): from ZipMap 'o'")
    found = json.loads(onnxunlearn("inspect", "m.onnx", "--json").out)["labels"]
    assert found["numbers"] == [1, 2, 3, 4, 5, 6]


def test_inspect_shows_the_first_of_many(tmp_path: Path) -> None:
    model = network()
    weights = {t.name: t for t in model.graph.initializer}
    for name, rows in (("W2", 100 * 32), ("b2", 100)):
        weights[name].dims[0] = 100
        weights[name].raw_data = np.resize(np.frombuffer(weights[name].raw_data, np.float32), rows).tobytes()
    model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 100
    model.metadata_props.add(key="names", value=str({i: f"name {i}" for i in range(100)}))
    onnx.save(model, tmp_path / "m.onnx")
    out = onnxunlearn("inspect", tmp_path / "m.onnx").out
    assert "name 19 (column 19), and 80 more (--json has all): from the metadata" in out


def test_run_and_audit(here: Path) -> None:
    ran = onnxunlearn("run", "m.onnx", "--forget", "3", "--data", "probes.npz", "--method", "mask", "-v")
    rows = [" ".join(line.split()) for line in ran.out.splitlines()]
    forgotten = next(row for row in rows if row.startswith("to forget: class 3 (column 2) "))
    assert re.findall(r"([\d.]+) %", forgotten) == ["100.00", "0.00", "0.00"]
    assert "\nclass 6 (column 5)" in ran.out
    said = onnxruntime.InferenceSession("m.unlearned.onnx").run(None, {"x": X})[0]
    assert 3 not in {max(scores, key=scores.get) for scores in said}
    ran = onnxunlearn(
        *("audit", "m.onnx", "m.unlearned.onnx", "--forget", "3", "--data", "probes.npz", "--no-layers")
    )
    assert "to forget: class 3 (column 2)" in ran.out
    assert "worst retained class (" in ran.out
    report = json.loads((here / "m.unlearned.report.json").read_text())
    assert report["forget"] == {"classes": [2], "names": ["3"]}


def test_what_is_no_label(here: Path) -> None:
    ran = onnxunlearn("run", "m.onnx", "--forget", "0", "--data", "probes.npz")
    assert ran.code == 2
    expected = "unknown class '0', expected one of the labels 1, 2, 3, 4, 5, 6; give one of these"
    assert ran.err.splitlines()[-1] == f"onnxunlearn: {expected}"


def test_a_file_of_names_wins(here: Path) -> None:
    (here / "names.txt").write_text("ant\nbee\ncat\ndog\neel\nfox\n")
    ran = onnxunlearn(
        *("run", "m.onnx", "--forget", "cat", "--labels", "names.txt", "--data", "probes.npz"),
        *("--method", "mask"),
    )
    assert "to forget: cat (column 2)" in ran.out
    assert json.loads((here / "m.unlearned.report.json").read_text())["forget"]["classes"] == [2]
