"""What a worker of a cluster does about a request: it works in a folder of its own and hands back the files.

It writes nowhere else. However many workers try the same request, since one was killed or could not be heard
any more, `cluster` takes what one of them hands back, and is alone in writing it.
"""

import multiprocessing
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from distributed import WorkerPlugin, get_worker

from onnxunlearn.errors import InputError
from onnxunlearn.fleet.local import on_this_machine
from onnxunlearn.fleet.parcel import Files, Parcel, Returned, unpack
from onnxunlearn.fleet.pool import Job, Limits
from onnxunlearn.fleet.work import LOG


class Shelf(WorkerPlugin):
    """Files that many requests read: each worker gets them once, also one that comes later."""

    def __init__(self, name: str, files: Files) -> None:
        self.name = name
        self.files = files


def unready(asked: str) -> str:
    """What keeps this worker from requests of that version of onnxunlearn; "" if nothing does."""
    if (here := version("onnxunlearn")) != asked:
        return f"has onnxunlearn {here}, this is {asked}; install the same"
    if multiprocessing.current_process().daemon:
        return "may not start processes; start it with --no-nanny"
    return ""


def attempt(parcel: Parcel, shelf: str, seconds: float | None) -> Returned:
    """shelf: the name of one. Raises InputError where the worker itself is what is wrong."""
    worker = get_worker()
    if reason := unready(parcel.version):
        raise InputError(f"{worker.address}: {reason}")
    common = worker.plugins[shelf]
    assert isinstance(common, Shelf)
    with tempfile.TemporaryDirectory(prefix="onnxunlearn-", dir=worker.local_directory) as name:
        root, folder = Path(name, "in"), Path(name, "out", parcel.request.name)
        folder.mkdir(parents=True)
        request = unpack(parcel, common.files, root)
        ((_, record),) = on_this_machine([Job(request, folder, 0)], Limits(1, None, seconds))
        files = {name: (folder / name).read_bytes() for name in record.files}
        log = (folder / LOG).read_bytes() if (folder / LOG).is_file() else b""
        here = str(root)  # folders of ours mean nothing to who asked
        record = replace(record, error=parcel.request.told(record.error.replace(here, "")))
        return Returned(record, files, log.replace(here.encode(), b""))
