"""A plan: everything that a run decided, by which any copy of the original becomes the edited model.

It is small, for it holds the changed elements alone, and complete: the original's digest, what made it, and
for each stored tensor the places and their new bytes. As bytes it is a zip archive of `plan.json` and
`changes`: for each tensor in turn its places, a bit an element (as `numpy.packbits` has them), and its new
elements.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx

from onnxunlearn.digests import sha256
from onnxunlearn.errors import InputError, one_line
from onnxunlearn.frozen import freeze
from onnxunlearn.graph import Model

#: raised whenever a reader of older plans would misread a newer one
SCHEMA_VERSION = 1
#: the same plan is the same bytes: archives hold no time
_EPOCH = (1980, 1, 1, 0, 0, 0)
#: bytes that `plan.json` may have
_LARGEST = 1 << 26


@dataclass(frozen=True, eq=False)
class Change:
    """Of one stored tensor. kind: its type, as onnx.TensorProto names it (FLOAT, INT8 …). places: flat
    indices, rising. values: what comes there, in the tensor's own type."""

    tensor: str
    kind: str
    shape: tuple[int, ...]
    places: np.ndarray = field(repr=False)
    values: np.ndarray = field(repr=False)

    def __post_init__(self) -> None:
        freeze(self, "places", "values")

    def __eq__(self, other: object) -> bool:
        """Bit for bit."""
        if not isinstance(other, Change):
            return NotImplemented
        same = (self.tensor, self.kind, self.shape) == (other.tensor, other.kind, other.shape)
        return same and all(
            mine.tobytes() == others.tobytes()
            for mine, others in ((self.places, other.places), (self.values, other.values))
        )

    def __hash__(self) -> int:
        return hash((self.tensor, self.kind, self.shape, self.values.tobytes()))


@dataclass(frozen=True)
class Plan:
    """original: SHA-256 of the model's file. data: of each of its data files, by location. about: JSON-ready,
    what made it: classes, method, options, seed, versions, digests of the probes."""

    original: str
    data: Mapping[str, str]
    about: Mapping[str, Any]
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        freeze(self, "data", "about")

    @classmethod
    def of(
        cls, model: Model, edits: Mapping[str, np.ndarray], about: Mapping[str, Any], data: Mapping[str, str]
    ) -> "Plan":
        """edits: stored tensors -> all their new values, stored layout and dtype; see `Edits.arrays`."""
        changes = []
        for name in sorted(edits):
            old, new = _bits(model.array(name)), _bits(edits[name])
            places = np.flatnonzero(old != new)
            if places.size:
                tensor = model.stored[name]
                values = edits[name].reshape(-1)[places]
                changes.append(Change(name, _kind(tensor), tuple(tensor.dims), places, values))
        return cls(sha256(*model.content.pieces), data, about, tuple(changes))

    def arrays(self, model: Model) -> dict[str, np.ndarray]:
        """Stored tensors -> all their new values. Raises InputError if it is not a plan for this model."""
        if (found := sha256(*model.content.pieces)) != self.original:
            raise InputError(
                f"the plan is for the model with sha256 {self.original[:16]}…, this one has {found[:16]}…; "
                "give the original that it was made from"
            )
        arrays = {}
        for change in self.changes:
            stored = model.stored.get(change.tensor)
            if stored is None or (_kind(stored), tuple(stored.dims)) != (change.kind, change.shape):
                raise InputError(
                    f"the plan changes a tensor {change.tensor!r} of another type or shape than the model has"
                    ", which it says it is for; make it again"
                )
            values = np.array(model.array(change.tensor))
            values.reshape(-1)[change.places] = change.values
            arrays[change.tensor] = values
        return arrays

    def to_bytes(self) -> bytes:
        """The same bytes for the same plan."""
        listed = []
        content: list[bytes] = []
        for change in self.changes:
            mask = np.zeros(int(np.prod(change.shape, dtype=np.int64)), bool)
            mask[change.places] = True
            parts = np.packbits(mask).tobytes(), _bits(change.values).tobytes()
            content += parts
            listed.append(
                {
                    "tensor": change.tensor,
                    "type": change.kind,
                    "shape": list(change.shape),
                    "elements": len(change.places),
                    "bytes": [len(part) for part in parts],
                }
            )
        header = {
            "schema": SCHEMA_VERSION,
            "original": self.original,
            "data": self.data,
            "about": self.about,
            "changes": listed,
        }
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            archive.writestr(_member("plan.json"), json.dumps(header, indent=1, sort_keys=True) + "\n")
            archive.writestr(_member("changes"), b"".join(content))
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Plan":
        """Raises InputError if it is no plan, or a damaged one."""
        try:
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                if archive.getinfo("plan.json").file_size > _LARGEST:
                    raise ValueError("its plan.json is longer than any")
                header = json.loads(archive.read("plan.json"))
                _check_header(header, archive.getinfo("changes").file_size)
                content = archive.read("changes")
            changes, at = [], 0
            for entry in header["changes"]:
                masked, valued = entry["bytes"]
                changes.append(_change(entry, content[at : at + masked], content[at + masked :][:valued]))
                at += masked + valued
            return cls(header["original"], header["data"], header["about"], tuple(changes))
        except _DAMAGED as error:
            raise InputError(f"not a plan, or a damaged one ({one_line(error)}); make it again") from None


