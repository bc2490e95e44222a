"""What `apply --in-place` is about to write, as a file of its own: with it, whatever was written can be
written again.

    OXUJ, version, SHA-256 of the patch
    for each write: number of the file (4 bytes), offset (8), length (4), the bytes
    FF FF FF FF, SHA-256 of all before

Numbers are little-endian. It has its name once it is complete and on the disk; until then it has `.tmp`
behind it.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.patches.disk import Disk

_MAGIC = b"OXUJ\x01"
_END = b"\xff\xff\xff\xff"
_DIGEST = 32

#: number of the file, offset, bytes
Write = tuple[int, int, bytes]


def journal_of(model: Path) -> Path:
    return model.with_name(f".{model.name}.patch-journal")


def write_journal(path: Path, patch: bytes, writes: Iterable[Write], disk: Disk) -> None:
    """patch: its SHA-256. The writes may raise; then there is no journal. Raises OSError."""
    temporary = path.with_name(f"{path.name}.tmp")
    if (
        temporary.is_symlink() or temporary.exists()
    ):  # of an apply that was interrupted before it changed anything
        disk.remove(temporary)
    file = disk.create(temporary, 0o600)
    try:
        try:
            at, digest = 0, hashlib.sha256()
            for part in _parts(patch, writes):
                digest.update(part)
                disk.write(file, at, part)
                at += len(part)
            disk.write(file, at, digest.digest())
            disk.sync(file)
        finally:
            disk.close(file)
    except BaseException:
        disk.remove(temporary)
        raise
    disk.rename(temporary, path)
    disk.sync_folder(path.parent)


def _parts(patch: bytes, writes: Iterable[Write]) -> Iterator[bytes]:
    yield _MAGIC + patch
    for number, offset, data in writes:
        yield number.to_bytes(4, "little") + offset.to_bytes(8, "little") + len(data).to_bytes(4, "little")
        yield data
    yield _END


def check_journal(path: Path, patch: bytes) -> None:
    """Raises InputError if it is another patch's, or damaged, and OSError."""
    head = len(_MAGIC) + _DIGEST
    with open(path, "rb") as file:
        begins = file.read(head)
        size = file.seek(0, 2)
        file.seek(0)
        digest = hashlib.sha256()
        left = size - _DIGEST
        while left > 0:
            digest.update(chunk := file.read(min(left, 1 << 20)))
            left -= len(chunk)
        whole = left == 0 and file.read() == digest.digest()
    if not whole or begins[: len(_MAGIC)] != _MAGIC:
        raise InputError(
            f"{path}: a damaged journal of an interrupted `apply --in-place`; put a copy of the original "
            "back, delete the journal, and apply again"
        )
    if begins[len(_MAGIC) :] != patch:
        raise InputError(
            f"{path}: an `apply --in-place` of another patch was interrupted; apply that again first"
        )


def read_journal(path: Path) -> Iterator[Write]:
    """Of a journal that was checked. Raises OSError."""
    with open(path, "rb") as file:
        file.seek(len(_MAGIC) + _DIGEST)
        while (number := file.read(4)) != _END:
            offset, length = (int.from_bytes(file.read(size), "little") for size in (8, 4))
            yield int.from_bytes(number, "little"), offset, file.read(length)
