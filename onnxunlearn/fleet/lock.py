"""One process at a time about a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError

_LOCK = ".lock"


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Nobody else is in this block with the same folder. The system frees the lock when the process ends,
    however it ends. Raises InputError where the folder's file system has no locks."""
    try:
        import fcntl
    except ModuleNotFoundError:  # Windows
        yield
        return
    with open(folder / _LOCK, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError as error:
            raise InputError(f"{folder}: cannot be locked ({error.strerror}); give a local folder") from None
        yield
