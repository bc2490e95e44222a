"""`onnxunlearn batch`: what is asked for, what is printed, and the exit codes."""

import json
from pathlib import Path

import killed_batch
import pytest

from .command import onnxunlearn


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a tiny model, device0.onnx, and probes."""
    killed_batch.make(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_a_glob_and_one_request(small: Path) -> None:
    asked = ("batch", "--models", "device*.onnx", "--forget", "3", "--data", "probes.npz", "--method", "mask")
    ran = onnxunlearn(*asked, "-o", "out", "--json")
    assert ran.code == 1, "a mask hides the class, and the target of depth is missed"
    found = json.loads(ran.out)
    assert found == json.loads((small / "out" / "index.json").read_text())
    (row,) = found["requests"]
    assert (row["name"], row["outcome"]) == ("device0-without-3", "missed")
    ran = onnxunlearn(*asked, "-o", "out")
    assert (ran.code, ran.err) == (
        2,
        "onnxunlearn: out: holds results already; add --resume or give another folder with -o\n",
    )
    ran = onnxunlearn(*asked, "-o", "out", "--resume")
    assert ran.code == 1
    assert "1 requests: 0 met, 1 missed, 0 failed" in ran.out
    assert onnxunlearn(*asked, "-o", "out", "--resume", "-q").out == ""


def test_a_line_for_every_mistake_and_nothing_is_begun(small: Path) -> None:
    (small / "bad.yaml").write_text(
        "requests: [{model: gone.onnx, forget: 3}, {model: device0.onnx, fog: 3}]"
    )
    ran = onnxunlearn("batch", "bad.yaml", "-o", "out")
    assert ran.code == 2
    assert [line.split(": ")[:3] for line in ran.err.splitlines()] == [
        ["onnxunlearn", "bad.yaml", "request 1"],
        ["onnxunlearn", "bad.yaml", "request 2"],
        ["onnxunlearn", "bad.yaml", "request 2"],
    ]
    assert not (small / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "give either the file REQUESTS or --models with --forget"),
        (("requests.yaml", "--models", "*.onnx"), "give either the file REQUESTS or --models"),
        (("requests.yaml", "--forget", "3"), "--forget goes with --models; write it into requests.yaml"),
        (("--models", "*.onnx"), "--models: no `forget:`; give the class to forget"),
        (("requests.yaml", "--memory", "much"), "'much' is no size of memory; expected e.g. 8GiB"),
        (("requests.yaml", "--workers", "0"), "'--workers'"),
        (("gone.yaml",), "gone.yaml: no such file"),
    ],
)
def test_usage(small: Path, arguments: tuple[str, ...], says: str) -> None:
    ran = onnxunlearn("batch", *arguments, "-o", "out")
    assert ran.code == 2
    assert says in ran.err
    assert len(ran.err.splitlines()) == 1
    assert not (small / "out").exists()
