"""SHA-256 of what a result was made from, and of what was made."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np


def sha256(*pieces: bytes | memoryview) -> str:
    """Of these, one behind the other."""
    found = hashlib.sha256()
    for piece in pieces:
        found.update(piece)
    return found.hexdigest()


def sha256_of(path: Path) -> str:
    """Of a file's bytes. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_folder(folder: Path, files: Iterable[Path]) -> str:
    """Of the sorted list `DIGEST  RELATIVE PATH`, a line a file: what `sha256sum` prints of these files, and
    of that again. Raises OSError."""
    names = sorted((file.relative_to(folder).as_posix(), file) for file in files)
    lines = (f"{sha256_of(file)}  {name}\n" for name, file in names)
    return sha256("".join(lines).encode(errors="surrogateescape"))


def sha256_of_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """Of names, types, shapes and values, in the order of the names."""
    found = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        found.update(f"{name} {array.dtype.name} {array.shape}\n".encode(errors="surrogateescape"))
        found.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return found.hexdigest()
