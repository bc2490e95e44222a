"""Feed damaged models to `load`, `inspect` and `diff`, in a process that may die, hang or eat memory.

A worker takes cases one after the other and notes in shared memory which one it is at. The watcher starts a
new worker behind a case that killed its worker or took too long. What a case is depends on the campaign's
seed and its index alone, so a finding can be made again.
"""

import faulthandler
import mmap
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NoReturn, TypeAlias

import numpy as np

from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import load
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import diff

from .mutate import mutated
from .seeds import DATA, DATA_FILE, seeds

#: seconds of processor time, and bytes of address space, that one case may take
PATIENCE, MEMORY = 10.0, 2 * 2**30
#: times PATIENCE that it may take on the clock: a busy machine must not look like a hang, a deadlock must
STARVATION = 6

#: what the worker and the watcher share, each a number of eight bytes, so that none is ever half-written:
#: next case; when it began and how long the slowest took, in ns; which that was; cases; peak bytes
_POSITION, _SINCE, _SLOWEST, _SLOWEST_AT, _LOADED, _REFUSED, _PEAK = range(7)
_State: TypeAlias = "memoryview[int]"


@dataclass(frozen=True)
class Finding:
    """A case that must not happen. what: `crash (signal 11)`, `hang`, or the traceback of an exception."""

    index: int
    what: str
    data: bytes = field(repr=False)


@dataclass
class Outcome:
    """loaded, refused: how many cases. slowest: seconds and index. peak: bytes of resident memory."""

    cases: int
    loaded: int = 0
    refused: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    peak: int = 0
    findings: list[Finding] = field(default_factory=list)


def case(seed: int, index: int) -> bytes:
    """The damaged model that a campaign's case consists of."""
    return mutated(list(seeds().values()), Random(f"{seed}:{index}"))


def run_campaign(
    cases: Sequence[int] | range,
    seed: int,
    scratch: Path,
    progress: Callable[[int, Outcome], None] = lambda *_: None,
    make: Callable[[int, int], bytes] = case,
) -> Outcome:
    """Try the cases; `scratch` is an empty folder, the only place that anything is written to."""
    outcome = Outcome(len(cases))
    (scratch / DATA_FILE).write_bytes(DATA)
    seeds()  # made here, so that no worker needs to
    with mmap.mmap(-1, 7 * 8) as memory, memoryview(memory).cast("q") as state:
        while state[_POSITION] < len(cases):
            state[_SINCE] = time.monotonic_ns()
            reader, writer = os.pipe()
            worker = os.fork()
            if worker == 0:
                os.close(reader)
                _work(cases, seed, scratch, state, writer, make)
            os.close(writer)
            status, said, hung = _watch(worker, reader, state, lambda at: progress(at, outcome))
            if state[_POSITION] < len(cases):
                index = cases[state[_POSITION]]
                what = "hang" if hung else said or f"crash (signal {os.WTERMSIG(status)})"
                outcome.findings.append(Finding(index, what, make(seed, index)))
                state[_POSITION] += 1
            elif said or status:
                raise RuntimeError(f"the worker failed outside a case: {said or status}")
        outcome.loaded, outcome.refused, outcome.peak = state[_LOADED], state[_REFUSED], state[_PEAK]
        outcome.slowest = state[_SLOWEST] / 1e9, state[_SLOWEST_AT]
    unexpected = {path.name for path in scratch.iterdir()} - {DATA_FILE, "case.onnx"}
    if unexpected or (scratch / DATA_FILE).read_bytes() != DATA:
        outcome.findings.append(Finding(-1, f"files were written: {sorted(unexpected)}", b""))
    return outcome


def _watch(worker: int, reader: int, state: _State, progress: Callable[[int], None]) -> tuple[int, str, bool]:
    """The worker's wait status, the traceback it sent, and whether it had to be killed."""
    hung, watched, used = False, -1, 0.0
    while True:
        done, status = os.waitpid(worker, os.WNOHANG)
        if done:
            break
        if state[_POSITION] != watched:
            watched, used = state[_POSITION], _processor_seconds(worker)
        busy = _processor_seconds(worker) - used > PATIENCE
        if busy or time.monotonic_ns() - state[_SINCE] > STARVATION * PATIENCE * 1e9:
            hung = True
            os.kill(worker, signal.SIGKILL)
        progress(state[_POSITION])
        time.sleep(0.05)
    with os.fdopen(reader, "rb") as pipe:
        return status, pipe.read().decode(errors="replace"), hung


def _processor_seconds(process: int) -> float:
    """What it has used so far; 0 if it is gone."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _work(
    cases: Sequence[int] | range,
    seed: int,
    scratch: Path,
    state: _State,
    writer: int,
    make: Callable[[int, int], bytes],
) -> NoReturn:
    """The worker's life; it leaves without any clean-up of what it shares with the watcher."""
    try:
        os.chdir(scratch)
        np.seterr(all="ignore")
        faulthandler.disable()  # pytest's, which would print what the watcher reports
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (1, 2):  # C++ libraries print
            os.dup2(silence, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        while state[_POSITION] < len(cases):
            index = cases[state[_POSITION]]
            state[_SINCE] = start = time.monotonic_ns()
            state[_LOADED if try_case(make(seed, index)) else _REFUSED] += 1
            if time.monotonic_ns() - start > state[_SLOWEST]:
                state[_SLOWEST], state[_SLOWEST_AT] = time.monotonic_ns() - start, index
            state[_PEAK] = max(state[_PEAK], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
            state[_POSITION] += 1
    except BaseException:
        os.write(writer, traceback.format_exc().encode()[-16_000:])
        os._exit(1)
    os._exit(0)


def try_case(data: bytes) -> bool:
    """Whether the model could be described. Anything but a one-line refusal is raised."""
    path = Path("case.onnx")
    path.write_bytes(data)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # from here on, nothing can be written
    try:
        model = load(path)
        _differs(model)
        inspect(model)
        return True
    except OnnxUnlearnError as error:
        if len(str(error).splitlines()) != 1:
            raise AssertionError(f"not one line: {error}") from None
        return False
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _differs(model: Any) -> None:
    """`diff` against one of the models that the case may come from."""
    originals = list(seeds().values())
    with suppress(OnnxUnlearnError):
        diff(load(originals[len(model.data) % len(originals)]), model)


def save_findings(outcome: Outcome, folder: Path) -> None:
    """Each finding as a file that can be loaded again, and what happened beside it."""
    folder.mkdir(exist_ok=True)
    for finding in outcome.findings:
        (folder / f"{finding.index}.onnx").write_bytes(finding.data)
        (folder / f"{finding.index}.txt").write_text(finding.what)
        print(f"case {finding.index}: {finding.what.strip().splitlines()[-1]}", file=sys.stderr)
