"""A batch as a whole: every request has its record, whatever became of it."""

import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import killed_batch
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.fleet import FAILED, INDEX, PAGE, Record, Request, batch, exit_code, read_requests
from onnxunlearn.fleet.local import ended
from onnxunlearn.fleet.pool import Job
from onnxunlearn.fleet.work import do


@pytest.fixture
def requests(tmp_path: Path) -> list[Request]:
    """Four, of which one is about a damaged model and one about a class that there is not."""
    killed_batch.make(tmp_path, 1)
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    path = tmp_path / "requests.yaml"
    path.write_text(
        "defaults: {data: probes.npz, method: mask, engine: numpy, forget: 3}\n"
        "requests: [{model: bad.onnx}, {model: device0.onnx}, {model: device0.onnx, forget: 9},"
        " {model: device0.onnx, forget: '<b>', name: odd}]"
    )
    return read_requests(path, tmp_path / "out")


@pytest.mark.slow
def test_failures_stop_nothing_and_what_is_done_stays(requests: list[Request], tmp_path: Path) -> None:
    out = tmp_path / "out"
    records = batch(requests, out, workers=2)
    assert list(records) == ["bad-without-3", "device0-without-3", "device0-without-9", "odd"]
    assert [r.outcome == FAILED for r in records.values()] == [True, False, True, True]
    assert "not an ONNX file" in records["bad-without-3"].error
    assert exit_code(records) == 2

    found = json.loads((out / INDEX).read_text())
    done = found["requests"][1]
    assert found["counts"]["failed"] == 3
    assert set(done["files"]) == {
        f"device0-without-3/device0.unlearned.{end}"
        for end in ("onnx", "patch", "report.json", "report.html")
    }
    assert all((out / name).is_file() for name in done["files"])
    assert done["accuracies"]["forget"][1] == 0
    page = (out / PAGE).read_text()
    assert all(r.name in page for r in requests)
    assert "<b>" not in page

    with pytest.raises(InputError, match="holds results already; add --resume"):
        batch(requests, out)
    before = (out / "device0-without-3" / "record.json").stat()
    again = batch(requests, out, resume=True)
    assert again.keys() == records.keys()
    assert (out / "device0-without-3" / "record.json").stat() == before


def test_what_ends_badly_once_it_is_done_is_done(requests: list[Request], tmp_path: Path) -> None:
    request = requests[1]
    at = tmp_path / "out" / request.name
    at.mkdir(parents=True)
    do(request, at)
    assert ended(Job(request, at, 0), "its process was ended by SIGSEGV").outcome != FAILED
    (at / "device0.unlearned.onnx").write_bytes(b"")
    (at / "log.txt").write_text("lines")
    record = ended(Job(request, at, 0), "its process was ended by SIGSEGV")
    assert record == Record.read(at)
    assert (record.outcome, record.error) == (
        FAILED,
        f"its process was ended by SIGSEGV; see {request.name}/log.txt",
    )


def test_a_folder_of_someone_else(requests: list[Request], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds other files than a batch's"):
        batch(requests, tmp_path, resume=True)
    with pytest.raises(InputError, match="is a file"):
        batch(requests, tmp_path / "bad.onnx")
    with pytest.raises(InputError, match="does not exist; create it first"):
        batch(requests, tmp_path / "no" / "out")


@pytest.mark.slow
def test_killed_three_times_nothing_is_done_twice(tmp_path: Path) -> None:
    requests = killed_batch.make(tmp_path, 8)
    told = killed_batch.run(tmp_path, requests, workers=2, kills=3, chance=random.Random())
    assert told.counts["met"] + told.counts["missed"] == 8, told
    assert told.twice == []
    assert sum(told.began.values()) <= 8 + 3 * 2, "only what was at work begins again"

    model = tmp_path / "device0.onnx"
    model.write_bytes((tmp_path / "device1.onnx").read_bytes())
    again = killed_batch.run(tmp_path, requests, workers=2, kills=0, chance=random.Random())
    assert sum(again.began.values()) - sum(told.began.values()) == 6, "a changed model's requests alone"


_LOADER = """
import os, time
def load():
    with open("pid.tmp", "w") as file:
        file.write(str(os.getpid()))
    os.rename("pid.tmp", "pid")
    time.sleep(600)
"""


def wait_until(true: Callable[[], object], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def alive(pid: int) -> bool:
    """A zombie is not: who should fetch it is nobody's business here."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free(lock: Path) -> bool:
    with lock.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM", "timeout"])
@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc who is alive")
def test_what_is_stopped_leaves_no_process(tmp_path: Path, how: str) -> None:
    killed_batch.make(tmp_path, 1)
    (tmp_path / "loader.py").write_text(_LOADER)
    (tmp_path / "requests.yaml").write_text(
        "requests: [{name: slow, model: device0.onnx, forget: 3, data: 'loader.py:load'}]"
    )
    command = [sys.executable, "-m", "onnxunlearn", "batch", "requests.yaml", "-o", "out", "-q"]
    more = ["--timeout", "15"] if how == "timeout" else []
    process = subprocess.Popen([*command, *more], cwd=tmp_path)
    wait_until((tmp_path / "pid").is_file, 300)
    script = int((tmp_path / "pid").read_text())
    assert alive(script)
    assert not free(tmp_path / "out" / "slow" / ".lock")
    if how != "timeout":
        process.send_signal(getattr(signal, how))
    assert process.wait(60) == {"SIGKILL": -9, "SIGTERM": 143, "timeout": 2}[how]
    wait_until(lambda: free(tmp_path / "out" / "slow" / ".lock") and not alive(script), 30)
    if how != "SIGKILL":
        (row,) = json.loads((tmp_path / "out" / INDEX).read_text())["requests"]
        assert row["outcome"] == (FAILED if how == "timeout" else None)
