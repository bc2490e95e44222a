"""The same jobs on a Dask cluster. Workers are handed files and hand some back; this process alone writes."""

import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError, one_line
from onnxunlearn.fleet.journal import note
from onnxunlearn.fleet.lock import alone
from onnxunlearn.fleet.parcel import Returned, pack, shared
from onnxunlearn.fleet.pool import Job
from onnxunlearn.fleet.record import FAILED, Record, clear
from onnxunlearn.fleet.work import LOG
from onnxunlearn.graph import permissions_of, replacing

if TYPE_CHECKING:
    from distributed import Client
    from distributed import Future as _Future

    Future = _Future[Any]

#: seconds until a batch without workers gives up
PATIENCE = 300.0
_TICK = 2.0
#: requests under way for each thread of the cluster: one at work, one that waits there already
_AHEAD = 2
_LOST = "{}: the scheduler can no longer be reached; go on with --resume"


def on_cluster(
    client: "Client",
    jobs: Sequence[Job],
    address: str,
    seconds: float | None = None,
    progress: Callable[[list[str]], None] = lambda _: None,
) -> Iterator[tuple[Job, Record]]:
    """Each job as it ends, with its record, which is written by then. client: one that `connected` made for
    that address. seconds: for one; None: any. progress: called with the names of what is under way.

    Whatever happens is said by the records of the requests that it happens to.
    """
    for job, found in _returned(client, jobs, address, seconds, progress):
        yield job, _written(job, found)


def _returned(
    client: "Client",
    jobs: Sequence[Job],
    address: str,
    seconds: float | None,
    progress: Callable[[list[str]], None],
) -> Iterator[tuple[Job, Returned]]:
    """No more are under way than the cluster can soon do: their files are in the scheduler's memory."""
    from onnxunlearn.fleet.attempt import Shelf, attempt

    batch = f"onnxunlearn-{uuid4().hex[:12]}"
    shelf = shared(job.request for job in jobs)
    waiting, away = deque(jobs), dict["Future", Job]()
    seen = time.monotonic()
    try:
        client.register_plugin(Shelf(batch, shelf))
        while waiting or away:
            workers = client.scheduler_info(n_workers=-1)["workers"]
            threads = sum(worker["nthreads"] for worker in workers.values())
            seen = time.monotonic() if workers else seen
            if time.monotonic() - seen > PATIENCE:
                yield from _failed((*away.values(), *waiting), f"{address}: no worker for {PATIENCE:g} s")
                return
            while waiting and len(away) < _AHEAD * threads:
                job = waiting.popleft()
                try:
                    parcel = pack(job.request, version("onnxunlearn"), shelf)
                except InputError as error:
                    yield from _failed([job], str(error))
                    continue
                future = client.submit(
                    attempt,
                    parcel,
                    batch,
                    seconds,
                    key=f"{batch}-{job.request.name}",
                    pure=False,
                    resources=_memory(job, workers),
                )
                away[future] = job
                note(job.folder.parent, job.request.name, "sent")
            progress([job.request.name for job in away.values()])
            for future in _ended(client, list(away)):
                yield away.pop(future), _result(future)
                future.release()
        client.unregister_worker_plugin(batch)
    except (OSError, CancelledError):
        yield from _failed((*away.values(), *waiting), _LOST.format(address))


def _memory(job: Job, workers: dict[str, Any]) -> dict[str, float] | None:
    """What a request takes of the resource MEMORY, where all workers say how much of it they have. One that
    fits nowhere takes all of the smallest, so that it runs somewhere, and alone."""
    room = [worker["resources"].get("MEMORY") for worker in workers.values()]
    return None if None in room or not room else {"MEMORY": min(job.cost, *room)}


def _ended(client: "Client", futures: list["Future"]) -> set["Future"]:
    """Those that have, once one has or some seconds have passed. Raises CancelledError when the scheduler is
    lost."""
    from distributed import wait

    if not futures:
        time.sleep(_TICK / 4)  # until there are workers
        return set()
    try:
        with client.as_current():
            found: set[Future] = wait(futures, timeout=_TICK, return_when="FIRST_COMPLETED").done
        return found
    except TimeoutError:
        return set()


def _result(future: "Future") -> Returned:
    from distributed import KilledWorker

    try:
        found: Returned = future.result()
        return found
    except CancelledError:
        raise
    except KilledWorker as error:
        reason = (
            f"each of the {error.allowed_failures + 1} workers that tried it was lost; give them more memory"
        )
    except Exception as error:
        reason = one_line(error, 500)
    return Returned(Record(FAILED, error=reason), {})


def _failed(jobs: Sequence[Job], error: str) -> Iterator[tuple[Job, Returned]]:
    for job in jobs:
        yield job, Returned(Record(FAILED, error=job.request.told(error)), {})


def _written(job: Job, found: Returned) -> Record:
    """Each file whole, the record last; unless somebody else has done the request meanwhile."""
    folder, record = job.folder, found.record
    with alone(folder):
        before = Record.read(folder)
        if before is not None and before.settles(job.request, folder):
            return before
        clear(folder, before)
        if not _intact(found):
            record = Record(
                FAILED, error="its files did not arrive as they were made; try again with --resume"
            )
        else:
            _write(job, found)
        record.write(folder)
        note(folder.parent, job.request.name, record.outcome)
    return record


def _intact(found: Returned) -> bool:
    """Whether the files are those of the record, and go into the folder, nowhere else."""
    return all(
        os.path.basename(name) == name and sha256(found.files.get(name, b"")) == digest
        for name, digest in found.record.files.items()
    )


def _write(job: Job, found: Returned) -> None:
    allowed = permissions_of(job.request.model) & 0o666
    for name in found.record.files:
        with replacing(job.folder / name, allowed) as file:
            file.write(found.files[name])
    log = job.folder / LOG
    log.unlink(missing_ok=True)
    if found.log:
        log.write_bytes(found.log)
