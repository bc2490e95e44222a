"""Processes, one a request, as many at once as workers and memory allow."""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from onnxunlearn.fleet.memory import estimate
from onnxunlearn.fleet.request import Request

#: what each process would import by itself, a second of work
_PRELOADED = ["onnxunlearn.fleet.work"]
#: how many of those that wait are looked at for one that fits: what they cost must be found out first
_NEXT = 50
_LATE = "took longer than {:g} s and was stopped; give more --timeout"


@dataclass(frozen=True)
class Job:
    """told: bytes of memory it is taken to need; None: as much as is estimated, once somebody asks."""

    request: Request
    folder: Path
    told: int | None = None

    @cached_property
    def cost(self) -> int:
        if self.told is not None:
            return self.told
        return estimate(self.request.model, self.request.input_shapes, self.request.batch_size)


@dataclass(frozen=True)
class Limits:
    """workers: processes at once. memory: bytes for all of them; None: any. seconds: for one; None: any."""

    workers: int = 1
    memory: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class _Running:
    job: Job
    process: BaseProcess
    began: float


def run_all(
    jobs: Sequence[Job],
    target: Callable[[Request, Path], None],
    limits: Limits,
    progress: Callable[[list[str]], None] = lambda _: None,
) -> Iterator[tuple[Job, str]]:
    """Each job as it ends, and what ended it: "" where that was itself.

    A job begins when its cost fits beside the others'; one that fits nowhere runs alone. Later ones may begin
    earlier. Whatever stops this function ends the processes. progress: called with the names of what runs.
    """
    start = _starter()
    waiting, running = list(jobs), list[_Running]()
    try:
        while waiting or running:
            while (job := _next(waiting, running, limits)) is not None:
                waiting.remove(job)
                process = start(target=target, args=(job.request, job.folder))
                running.append(_Running(job, process, time.monotonic()))
                process.start()
            progress([each.job.request.name for each in running])
            ended = wait([each.process.sentinel for each in running], _patience(running, limits))
            for each in [each for each in running if each.process.sentinel in ended or _late(each, limits)]:
                late = each.process.sentinel not in ended
                if late:
                    _kill(each.process)
                each.process.join()
                running.remove(each)
                yield each.job, _LATE.format(limits.seconds) if late else _ending(each.process.exitcode or 0)
    finally:
        for each in running:
            if each.process.pid is not None:
                _kill(each.process)
                each.process.join()


def _kill(process: BaseProcess) -> None:
    """End it, and what it has started itself, such as a loader script."""
    with suppress(OSError, AttributeError):  # it leads no group yet; Windows has none
        if process.pid is not None:  # 0 would be our own
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()


def _starter() -> Callable[..., BaseProcess]:
    """What makes a process. A server that has imported everything forks one in a hundredth of the time in
    which one starts from nothing."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn").Process
    server = multiprocessing.get_context("forkserver")
    dask = (
        ["distributed.cli"] if "distributed.cli" in sys.modules else []
    )  # a worker's main module is imported, too
    server.set_forkserver_preload([*_PRELOADED, *dask])
    first = server.Process(target=int)  # until it is ready no request's time runs
    first.start()
    first.join()
    return server.Process


def _next(waiting: Sequence[Job], running: Sequence[_Running], limits: Limits) -> Job | None:
    """The first that fits, of those that are next."""
    if not waiting or len(running) >= limits.workers:
        return None
    if not running or limits.memory is None:
        return waiting[0]
    left = limits.memory - sum(each.job.cost for each in running)
    return next((job for job in waiting[:_NEXT] if job.cost <= left), None)


def _patience(running: Sequence[_Running], limits: Limits) -> float | None:
    """Seconds until the first is late."""
    if limits.seconds is None:
        return None
    return max(0.0, min(each.began for each in running) + limits.seconds - time.monotonic())


def _late(each: _Running, limits: Limits) -> bool:
    return limits.seconds is not None and time.monotonic() - each.began >= limits.seconds


def _ending(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}" if code else ""
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    hint = ", as the system does where memory runs out" if -code == getattr(signal, "SIGKILL", 0) else ""
    return f"its process was ended by {name}{hint}"
