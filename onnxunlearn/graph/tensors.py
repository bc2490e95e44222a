"""Whether a tensor in a file can be what it says it is: its type, its sizes, and just as many values.

Nothing is allocated before this has been checked, so a small file cannot ask for a large array.
"""

from collections.abc import Iterator
from math import prod
from pathlib import Path

import onnx

from onnxunlearn.errors import InputError
from onnxunlearn.graph.messages import messages

#: floats of two bytes, which CPUs compute with as float32
HALVES = frozenset({onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16})
#: floats that networks compute with
FLOATS = HALVES | {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE}
#: attributes that name the element type a node makes or computes in
TYPE_ATTRIBUTES = frozenset({"to", "dtype", "output_dtype", "output_datatype", "softmax_precision"})
_EXTERNAL = onnx.TensorProto.EXTERNAL
#: location of values that are in memory, see `external.lend`. ONNX Runtime wants something that exists, and
#: no file can be called so
MEMORY = "."
_MOST_AXES = 32  # NumPy's own limit up to 1.26
_LARGEST = 2**62  # bits; larger sizes cannot even be computed with
#: types under a byte share bytes
_PACKED_BITS = {
    "INT2": 2,
    "UINT2": 2,
    "INT4": 4,
    "UINT4": 4,
    "FLOAT4E2M1": 4,
    "FLOAT6E2M3": 6,
    "FLOAT6E3M2": 6,
}
_COMPLEX = (onnx.TensorProto.COMPLEX64, onnx.TensorProto.COMPLEX128)
_TYPED = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")
#: what `length` and `offset` of external data look like
_MOST_DIGITS = 19


def external_tensors(proto: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    """Tensors whose values lie in another file, in subgraphs too."""
    return filter(in_data_file, messages(proto, onnx.TensorProto))


def is_outside(tensor: onnx.TensorProto) -> bool:
    """Whether the message does not have the values."""
    return bool(tensor.data_location == _EXTERNAL)


def in_data_file(tensor: onnx.TensorProto) -> bool:
    """Whether the values lie in another file than the model's."""
    return is_outside(tensor) and all(e.key != "location" or e.value != MEMORY for e in tensor.external_data)


def check_tensor(tensor: onnx.TensorProto, name: str, folder: Path | None) -> None:
    """Raises InputError, its message starting with the model's `name`, if the tensor does not add up.

    folder: where its values are looked for if they lie in another file; None if the model has no place.
    """
    what = f"{name}: tensor {tensor.name!r}"
    bits = element_bits(tensor.data_type)
    if bits is None:
        raise InputError(f"{what} has element type {tensor.data_type}, which is not known; export it again")
    dims = list(tensor.dims)
    if any(d < 0 for d in dims):
        raise InputError(f"{what} has a negative size ({_listed(dims)}); export the model again")
    if len(dims) > _MOST_AXES or prod(d for d in dims if d) * bits > _LARGEST:
        raise InputError(f"{what} has impossible sizes ({_listed(dims)}); export the model again")
    if tensor.HasField("segment"):
        raise InputError(f"{what} is stored in segments, which ONNX dropped; save the model again")
    count = prod(dims)
    if tensor.data_location == _EXTERNAL:
        _check_external(tensor, what, -(-count * bits // 8), folder)
    else:
        _check_stored(tensor, what, count, bits)


def element_bits(data_type: int) -> int | None:
    """Bits that one element takes in a file; None for a type that this onnx does not know. Strings take 0."""
    if data_type == onnx.TensorProto.UNDEFINED or data_type not in onnx.TensorProto.DataType.values():
        return None
    kind = onnx.TensorProto.DataType.Name(data_type)
    if kind == "STRING":
        return 0
    return _PACKED_BITS.get(kind) or 8 * onnx.helper.tensor_dtype_to_np_dtype(data_type).itemsize


def _check_stored(tensor: onnx.TensorProto, what: str, count: int, bits: int) -> None:
    stored = [(field, len(getattr(tensor, field))) for field in _TYPED if len(getattr(tensor, field))]
    if tensor.HasField("raw_data"):
        raw = len(tensor.raw_data)
        if raw or not stored:
            stored.append(("raw_data", raw))
    if not stored:
        stored = [("no field", 0)]
    if len(stored) > 1:
        raise InputError(f"{what} holds values twice, in {stored[0][0]} and {stored[1][0]}; export it again")
    ((field, have),) = stored
    expected = -(-count * bits // 8)
    if field != "raw_data":
        expected = count * (2 if tensor.data_type in _COMPLEX else 1)
        if 0 < bits < 6:  # several in each number
            expected = -(-count * bits // 8)
    if have != expected:
        unit = "bytes" if field == "raw_data" else "values"
        raise InputError(
            f"{what} of sizes {_listed(list(tensor.dims))} should hold {expected:,} {unit}, "
            f"but {field} holds {have:,}; the file is damaged, export the model again"
        )


def _check_external(tensor: onnx.TensorProto, what: str, expected: int, folder: Path | None) -> None:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    what = f"{what} has its data in {location!r}"
    if folder is None:
        raise InputError(f"{what}, but the model was given as bytes; give the path of the .onnx file")
    try:
        target = (folder / location).resolve()
        outside = not location or Path(location).is_absolute() or not target.is_relative_to(folder.resolve())
        size = target.stat().st_size if not outside and target.is_file() else None
    except (OSError, RuntimeError, ValueError) as error:  # e.g. a loop of links
        raise InputError(f"{what}, which cannot be found ({error}); export the model again") from None
    if outside:
        raise InputError(f"{what}, outside the model's folder; refused, put the data file beside the model")
    if size is None:
        raise InputError(f"{what}, which does not exist; put the data file beside the model")
    offset, length = (_number(entries.get(key, ""), key, what) for key in ("offset", "length"))
    if length is not None and length != expected:
        raise InputError(
            f"{what}, {length:,} bytes of it, but its sizes ask for {expected:,}; export it again"
        )
    end = (offset or 0) + expected
    if end > size:
        raise InputError(f"{what}, which is too short ({size:,} of {end:,} bytes); copy the data file again")


def _number(text: str, key: str, what: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS):
        raise InputError(f"{what} at {key} {text[:40]!r}, expected a number of bytes; export the model again")
    return int(text)


def _listed(dims: list[int]) -> str:
    shown = " × ".join(map(str, dims[:8])) or "scalar"
    return f"{shown} × … ({len(dims)} axes)" if len(dims) > 8 else shown
