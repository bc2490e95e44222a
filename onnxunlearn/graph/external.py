"""Weights that lie in other files than the model: read where they lie, copied and patched with the model.

An edited model never shares a data file with the original. Its copy keeps the location that the model
names, if the model is written into another folder; beside the original it is called after the edited model:

    model.onnx, model.onnx.data, weights.bin    →    out.onnx, out.onnx.data, out.weights.bin

and those locations are, besides the edited values, all that differs in the edited model.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import BinaryIO, NamedTuple
from weakref import WeakValueDictionary

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.tensors import element_bits, external_tensors

#: bytes that are copied at a time
_CHUNK = 1 << 26


class Place(NamedTuple):
    """Where a tensor's bytes lie. location: relative to the model's folder, as the model says."""

    location: str
    offset: int
    length: int


def place(tensor: onnx.TensorProto) -> Place:
    """Requires: checked by `load`."""
    entries = {e.key: e.value for e in tensor.external_data}
    length = int(entries.get("length") or 0) or _bytes(tensor)
    return Place(entries["location"], int(entries.get("offset") or 0), length)


def read(tensor: onnx.TensorProto, folder: Path) -> np.ndarray:
    """The tensor's values, mapped from the file and read as they are used; not to be written to.

    Whoever reads a file shares one mapping of it, so that its pages count once. Raises OSError or ValueError
    if the file does not hold them.
    """
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    shape, at = tuple(tensor.dims), place(tensor)
    if _bytes(tensor) != dtype.itemsize * int(np.prod(shape)) or not _bytes(tensor):  # packed, or empty
        return np.asarray(numpy_helper.to_array(tensor, str(folder)))
    content = _mapped(folder / at.location)[at.offset : at.offset + _bytes(tensor)]
    return content.view(dtype).reshape(shape)


#: (device, inode, size, time of change) -> content; kept as long as someone uses it
_mappings: WeakValueDictionary[tuple[int, ...], np.ndarray] = WeakValueDictionary()


def _mapped(path: Path) -> np.ndarray:
    """The bytes of a file."""
    status = path.stat()
    key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
    found = _mappings.get(key)
    if found is None:
        found = _mappings[key] = np.memmap(path, np.uint8, "r")
    return found


def locations(proto: onnx.ModelProto) -> list[str]:
    """The data files of a model, each once."""
    return list(dict.fromkeys(place(tensor).location for tensor in external_tensors(proto)))


def renamed(proto: onnx.ModelProto, path: Path, out: Path) -> dict[str, str]:
    """Location in the original at `path` -> in the edited model at `out`."""
    if not out.parent.samefile(path.parent):
        return {location: location for location in locations(proto)}
    return {location: _named_after(location, path.name, out.name) for location in locations(proto)}


def _named_after(location: str, original: str, out: str) -> str:
    folder, name = os.path.split(location)
    stem = Path(out).stem
    new = out + name.removeprefix(original) if name.startswith(original) else f"{stem}.{name}"
    return os.path.join(folder, new)


def copy_patched(source: Path, target: BinaryIO, patches: Iterable[tuple[int, bytes]]) -> None:
    """Copy `source` into an empty file, sharing its blocks where the file system can, and replace bytes at
    the given offsets.

    Never a link: writing to one file never changes the other. Raises OSError.
    """
    with open(source, "rb") as original:
        _copy(original.fileno(), target.fileno(), os.fstat(original.fileno()).st_size)
    for offset, data in patches:
        target.seek(offset)
        target.write(data)


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
    """Data file -> what to write at which offset. Raises UnsupportedError for values of another length."""
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


def _bytes(tensor: onnx.TensorProto) -> int:
    """Bytes that the values take; types under a byte are packed."""
    bits = element_bits(tensor.data_type) or 0
    return -(-int(np.prod(tuple(tensor.dims), dtype=np.int64)) * bits // 8)
