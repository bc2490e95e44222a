"""Write an edited model: the original's bytes with only the selected tensors' bytes replaced."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.model import Model
from onnxunlearn.graph.wire import FieldPath, splice, varint

# Field numbers of onnx.proto
_MODEL_GRAPH, _GRAPH_NODE, _GRAPH_INITIALIZER, _NODE_ATTRIBUTE, _ATTRIBUTE_T = 7, 1, 5, 5, 5
_PAYLOADS = {"raw_data": 9, "float_data": 4, "double_data": 10, "int32_data": 5}


def patch(model: Model, edits: Mapping[str, np.ndarray]) -> bytes:
    """The model's bytes with the stored tensors named in `edits` replaced by the given values.

    Values keep the tensor's shape and dtype and go back to the field they came from. Raises
    UnsupportedError for a tensor that is stored in a way that cannot be patched.
    """
    payloads: dict[FieldPath, bytes] = {}
    for name, values in edits.items():
        tensor = model.stored[name]
        expected = numpy_helper.to_array(tensor).dtype if not _external(tensor) else None
        if values.shape != tuple(tensor.dims) or (expected is not None and values.dtype != expected):
            raise ValueError(f"edit of {name!r} has shape {values.shape} and dtype {values.dtype}")
        if _external(tensor):
            raise UnsupportedError(
                f"tensor {name!r} is stored as external data; editing it is not supported yet, "
                "save the model in one file first (onnx.save_model(..., save_as_external_data=False))"
            )
        store, payload = _payload(tensor, values)
        payloads[(*_path(model, name), (_PAYLOADS[store], 0))] = payload
    try:
        return splice(model.data, payloads) if payloads else model.data
    except (KeyError, ValueError) as error:
        raise UnsupportedError(
            f"a weight is stored unpacked ({error}); load and save the model once with the onnx package"
        ) from None


def _external(tensor: onnx.TensorProto) -> bool:
    return bool(tensor.data_location == onnx.TensorProto.EXTERNAL)


def _payload(tensor: onnx.TensorProto, values: np.ndarray) -> tuple[str, bytes]:
    store = next(
        (f for f in _PAYLOADS if (tensor.HasField(f) if f == "raw_data" else len(getattr(tensor, f)))), None
    )
    if store is None:
        raise UnsupportedError(f"tensor {tensor.name!r} holds no values that can be edited")
    if store == "int32_data":  # float16 and bfloat16 as varints of their bits
        bits = np.ascontiguousarray(values).view(np.uint16).reshape(-1)
        return store, b"".join(varint(int(v)) for v in bits)
    little_endian = values.dtype.newbyteorder("<") if values.dtype.byteorder in "=<>|" else values.dtype
    return store, np.ascontiguousarray(values).astype(little_endian, copy=False).tobytes()


def _path(model: Model, name: str) -> FieldPath:
    """Where the TensorProto called `name` lies in the ModelProto."""
    for index, tensor in enumerate(model.graph.initializer):
        if tensor.name == name:
            return ((_MODEL_GRAPH, 0), (_GRAPH_INITIALIZER, index))
    node = model.producer[name]
    attribute = next(i for i, a in enumerate(node.proto.attribute) if a.name == "value")
    return ((_MODEL_GRAPH, 0), (_GRAPH_NODE, node.index), (_NODE_ATTRIBUTE, attribute), (_ATTRIBUTE_T, 0))


def check_output(model: Model, out: str | os.PathLike[str], overwrite: bool = False) -> Path:
    """`out` as a path that may be written. Raises InputError if it is the input, exists or has no folder."""
    path = Path(out)
    if model.path is not None and path.exists() and path.samefile(model.path):
        raise InputError(f"{path}: is the input model, which is never written; give another path with -o")
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give the path of the file to write")
    if path.exists() and not overwrite:
        raise InputError(f"{path}: exists already; add --overwrite or give another path with -o")
    if not path.parent.is_dir():
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    return path


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary file beside `path` and rename it: a whole file or none.

    Raises InputError if the folder cannot be written or the disk is full.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes the file private
        os.replace(temporary, path)
        temporary = None
    except OSError as error:
        raise InputError(
            f"{path}: cannot be written ({error.strerror}); check space and permissions"
        ) from None
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
