"""Files that are written whole or not at all, whatever happens meanwhile."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from onnxunlearn.errors import InputError


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends, all at once; never if it raises.

    Until then it lies beside `path` under a name `.NAME.….tmp`; only a process that is killed outright leaves
    it there. Raises InputError if the folder cannot be written or the disk is full.
    """
    # Named before it is made: an interrupt between the two cannot leave it behind.
    temporary = path.with_name(f".{path.name[:50]}.{secrets.token_hex(6)}.tmp")
    try:
        with temporary.open("xb") as file:
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


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file whole or not at all. Raises InputError if that is not possible."""
    with replacing(path) as file:
        file.write(data)
