"""Processes that end in every way, within limits."""

import os
import signal
import time
from pathlib import Path

import pytest

from onnxunlearn.fleet.pool import Job, Limits, run_all
from onnxunlearn.fleet.request import Request

#: how long a process that "sleeps" is at work, seconds
_NAP = 0.3


def act(request: Request, folder: Path) -> None:
    """What a process does: the request's name says what; it writes when it began and ended."""
    began = time.time()
    what = request.name.split("-")[0]
    if what == "hang":
        time.sleep(600)
    if what == "exit":
        os._exit(5)
    if what.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, what))
    time.sleep(_NAP)
    (folder / request.name).write_text(f"{began} {time.time()}")


def jobs(folder: Path, *names: str, cost: int = 1) -> list[Job]:
    return [Job(Request(name, Path("m.onnx"), "0"), folder, cost) for name in names]


def most_at_once(folder: Path) -> int:
    times = [tuple(map(float, file.read_text().split())) for file in folder.iterdir()]
    return max(sum(a <= begin < b for a, b in times) for begin, _ in times)


def test_whatever_ends_one_the_others_go_on(tmp_path: Path) -> None:
    asked = jobs(tmp_path, "SIGSEGV", "fine-1", "SIGKILL", "hang", "exit", "fine-2")
    found = {job.request.name: why for job, why in run_all(asked, act, Limits(2, seconds=3))}
    assert found == {
        "SIGSEGV": "its process was ended by SIGSEGV",
        "SIGKILL": "its process was ended by SIGKILL, as the system does where memory runs out",
        "hang": "took longer than 3 s and was stopped; give more --timeout",
        "exit": "its process ended with exit code 5",
        "fine-1": "",
        "fine-2": "",
    }


@pytest.mark.parametrize(
    ("cost", "memory", "most"), [(1, None, 3), (4, 8, 2), (4, 7, 1), (100, 8, 1)], ids=str
)
def test_no_more_at_once_than_fit(tmp_path: Path, cost: int, memory: int | None, most: int) -> None:
    asked = jobs(tmp_path, *(f"fine-{n}" for n in range(5)), cost=cost)
    at_work: list[int] = []
    ended = list(run_all(asked, act, Limits(3, memory), lambda names: at_work.append(len(names))))
    assert len(ended) == 5
    assert max(at_work) == most
    assert most_at_once(tmp_path) <= most


def test_a_small_one_passes_a_large_one(tmp_path: Path) -> None:
    asked = [*jobs(tmp_path, "fine-1", cost=6), *jobs(tmp_path, "large", cost=9), *jobs(tmp_path, "fine-2")]
    begun: list[list[str]] = []
    list(run_all(asked, act, Limits(2, 8), begun.append))
    assert begun[0] == ["fine-1", "fine-2"]
    assert begun[-1] == ["large"]


def test_stopping_ends_the_processes(tmp_path: Path) -> None:
    running = run_all(jobs(tmp_path, "hang", "fine-1"), act, Limits(2))
    next(running)
    began = time.monotonic()
    running.close()  # type: ignore[attr-defined]
    assert time.monotonic() - began < 5
