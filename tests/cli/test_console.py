"""What is printed where there is no terminal, or one that lacks characters."""

import os
import subprocess
import sys
import time

import pytest

from tests.sample_paths import MLP, MNIST_PROBES

from . import command

console = sys.modules[command.main.__module__].console


def test_long_work_says_so_without_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(console, "INTERVAL", 0.05)
    with console.progress() as say:
        say("digging")
        time.sleep(0.4)
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= 8
    assert set(lines) == {"onnxunlearn: 0 s: digging"}
    time.sleep(0.1)
    assert capsys.readouterr().err == ""  # it has stopped


def test_short_or_quiet_work_says_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with console.progress() as say:
        say("digging")
    monkeypatch.setattr(console, "INTERVAL", 0.01)
    with console.progress(quiet=True) as say:
        say("digging")
        time.sleep(0.1)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_a_label_that_stdout_cannot_encode_is_printed_as_escapes(encoding: str, tmp_path: object) -> None:
    names = os.path.join(str(tmp_path), "names.txt")
    with open(names, "w", encoding="utf-8") as file:
        file.write("\n".join("零一二三四五六七八九"))
    run = [sys.executable, "-m", "onnxunlearn", "run", str(MLP), "--forget", "3", "--labels", names]
    options = ["--data", str(MNIST_PROBES), "--method", "mask", "-o", os.path.join(str(tmp_path), "o.onnx")]
    done = subprocess.run(
        [*run, *options],
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": encoding},
    )
    assert done.returncode == 1, done.stderr  # hollow, and no crash
    assert b"\\u4e09" in done.stdout
    assert b"Traceback" not in done.stderr
