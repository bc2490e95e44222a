"""Two that change one file in place must not do it at once: what one has read, the other has changed."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError

#: where Windows locks a byte: beyond every file, for it lets nobody read what is locked
_FAR = 1 << 62


@contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Nobody else is in this block with the same file, by whatever name. The system frees the lock when the
    process ends, however it ends.

    Raises InputError if somebody is, and OSError if the file cannot be opened. Where the file system has no
    locks, anybody may enter.
    """
    file = os.open(path, os.O_RDONLY)
    try:
        try:
            _lock(file)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
                raise InputError(
                    f"{path}: another `apply --in-place` is at work on it; wait until that has ended"
                ) from None
        yield
    finally:
        os.close(file)


def _lock(file: int) -> None:
    """Raises OSError at once if another has it."""
    try:
        import fcntl
    except ModuleNotFoundError:
        import msvcrt

        os.lseek(file, _FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
