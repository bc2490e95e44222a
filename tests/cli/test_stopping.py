"""Whatever stops it and whenever: no OUT or a whole one, the input as it was, nothing else left."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from onnxunlearn import unlearn

from ..sample_paths import MLP
from .command import contents, onnxunlearn

signals = import_module("onnxunlearn.cli.signals")  # installed under another name than it lies at
Stopped, stoppable = signals.Stopped, signals.stoppable

INPUTS = {"m.onnx", "probes.npz"}
OUT, REPORT = "m.unlearned.onnx", "m.unlearned.report.json"
#: what `--method mask` ends with: hiding the logit forgets nothing, which is a target missed
HOLLOW = 1

#: runs the command; {} is done to the package first
_PROGRAM = """
import os, sys, time
import onnxunlearn.graph.atomic as atomic
from onnxunlearn.cli import main
{}
main(prog_name="onnxunlearn")
"""
#: waits where it matters most: the temporary file is complete, its name not yet changed; says when
_SLOW = """
replace = os.replace
def slow(*names):
    print("replacing", flush=True)
    time.sleep({seconds})
    replace(*names)
atomic.os.replace = slow
"""


def start(folder: Path, change: str = "", limit: Callable[[], None] | None = None) -> subprocess.Popen[str]:
    def prepare() -> None:
        for name in ("SIGINT", "SIGHUP"):  # ignored, if the tests run in the background or under nohup
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        if limit is not None:
            limit()

    arguments = [
        "run",
        "m.onnx",
        "--forget",
        "3",
        "--data",
        "probes.npz",
        "--engine",
        "numpy",
        "--method",
        "mask",
        "-q",
    ]
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(change), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=prepare,
    )


def leftovers(folder: Path) -> set[str]:
    return set(contents(folder)) - INPUTS - {OUT, REPORT}


def check_whole_or_none(folder: Path, expected: bytes) -> None:
    assert (folder / "m.onnx").read_bytes() == MLP.read_bytes()
    if (folder / OUT).exists():
        assert (folder / OUT).read_bytes() == expected
    if (folder / REPORT).exists():
        assert json.loads((folder / REPORT).read_text())["edited"]["bytes"] == len(expected)


@pytest.fixture
def expected(folder: Path) -> bytes:
    return unlearn("m.onnx", 3, "probes.npz", engine="numpy", method="mask").model_bytes


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP"])
def test_asked_to_stop_while_saving(folder: Path, name: str) -> None:
    number = getattr(signal, name)
    process = start(folder, _SLOW.format(seconds=600))
    assert process.stdout is not None
    assert process.stdout.readline() == "replacing\n"
    assert len(leftovers(folder)) == 2, "the model and the report, not in place yet"
    process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert (process.returncode, error) == (128 + number, f"onnxunlearn: stopped by {name}\n")
    assert set(contents(folder)) == INPUTS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_stopped_at_any_moment(folder: Path, expected: bytes, name: str) -> None:
    begin = time.perf_counter()
    assert start(folder).wait() == HOLLOW
    usual = time.perf_counter() - begin
    chance = random.Random(name)
    for _ in range(3):
        for file in (OUT, REPORT):
            (folder / file).unlink(missing_ok=True)
        process = start(folder)
        time.sleep(chance.uniform(0.3, 1.05) * usual)
        process.send_signal(getattr(signal, name))
        process.communicate(timeout=300)
        check_whole_or_none(folder, expected)
        assert name == "SIGKILL" or not leftovers(folder)


def test_killed_while_saving(folder: Path, expected: bytes) -> None:
    """Nobody can clean up then: a temporary file stays, under a name that is not OUT's."""
    process = start(folder, _SLOW.format(seconds=600))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=300)
    assert not (folder / OUT).exists()
    assert all(name.startswith(".m.unlearned.") and name.endswith(".tmp") for name in leftovers(folder))
    assert start(folder).wait() == HOLLOW, "the next run is not disturbed"
    check_whole_or_none(folder, expected)
    assert (folder / OUT).exists()


@pytest.mark.parametrize("size", [0, 1000, 400_000])
def test_a_file_that_may_not_grow(folder: Path, size: int) -> None:
    """A full disk, or a quota: here the system's limit for the size of a file."""
    process = start(folder, limit=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
    _, error = process.communicate(timeout=300)
    assert process.returncode == 2
    assert error.startswith("onnxunlearn: m.unlearned.")
    assert "cannot be written (File too large)" in error
    assert len(error.splitlines()) == 1
    assert set(contents(folder)) == INPUTS


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_may_not_be_written(folder: Path) -> None:
    folder.chmod(0o555)
    process = start(folder)
    _, error = process.communicate(timeout=300)
    folder.chmod(0o755)
    assert process.returncode == 2
    assert "cannot be written" in error
    assert set(contents(folder)) == INPUTS


def test_memory_that_is_not_enough(folder: Path) -> None:
    change = "\n".join(
        [
            "def short(*_, **__): raise MemoryError",
            "from importlib import import_module",
            "import_module('onnxunlearn.unlearn').unlearn = short",
        ]
    )
    process = start(folder, change)
    _, error = process.communicate(timeout=300)
    assert process.returncode == 2
    assert error == "onnxunlearn: not enough memory (MemoryError); try a smaller --batch-size\n"
    assert set(contents(folder)) == INPUTS


def test_memory_where_no_option_helps(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(import_module("onnxunlearn.patches"), "read_patch", short)
    done = onnxunlearn("apply", "m.onnx", "p", "--in-place")
    message = "not enough memory (MemoryError); let it have more, or end other programs that use it"
    assert (done.code, done.err) == (2, f"onnxunlearn: {message}\n")


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before
    with stoppable():
        assert signal.getsignal(signal.SIGTERM) is not before


_LOADER = """
import os, sys, time
def load():
    print(os.getpid(), file=sys.stderr, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_stopped_while_a_script_loads(folder: Path, name: str) -> None:
    """Ctrl-C reaches the script's process, too; that of SIGTERM ends with ours."""
    number = getattr(signal, name)
    (folder / "loader.py").write_text(_LOADER)
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            _PROGRAM.format(""),
            "run",
            "m.onnx",
            "--forget",
            "3",
            "--data",
            "loader.py:load",
        ],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stderr is not None
    loader = int(process.stderr.readline())
    if name == "SIGINT":
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, error = process.communicate(timeout=300)
    assert (process.returncode, error) == (128 + number, f"onnxunlearn: stopped by {name}\n")
    with pytest.raises(ProcessLookupError):
        os.kill(loader, 0)


def test_a_second_signal_does_not_disturb() -> None:
    done = []

    def work() -> None:
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGINT)
            done.append("cleaned")

    with pytest.raises(Stopped) as caught, stoppable():
        work()
    assert done == ["cleaned"]
    assert caught.value.number == signal.SIGTERM


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_reader_that_has_seen_enough(folder: Path, more: list[str]) -> None:
    """As with `| head`: no traceback, and not the 1 of a missed target."""
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-c", "from onnxunlearn.cli import main; main()", "inspect", "m.onnx", *more],
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(writer)
    assert (ran.returncode, ran.stderr) == (128 + signal.SIGPIPE, b"")