#: what reading a damaged archive may raise
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    KeyError,
    TypeError,
    ValueError,
    EOFError,
    RecursionError,
    NotImplementedError,  # compressed in a way that is not ours
    RuntimeError,  # encrypted
    OverflowError,
    OSError,  # offsets outside the file
)


def _check_header(header: Any, length: int) -> None:
    """length: bytes of the changes, unpacked. Raises one of `_DAMAGED` unless all is of its kind and the
    changes are as long as they are said to be, before anything is unpacked."""
    if header["schema"] != SCHEMA_VERSION:
        raise ValueError(f"schema {header['schema']}, this version reads {SCHEMA_VERSION}")
    for name, kind in (("original", str), ("data", dict), ("about", dict), ("changes", list)):
        if not isinstance(header[name], kind):
            raise TypeError(f"{name} is no {kind.__name__}")
    sizes = [size for entry in header["changes"] for size in entry["bytes"]]
    if not all(type(size) is int and size >= 0 for size in sizes) or sum(sizes) != length:
        raise ValueError("its changes have another length than it says")


def _change(entry: Mapping[str, Any], mask: bytes, values: bytes) -> Change:
    shape = tuple(int(size) for size in entry["shape"])
    size = int(np.prod(shape, dtype=np.int64))
    bits = np.frombuffer(mask, np.uint8)
    if len(bits) != (size + 7) // 8:
        raise ValueError(f"tensor {entry['tensor']!r} has places for another shape")
    places = np.flatnonzero(np.unpackbits(bits, count=size))
    dtype = onnx.helper.tensor_dtype_to_np_dtype(onnx.TensorProto.DataType.Value(entry["type"]))
    found = np.frombuffer(values, np.dtype(f"u{dtype.itemsize}")).view(dtype)
    if len(found) != len(places) or len(found) != entry["elements"]:
        raise ValueError(f"tensor {entry['tensor']!r} has {len(found)} values for {len(places)} places")
    return Change(str(entry["tensor"]), str(entry["type"]), shape, places, found)


def _kind(tensor: onnx.TensorProto) -> str:
    return onnx.TensorProto.DataType.Name(tensor.data_type)


def _member(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    return info


def _bits(values: np.ndarray) -> np.ndarray:
    """The values' bytes as unsigned integers, flat: NaN is itself, and −0 is not 0."""
    return np.ascontiguousarray(values).reshape(-1).view(np.dtype(f"u{values.dtype.itemsize}"))
