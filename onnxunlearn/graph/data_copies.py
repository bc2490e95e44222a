"""The data files of an edited model: copies of the original's, patched, and named after the edited model.

Whoever made the original chose the names of its data files; in the folder of the result they choose nothing:

    model.onnx, model.onnx.data, parts/weights.bin    →    out.onnx, out.onnx.data, out.onnx.1.data

These locations are, besides the edited values, all that differs in the edited model. It never shares a data
file with the original.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from io import BufferedRandom
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.external import data_file, locations, place
from onnxunlearn.graph.view import Model

#: bytes that are copied at a time
_CHUNK = 1 << 26


def copy_names(model: Model, out: str) -> dict[str, str]:
    """Location in the original -> file name in the folder of the edited model, whose file is called `out`:
    `OUT.data`, `OUT.1.data`, … in the order in which the model names them. A file that it names in several
    ways has one copy.

    Raises InputError if nothing that is named after `out` can be a location.
    """
    if model.folder is None:
        return {}
    try:
        files = {location: data_file(model.folder, location) for location in locations(model.proto)}
    except OSError as error:
        raise InputError(f"{model.path}: {error.strerror}; export the model again") from None
    if files and not _can_be_named(out):
        raise InputError(
            f"{out}: the model's data files are named after it, and in their names ONNX takes UTF-8 without "
            "'..' alone; give another name with -o"
        )
    numbers = {file: number for number, file in enumerate(dict.fromkeys(files.values()))}
    return {
        location: f"{out}.{numbers[file]}.data" if numbers[file] else f"{out}.data"
        for location, file in files.items()
    }


def _can_be_named(out: str) -> bool:
    try:
        out.encode()
    except UnicodeEncodeError:  # bytes that are not UTF-8
        return False
    return ".." not in out  # the checker takes it for a way out of the folder


def copy_patched(source: Path, target: BufferedRandom, patches: Iterable[tuple[int, bytes]]) -> str:
    """Copy `source` into an empty file, sharing its blocks where the file system can, and replace bytes at
    the given offsets. The SHA-256 of what was copied, before it was patched.

    Never a link: writing to one file never changes the other. Raises OSError.
    """
    with open(source, "rb") as original:
        _copy(original.fileno(), target.fileno(), os.fstat(original.fileno()).st_size)
    target.seek(0)
    copied = hashlib.file_digest(target, "sha256").hexdigest()
    for offset, data in patches:
        target.seek(offset)
        target.write(data)
    return copied


def _copy(source: int, target: int, size: int) -> None:
    done = 0
    try:
        while done < size and hasattr(os, "copy_file_range"):
            if not (moved := os.copy_file_range(source, target, min(_CHUNK, size - done), done, done)):
                break
            done += moved
    except OSError:  # another file system, an old kernel: as bytes then, which says what is really wrong
        pass
    while done < size:
        chunk = os.pread(source, min(_CHUNK, size - done), done)
        if not chunk:
            raise OSError(0, "it became shorter while it was copied")
        os.pwrite(target, chunk, done)
        done += len(chunk)


def patches_of(
    tensors: Mapping[str, onnx.TensorProto], values: Mapping[str, np.ndarray]
) -> dict[str, list[tuple[int, bytes]]]:
    """Location -> what to write at which offset. Raises UnsupportedError for values of another length."""
    patches: dict[str, list[tuple[int, bytes]]] = {}
    for name, array in values.items():
        at, data = place(tensors[name]), numpy_helper.from_array(array).raw_data
        if len(data) != at.length:
            raise UnsupportedError(
                f"tensor {name!r} has {at.length:,} bytes in {at.location!r}, but its shape needs "
                f"{len(data):,}; export the model again"
            )
        patches.setdefault(at.location, []).append((at.offset, data))
    return patches
