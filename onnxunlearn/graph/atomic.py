"""Files that are written whole or not at all, whatever happens meanwhile."""

import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path

from onnxunlearn.errors import InputError

#: permission bits that a new file asks for, of which the umask then takes its part
_USUAL = 0o666
_OWNER = 0o700


@contextmanager
def replacing(path: Path, permissions: int = _USUAL) -> Iterator[BufferedRandom]:
    """A new file that takes the place of `path` when the block ends, all at once; never if it raises.

    Until then it lies beside `path` under a name `.NAME.….tmp`; only a process that is killed outright leaves
    it there. permissions: what it may have at most; the umask takes away from it, and others get no more than
    they had of a file whose place it takes. Raises InputError if the folder cannot be written or the disk is
    full.
    """
    # Named before it is made: an interrupt between the two cannot leave it behind.
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(6)}.tmp")
    with suppress(OSError):  # lstat: a link says nothing of whom its place is for
        permissions &= stat.S_IMODE(os.lstat(path).st_mode) | _OWNER

    def made_private(name: str, flags: int) -> int:
        return os.open(name, flags, permissions)  # from the first moment on

    try:
        with open(temporary, "x+b", opener=made_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the content must reach the disk before the name does
        os.replace(temporary, path)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror or error}); check space and permissions"
        ) from None
    finally:
        temporary.unlink(missing_ok=True)


def permissions_of(path: Path | None) -> int:
    """The permission bits for a copy of `path`; those of any new file where there is none to copy."""
    if path is not None:
        with suppress(OSError):
            return stat.S_IMODE(os.stat(path).st_mode) & 0o777
    return _USUAL


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises InputError if that is not possible."""
    with replacing(path) as file:
        file.write(data)
