"""The installed command, as a process of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ..sample_paths import probes
from .command import contents, onnxunlearn

SCRIPT = Path(sys.executable).with_name("onnxunlearn")


def test_it_does_the_main_job(folder: Path) -> None:
    np.savez(folder / "probes.npz", **probes(12))  # type: ignore[arg-type]
    command = [str(SCRIPT), "run", "m.onnx", "--forget", "3", "--data", "probes.npz", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    told = [line for line in done.stderr.splitlines() if not re.match(r"onnxunlearn: \d+ s: ", line)]
    assert (done.returncode, told) == (0, [])  # on a slow machine a line every ten seconds
    report = json.loads(done.stdout)
    assert report == json.loads((folder / "m.unlearned.report.json").read_text())
    assert set(contents(folder)) == {
        "m.onnx",
        "probes.npz",
        "m.unlearned.onnx",
        "m.unlearned.report.json",
    }


def test_a_mistake_is_one_line(folder: Path) -> None:
    command = [str(SCRIPT), "run", "nothing.onnx", "--forget", "3"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "onnxunlearn: nothing.onnx: no such file; give the path of an .onnx file\n"


def test_progress_is_shown_on_a_terminal_and_results_can_be_piped(folder: Path) -> None:
    pty = pytest.importorskip("pty")
    reader, terminal = pty.openpty()
    command = [str(SCRIPT), "run", "m.onnx", "--forget", "3", "--data", "probes.npz", "--method", "mask"]
    command += ["--json", "--dry-run"]
    environment = {**os.environ, "TERM": "xterm"}
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=terminal, env=environment, check=False)
    os.close(terminal)
    shown = os.read(reader, 65536).decode()
    os.close(reader)
    assert not json.loads(done.stdout)["targets_met"]  # hiding the logit forgets nothing
    assert "refitting the head of the original" in shown  # what lasts long enough to be drawn


def test_no_module_called_cli_is_installed(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import cli"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "ModuleNotFoundError: No module named 'cli'" in done.stderr


def test_help_lists_the_commands_in_whole_sentences() -> None:
    ran = onnxunlearn("--help")
    assert ran.code == 0
    listed = ran.out.split("Commands:\n")[1].splitlines()
    assert {line.split()[0] for line in listed} >= {"run", "inspect", "relevance", "diff"}
    for line in listed:
        assert line.endswith(".")
        assert not line.endswith("...")
    for command in ("run", "inspect", "relevance", "diff"):
        assert onnxunlearn(command, "-h").out.startswith(f"Usage: onnxunlearn {command} ")


def test_version() -> None:
    ran = onnxunlearn("--version")
    assert (ran.code, ran.out.split()[0]) == (0, "onnxunlearn,")
