"""Requests on this machine, each in a process of its own, and what became of each."""

from collections.abc import Callable, Iterator, Sequence

from onnxunlearn.fleet.journal import note
from onnxunlearn.fleet.pool import Job, Limits, run_all
from onnxunlearn.fleet.record import FAILED, Record
from onnxunlearn.fleet.work import LOG, main


def on_this_machine(
    jobs: Sequence[Job], limits: Limits, progress: Callable[[list[str]], None] = lambda _: None
) -> Iterator[tuple[Job, Record]]:
    """Each job as it ends, with its record. progress: called with the names of what runs."""
    for job, why in run_all(jobs, main, limits, progress):
        yield job, ended(job, why)


def ended(job: Job, why: str) -> Record:
    """The record of a process that has ended: its own, or what ended it."""
    log = job.folder / LOG
    if log.is_file() and not log.stat().st_size:
        log.unlink()
    record = Record.read(job.folder)
    if record is not None and why and not record.settles(job.request, job.folder):
        record = None  # an earlier one; else it was done before it crashed, as some libraries do at exit
    if record is None:
        hint = f"; see {job.request.name}/{LOG}" if log.is_file() else ""
        record = Record(FAILED, error=(why or "its record is gone") + hint)
        record.write(job.folder)
        note(job.folder.parent, job.request.name, FAILED)
    return record
