"""A model and the report beside it that do not belong together: every command that meets them says so."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

from ..sample_paths import mlp
from .command import HOLLOW, onnxunlearn
from .test_bad_input import run

#: killed outright when all files but the report are in place
_PROGRAM = """
import os, signal
import onnxunlearn.graph.atomic as atomic
from onnxunlearn.cli import main

replace = os.replace
def deadly(source, target):
    if str(target).endswith(".report.json"):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

atomic.os.replace = deadly
main(prog_name="onnxunlearn")
"""
WARNING = (
    "onnxunlearn: warning: out.onnx: out.report.json beside it is the report on another model, "
    "not on this one (their SHA-256 differ); do not go by it, run again"
)


@pytest.fixture(params=["inside", "outside"])
def killed(folder: Path, request: pytest.FixtureRequest) -> str:
    """`out.onnx` of a second run, without class 5, beside the report of the first, without class 3. With all
    weights in a data file the two models are equal, and only the data differs."""
    model = "m.onnx"
    if request.param == "outside":
        model = "ext.onnx"
        onnx.save_model(mlp(), model, save_as_external_data=True, location="ext.data", size_threshold=0)
    mask = ("--method", "mask", "-o", "out.onnx")
    assert onnxunlearn(*run(*mask, model=model)).code == HOLLOW
    first = Path("out.onnx").read_bytes()
    assert onnxunlearn("inspect", "out.onnx").err == ""
    second = [str(argument) for argument in run(*mask, "--overwrite", model=model, forget=5)]
    process = subprocess.run([sys.executable, "-c", _PROGRAM, *second], capture_output=True, check=False)
    assert process.returncode == -signal.SIGKILL
    assert (Path("out.onnx").read_bytes() == first) == (request.param == "outside")
    assert json.loads(Path("out.report.json").read_text())["forget"]["classes"] == [3]
    return model


def test_a_kill_between_the_last_two_renames(folder: Path, killed: str) -> None:
    data = ("--data", "probes.npz")
    relevance = ("--target", "label", *data, "-o")
    commands = (
        ("inspect", "out.onnx"),
        ("inspect", "out.onnx", "--json"),
        ("diff", killed, "out.onnx"),
        ("audit", killed, "out.onnx", "--forget", 5, *data, "--no-layers"),
        ("audit", killed, killed, "--reference", "out.onnx", "--forget", 5, *data, "--no-layers", "-q"),
        ("run", "out.onnx", "--forget", 7, *data, "--method", "mask", "--dry-run"),
        ("relevance", "out.onnx", *relevance, "r.npz"),
        ("explain", killed, "--compare", "out.onnx", *relevance, "pictures"),
    )
    for command in commands if killed == "m.onnx" else commands[:3]:
        ran = onnxunlearn(*command)
        assert ran.code in (0, 1), ran
        assert ran.err.splitlines() == [WARNING], command
    assert "out.onnx" not in onnxunlearn("inspect", killed).err


def test_running_again_puts_it_right(folder: Path, killed: str) -> None:
    again = run("--method", "mask", "-o", "out.onnx", "--overwrite", model=killed, forget=5)
    assert onnxunlearn(*again).code == HOLLOW
    assert onnxunlearn("inspect", "out.onnx").err == ""
    assert json.loads(Path("out.report.json").read_text())["forget"]["classes"] == [5]


def test_a_model_that_was_replaced_by_hand(folder: Path) -> None:
    assert onnxunlearn(*run("--method", "mask", "-o", "out.onnx")).code == HOLLOW
    shutil.copy("m.onnx", "out.onnx")
    assert onnxunlearn("diff", "m.onnx", "out.onnx").err.splitlines() == [WARNING]
    os.rename("out.report.json", "m.report.json")
    assert (
        "m.onnx: m.report.json beside it is the report on another model"
        in onnxunlearn("inspect", "m.onnx").err
    )
