"""Write files that belong together: all of them, whole, or none."""

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from onnxunlearn.errors import InputError

#: writes the content into a file that exists already, and is empty
Write = Callable[[Path], None]


def write_together(files: Sequence[tuple[Path, Write]]) -> None:
    """Write each file under a temporary name beside its place, then rename all.

    The last one is what the others belong to: it is renamed last, and an older one is taken away before its
    parts are replaced, so that whenever the process dies, what stands there is whole or missing.
    Raises InputError if a folder cannot be written or the disk is full; then nothing is left behind.
    """
    temporary: list[Path] = []
    path = files[-1][0]
    try:
        for path, write in files:
            handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
            os.close(handle)
            temporary.append(Path(name))
            write(temporary[-1])
            umask = os.umask(0)
            os.umask(umask)
            os.chmod(name, 0o666 & ~umask)  # mkstemp makes the file private
        if len(files) > 1:
            files[-1][0].unlink(missing_ok=True)
        for (path, _), made in zip(files, list(temporary), strict=True):
            os.replace(made, path)
            temporary.remove(made)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); check space and permissions"
        ) from None
    finally:
        for made in temporary:
            made.unlink(missing_ok=True)


def write_atomically(path: Path, data: bytes) -> None:
    """Write one file, whole or not at all. Raises InputError like `write_together`."""
    write_together([(path, lambda made: write_bytes(made, data))])


def write_bytes(path: Path, data: bytes) -> None:
    """Write and wait until it is on the disk."""
    with open(path, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
