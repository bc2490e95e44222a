"""The same jobs on a real scheduler with real workers, which are lost in the midst of them."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import killed_batch
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.fleet import FAILED, Record, Request, batch, cluster, read_requests, scheduler
from onnxunlearn.fleet.work import do

#: says that it has begun, and waits until it may go on
_LOADER = """
import os, tempfile, time
import numpy as np
def load():
    tempfile.mkstemp(prefix="began-", dir="{folder}")
    while not os.path.exists("{folder}/go"):
        time.sleep(0.05)
    yield {{"x": np.load("{folder}/probes.npz")["x"]}}
"""


class Proxy:
    """A worker's way to the scheduler, which can be cut."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open = [self._server]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.getsockname()[1])

    def cut(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                one, _ = self._server.accept()
                try:
                    other = socket.create_connection(("127.0.0.1", self._to))
                except OSError:  # the scheduler is not there yet
                    one.close()
                    continue
                self._open += [one, other]
                for pair in ((one, other), (other, one)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    @staticmethod
    def _carry(one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(1 << 16):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@contextmanager
def program(what: str, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *arguments, "--no-dashboard"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def worker(port: int, folder: Path) -> Any:
    more = ["--nthreads", "1", "--no-nanny", "--local-directory", str(folder)]
    return program("worker", f"tcp://127.0.0.1:{port}", *more)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def wait_until(true: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


@pytest.fixture
def requests(tmp_path: Path) -> list[Request]:
    """Five: two wait for a sign, and one is about a damaged model."""
    killed_batch.make(tmp_path, 1)
    (tmp_path / "bad.onnx").write_bytes(b"junk")
    (tmp_path / "loader.py").write_text(_LOADER.format(folder=tmp_path))
    path = tmp_path / "requests.yaml"
    path.write_text(
        "defaults: {data: probes.npz, method: mask, engine: numpy, model: device0.onnx}\n"
        "requests: [{forget: 1, data: 'loader.py:load'}, {forget: 2, data: 'loader.py:load'}, {forget: 3},"
        " {forget: 4}, {model: bad.onnx, forget: 3}]"
    )
    return read_requests(path, tmp_path / "out")


def without_times(report: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(report.read_text())
    del found["seconds"]
    return found


@pytest.mark.slow
def test_workers_are_lost_and_every_request_ends_once(
    requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setattr(scheduler, "CONNECT", 120.0)  # the workers begin to be imported when the client asks
    out, port = tmp_path / "out", free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as stack:
        heart = stack.enter_context(program("scheduler", "--host", "127.0.0.1", "--port", str(port)))
        wait_until(lambda: answers(port))  # its imports alone may take longer than a client waits
        proxy = Proxy(port)
        killed = stack.enter_context(worker(port, tmp_path))
        stack.enter_context(worker(proxy.port, tmp_path))
        pool = stack.enter_context(ThreadPoolExecutor())
        running = pool.submit(batch, requests, out, cluster=address)
        wait_until(lambda: running.done() or len(list(tmp_path.glob("began-*"))) == 2)
        killed.kill()
        proxy.cut()
        stack.enter_context(worker(port, tmp_path))
        (tmp_path / "go").touch()
        records = running.result(300)

        (tmp_path / "go").unlink()
        running = pool.submit(batch, requests[:1], tmp_path / "again", cluster=address)
        wait_until(lambda: running.done() or len(list(tmp_path.glob("began-*"))) == 5)
        monkeypatch.setattr(scheduler, "version", lambda _: "0.0")
        with pytest.raises(InputError, match=r"127.0.0.1:\d+: has onnxunlearn .*, this is 0.0; install the"):
            batch(requests[2:3], tmp_path / "other", cluster=address)
        heart.kill()
        (unheard,) = running.result(300).values()
        assert unheard.error == f"{address}: the scheduler can no longer be reached; go on with --resume"

    (tmp_path / "go").touch()
    failed = {name: r.error for name, r in records.items() if r.outcome == FAILED}
    assert list(failed) == ["bad-without-3"], failed
    assert records["bad-without-3"].error.startswith("bad.onnx: not an ONNX file")
    assert len(list(tmp_path.glob("began-*"))) == 4 + 1, "what the lost workers had at work began again"
    assert all("\n" not in r.error for r in records.values())
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text().splitlines()]
    ends = [line["request"] for line in lines if line["what"] in ("met", "missed", "failed")]
    assert sorted(ends) == sorted(records)
    for request in requests[:4]:
        here = tmp_path / request.name
        here.mkdir()
        do(request, here)
        assert records[request.name].settles(request, out / request.name)
        for name in ("device0.unlearned.onnx", "device0.unlearned.patch"):
            assert (here / name).read_bytes() == (out / request.name / name).read_bytes()
        report = "device0.unlearned.report.json"
        assert without_times(here / report) == without_times(out / request.name / report)


@pytest.mark.parametrize("who", ["nobody", "silent", "talking"])
def test_no_scheduler(
    who: str, requests: list[Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduler, "CONNECT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:  # the system accepts, nobody answers
        port = server.getsockname()[1]
        if who == "nobody":
            server.close()
        elif who == "talking":
            threading.Thread(
                target=lambda: server.accept()[0].sendall(b"HTTP/1.1 400 Bad Request\r\n")
            ).start()
        with pytest.raises(InputError, match=f"^127.0.0.1:{port}: no Dask scheduler answers there [^\n]*$"):
            batch(requests, tmp_path / "out", cluster=f"127.0.0.1:{port}")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "address", ["", "nonsense", "http://127.0.0.1:8786", "nothing://of:the kind", "tcp://h", "h:0", "h:99999"]
)
def test_what_is_no_address(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)  # that is seen without it
    with pytest.raises(
        InputError, match=r"^--cluster '.*': not an address; give a Dask scheduler's, such as"
    ):
        batch([Request("r", tmp_path / "m.onnx", "0")], tmp_path / "out", cluster=address)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["tcp://h:8786", "h:1", "tls://[::1]:8786", "10.0.0.1:8786/"])
def test_what_is_one(address: str) -> None:
    assert scheduler._ADDRESS.fullmatch(address)


class Workers:
    """As a client is asked about them."""

    def __init__(self, *found: Any) -> None:
        self._found = found

    def wait_for_workers(self, _: int, timeout: float) -> None:
        if not self._found:
            raise TimeoutError

    def run(self, *_: Any, **__: Any) -> dict[str, Any]:
        return {f"tcp://w:{n}": found for n, found in enumerate(self._found)}


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        (Workers(), "tcp://s: no worker within 10 s; start some"),
        (Workers(PackageNotFoundError("onnxunlearn")), "tcp://w:0: onnxunlearn is not installed on this"),
    ],
    ids=["none", "without onnxunlearn"],
)
def test_workers_that_cannot_do_it(workers: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scheduler._check_workers(workers, "tcp://s")


def test_what_arrives_otherwise_than_it_was_made_is_not_kept(tmp_path: Path) -> None:
    from onnxunlearn.digests import sha256
    from onnxunlearn.fleet.parcel import Returned
    from onnxunlearn.fleet.pool import Job

    job = Job(Request("r", tmp_path / "m.onnx", "0"), tmp_path / "out" / "r", 0)
    job.folder.mkdir(parents=True)
    for name in ("m.patch", "../m.patch"):
        record = Record("met", files={name: sha256(b"whole")})
        assert cluster._written(job, Returned(record, {name: b"part"})).outcome == FAILED
        assert cluster._written(job, Returned(record, {name: b"whole"})).outcome == (
            "met" if name[0] == "m" else FAILED
        )
    assert not (tmp_path / "out" / "m.patch").exists()
