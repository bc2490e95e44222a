"""All that `apply --in-place` does to a disk. Tests take its place and cut the power after any step."""

import os
from contextlib import suppress
from pathlib import Path

#: on Windows files are text unless one says so
_BINARY = getattr(os, "O_BINARY", 0)


class Disk:
    """Every function raises OSError. What was written is safe once `sync` has returned, and what has another
    name, or none, once `sync_folder` has."""

    def create(self, path: Path, permissions: int) -> int:
        """A new file, open; never one that is there, nor what a link leads to."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, permissions)

    def open(self, path: Path) -> int:
        """A file that is there."""
        return os.open(path, os.O_RDWR | _BINARY)

    def close(self, file: int) -> None:
        os.close(file)

    def write(self, file: int, offset: int, data: bytes) -> None:
        rest = memoryview(data)
        os.lseek(file, offset, os.SEEK_SET)
        while rest:
            rest = rest[os.write(file, rest) :]

    def resize(self, file: int, size: int) -> None:
        os.ftruncate(file, size)

    def sync(self, file: int) -> None:
        os.fsync(file)

    def rename(self, path: Path, new: Path) -> None:
        os.replace(path, new)

    def remove(self, path: Path) -> None:
        os.unlink(path)

    def make_folder(self, path: Path) -> None:
        os.mkdir(path)

    def remove_folder(self, path: Path) -> None:
        """One that is empty."""
        os.rmdir(path)

    def sync_folder(self, path: Path) -> None:
        with suppress(PermissionError):  # Windows cannot, and need not
            folder = os.open(path, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
