"""A batch: what is done is left as it is, all else is done, and each request has its record at the end."""

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.fleet import memory as budget
from onnxunlearn.fleet.cluster import on_cluster
from onnxunlearn.fleet.index import write_index
from onnxunlearn.fleet.journal import JOURNAL, note
from onnxunlearn.fleet.local import on_this_machine
from onnxunlearn.fleet.pool import Job, Limits
from onnxunlearn.fleet.record import FAILED, MISSED, Record
from onnxunlearn.fleet.request import Request
from onnxunlearn.fleet.scheduler import connected


def batch(
    requests: Sequence[Request],
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    memory: int | None = None,
    seconds: float | None = None,
    resume: bool = False,
    cluster: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Record]:
    """Do every request, each in a process of its own; the records by name, in the order of the requests.

    folder: gets a folder for each request, a journal and an index; it is made if it is not there. workers:
    how many at once; default, half of the cores. memory: bytes for all of them together, by estimates;
    default, `memory.SHARE` of what is available. seconds: for one request; default, any. resume: go on in a
    folder that is not empty; what is done there is not done again. cluster: address of a Dask scheduler,
    whose workers do the requests; `workers` and `memory` are theirs then. progress: called with a line.

    Raises InputError where the folder or the cluster cannot be used; nothing is written then. A request that
    fails, or whose process ends in any way, raises nothing: its record says so.
    """
    out = Path(folder)
    _check(out, resume)
    records = dict[str, Record | None].fromkeys(request.name for request in requests)
    jobs = []
    for request in requests:
        progress(f"looking for what is done: {request.name}")
        at = out / request.name
        found = Record.read(at)
        if found is not None and found.settles(request, at):
            records[request.name] = found
        else:
            jobs.append(Job(request, at))

    def say(names: list[str]) -> None:
        ended = [record for record in records.values() if record is not None]
        failed = sum(record.outcome == FAILED for record in ended)
        progress(f"{len(ended)} of {len(requests)} ended, {failed} failed; at work: {', '.join(names[:4])}")

    with ExitStack() as stack:
        client = None
        if cluster is not None and jobs:
            progress(f"looking for the scheduler: {cluster}")
            client = stack.enter_context(connected(cluster))
        _prepare(out, resume, jobs)
        try:
            if cluster is not None and client is not None:
                ends = on_cluster(client, jobs, cluster, seconds, say)
            else:
                ends = on_this_machine(jobs, _limits(workers, memory, seconds), say)
            for job, record in ends:
                records[job.request.name] = record
        finally:  # also of what was stopped; what was killed outright has no index until it is resumed
            ended = {name: record for name, record in records.items() if record is not None}
            write_index(out, requests, ended)
    return ended


def exit_code(records: dict[str, Record]) -> int:
    """0: all targets met; 1: all done, some missed; 2: some failed."""
    outcomes = {record.outcome for record in records.values()}
    return 2 if FAILED in outcomes else 1 if MISSED in outcomes else 0


def _limits(workers: int | None, memory: int | None, seconds: float | None) -> Limits:
    available = budget.available() if memory is None else None
    room = memory if available is None else int(available * budget.SHARE)
    return Limits(workers or max(1, (os.cpu_count() or 2) // 2), room, seconds)


def _check(folder: Path, resume: bool) -> None:
    """Raises InputError if the folder cannot be ours, or is not empty without `resume`. Writes nothing."""
    try:
        there = os.listdir(folder)
    except FileNotFoundError:
        if not folder.parent.is_dir():
            raise InputError(
                f"{folder}: the folder {folder.parent} does not exist; create it first"
            ) from None
        return
    except NotADirectoryError:
        raise InputError(f"{folder}: is a file; give a folder for the results with -o") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}); check permissions") from None
    if there and JOURNAL not in there:
        raise InputError(f"{folder}: holds other files than a batch's; give an empty folder with -o")
    if there and not resume:
        raise InputError(f"{folder}: holds results already; add --resume or give another folder with -o")


def _prepare(folder: Path, resume: bool, jobs: Sequence[Job]) -> None:
    """Make the folder, and one for each job. Raises InputError if that cannot be, or no longer."""
    _check(folder, resume)
    try:
        folder.mkdir(exist_ok=True)
        note(folder, "", "resumed" if (folder / JOURNAL).exists() else "began")
        for job in jobs:
            job.folder.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); check permissions") from None
