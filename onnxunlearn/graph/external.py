"""Weights that lie in other files than the model, read where they lie."""

import os
from io import FileIO
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4
from weakref import WeakValueDictionary

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.graph.tensors import MEMORY, element_bits, external_tensors

#: bytes that a message may have, a quarter of what protobuf can write; and a tensor that need not leave it
_MESSAGE, _SMALL = 1 << 29, 1 << 16


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


def data_file(folder: Path, location: str) -> Path:
    """The file at `location`, without links. Raises OSError if it lies outside the model's folder: `load` has
    checked it, but links may change."""
    try:
        path = (folder / location).resolve()
    except RuntimeError:  # links in a circle
        raise OSError(0, f"its data file {location!r} cannot be found") from None
    if not path.is_relative_to(folder.resolve()):
        raise OSError(0, f"its data file {location!r} lies outside the model's folder")
    return path


def read(tensor: onnx.TensorProto, folder: Path) -> np.ndarray:
    """The tensor's values; not to be written to. All who read a tensor share one copy, as long as it is used.

    Read, not mapped: a file that is cut short while it is mapped takes the process down. Raises OSError or
    ValueError if the file does not hold the values.
    """
    lent = _lent.get(tensor.doc_string)
    if lent is not None:
        return lent
    half = narrow(tensor)
    if half is not None:
        return read(half, folder).astype(np.float32)
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
    shape, at, size = tuple(tensor.dims), place(tensor), _bytes(tensor)
    if size != dtype.itemsize * int(np.prod(shape)) or not size:  # packed, or empty
        return np.asarray(numpy_helper.to_array(tensor, str(folder)))
    with open(data_file(folder, at.location), "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, at.offset, size
        content = _contents.get(key)
        if content is None:
            content = _contents[key] = _content(file, at.offset, size)
    return content.view(dtype).reshape(shape)


#: starts the doc string of a tensor that is seen in float32; what follows is its own type and doc string
_WIDENED = f"widened {uuid4()} "
#: doc string of a tensor -> what it stands for
_lent: WeakValueDictionary[str, np.ndarray] = WeakValueDictionary()


def lend(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    """Let a tensor with external data stand for `values` instead, as long as these exist, without a copy."""
    tensor.doc_string = f"lent {uuid4()}"
    tensor.data_type = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
    _set_length(tensor)
    _lent[tensor.doc_string] = values


def hold(tensor: onnx.TensorProto, values: np.ndarray) -> None:
    """Let a tensor without values stand for these, as long as they exist."""
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=MEMORY)
    lend(tensor, values)


def move_out(proto: onnx.ModelProto) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A copy of a message too large to be passed on as one, its large initializers lent, and what must be
    kept for it; any other message itself."""
    if sum(tensor.ByteSize() for tensor in proto.graph.initializer) <= _MESSAGE:
        return proto, {}
    copy, slim, moved = onnx.ModelProto(), onnx.ModelProto(), dict[str, np.ndarray]()
    copy.CopyFrom(proto)
    for tensor in copy.graph.initializer:
        packed = (element_bits(tensor.data_type) or 1) < 8
        if tensor.HasField("raw_data") and not packed and tensor.ByteSize() > _SMALL:
            moved[tensor.name] = np.asarray(numpy_helper.to_array(tensor))
            tensor.ClearField("raw_data")
            hold(tensor, moved[tensor.name])
    slim.CopyFrom(copy)  # a message keeps the memory of what is cleared
    return slim, moved


def is_lent(tensor: onnx.TensorProto) -> bool:
    """Whether the file does not hold what the tensor stands for."""
    return tensor.doc_string in _lent or tensor.doc_string.startswith(_WIDENED)


def widen(tensor: onnx.TensorProto) -> None:
    """Let a float16 or bfloat16 tensor with external data be seen in float32. Memory holds the halves alone:
    whoever reads it gets a copy."""
    tensor.doc_string = f"{_WIDENED}{tensor.data_type} {tensor.doc_string}"
    tensor.data_type = onnx.TensorProto.FLOAT
    _set_length(tensor)


def narrow(tensor: onnx.TensorProto) -> onnx.TensorProto | None:
    """A widened tensor as it was; None for any other."""
    if not tensor.doc_string.startswith(_WIDENED):
        return None
    half = onnx.TensorProto()
    half.CopyFrom(tensor)
    kind, half.doc_string = tensor.doc_string.removeprefix(_WIDENED).split(" ", 1)
    half.data_type = int(kind)
    _set_length(half)
    return half


def _set_length(tensor: onnx.TensorProto) -> None:
    for entry in tensor.external_data:
        if entry.key == "length":
            entry.value = str(_bytes(tensor))


#: (device, inode, size, time of change, offset, length) -> bytes; kept as long as someone uses them
_contents: WeakValueDictionary[tuple[int, ...], np.ndarray] = WeakValueDictionary()


def _content(file: FileIO, offset: int, size: int) -> np.ndarray:
    content = np.empty(size, np.uint8)
    rest = content.data
    file.seek(offset)
    while rest:
        count = file.readinto(rest)
        if not count:
            raise OSError(0, "its data file is shorter than it was; wait until it has been written")
        rest = rest[count:]
    content.flags.writeable = False
    return content


def locations(proto: onnx.ModelProto) -> list[str]:
    """The data files of a model, each once."""
    return list(dict.fromkeys(place(tensor).location for tensor in external_tensors(proto)))


def _bytes(tensor: onnx.TensorProto) -> int:
    """Bytes that the values take; types under a byte are packed."""
    bits = element_bits(tensor.data_type) or 0
    return -(-int(np.prod(tuple(tensor.dims), dtype=np.int64)) * bits // 8)
