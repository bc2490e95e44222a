"""The way to a Dask cluster: found and checked before anything is done, or a line that says what is wrong."""

import asyncio
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from onnxunlearn.errors import InputError, one_line

if TYPE_CHECKING:
    from distributed import Client, Security

#: seconds: for the scheduler to answer, and for a worker to be there
CONNECT = 10.0
_ADDRESS = re.compile(
    r"(?:(?:tcp|tls|ws|wss|ucx)://)?(?:[^\s/:@\[\]]+|\[[0-9A-Fa-f:.]+(?:%\w+)?\]):(\d{1,5})/?"
)


@contextmanager
def connected(address: str) -> Iterator["Client"]:
    """A client of the scheduler there, which has a worker, and all of whose workers can do requests.

    Raises InputError where that is not so, within a few times `CONNECT`.
    """
    port = _ADDRESS.fullmatch(address)
    if port is None or not 0 < int(port[1]) < 65536:
        raise InputError(
            f"--cluster {address!r}: not an address; give a Dask scheduler's, such as tcp://127.0.0.1:8786"
        )
    try:
        from distributed import Client, Security
        from distributed.utils import LoopRunner
    except ModuleNotFoundError:
        raise InputError(
            "--cluster: Dask is not installed; pip install 'onnxunlearn[cluster]', here and on the workers"
        ) from None
    for name in ("distributed", "distributed.client", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # records say what happened, in a line each
    security = Security()
    try:
        LoopRunner().run_sync(_greet, address, security)
        client = Client(address, security=security, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # whatever it is that answers there may answer anything
        raise InputError(
            f"{address}: no Dask scheduler answers there ({one_line(error, 120)}); give its address, such as "
            "tcp://127.0.0.1:8786"
        ) from None
    try:
        _check_workers(client, address)
        yield client
    finally:
        with suppress(OSError, asyncio.CancelledError):
            client.close()


async def _greet(address: str, security: "Security") -> None:
    """A client of `distributed` waits for ever where a connection is accepted and nothing is said, and one
    that was not let in is closed late and noisily. So one knocks first."""
    from distributed.comm.core import connect

    arguments = security.get_connection_args("client")
    try:
        async with asyncio.timeout(CONNECT):
            comm = await connect(address, timeout=CONNECT, **arguments)
    except TimeoutError:
        raise TimeoutError(f"no answer within {CONNECT:g} s") from None
    comm.abort()


def _check_workers(client: "Client", address: str) -> None:
    with suppress(TimeoutError):
        client.wait_for_workers(1, timeout=CONNECT)
    installed: dict[str, Any] = client.run(version, "onnxunlearn", on_error="return")
    if not installed:
        raise InputError(
            f"{address}: no worker within {CONNECT:g} s; start some, such as `dask worker {address}`"
        )
    for worker, found in installed.items():
        if isinstance(found, Exception):
            raise InputError(
                f"{worker}: onnxunlearn is not installed on this worker; install it on all of them"
            )
        if found != (ours := version("onnxunlearn")):
            raise InputError(
                f"{worker}: has onnxunlearn {found}, this is {ours}; install the same on all workers"
            )
    from onnxunlearn.fleet.attempt import unready

    for worker, reason in client.run(unready, version("onnxunlearn")).items():
        if reason:
            raise InputError(f"{worker}: {reason}")
