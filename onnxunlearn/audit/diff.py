"""What differs between two model files, down to rows and bytes, and proof that nothing else does."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from onnxunlearn.graph import Model, find_layers, patch


@dataclass(frozen=True)
class TensorDiff:
    """A stored tensor with other values. layer, rows: where it belongs to a layer (rows: its neurons)."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    elements: int
    bytes: int
    layer: str | None
    role: str | None
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Diff:
    """tensors: those that differ. others: everything else that differs, named; empty after `run`.

    bytes: differing bytes in the files. sizes: of both files.
    """

    tensors: tuple[TensorDiff, ...]
    others: tuple[str, ...]
    bytes: int
    sizes: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def diff(original: Model, edited: Model) -> Diff:
    """Compare two models. `others` is empty only if writing the differing tensors into the original gives
    the edited file, byte for byte."""
    changed: dict[str, np.ndarray] = {}
    tensors = []
    for name, tensor in original.stored.items():
        if name not in edited.stored:
            continue
        other = edited.stored[name]
        if (tensor.data_type, list(tensor.dims)) != (other.data_type, list(other.dims)):
            continue
        before, after = original.array(name), edited.array(name)
        if before.tobytes() != after.tobytes():
            changed[name] = after
            tensors.append(_tensor_diff(original, name, before, after))
    others = () if _explains(original, edited, changed) else tuple(_other_differences(original, edited))
    return Diff(
        tuple(tensors),
        others,
        _differing_bytes(original.data, edited.data),
        (len(original.data), len(edited.data)),
    )


def _explains(original: Model, edited: Model, changed: dict[str, np.ndarray]) -> bool:
    return patch(original, changed) == edited.data


def _differing_bytes(a: bytes, b: bytes) -> int:
    shared = min(len(a), len(b))
    left, right = (np.frombuffer(x, np.uint8, shared) for x in (a, b))
    return int((left != right).sum()) + abs(len(a) - len(b))


def _tensor_diff(model: Model, name: str, before: np.ndarray, after: np.ndarray) -> TensorDiff:
    width = before.dtype.itemsize
    bits_before = np.frombuffer(before.tobytes(), np.uint8).reshape(-1, width)
    bits_after = np.frombuffer(after.tobytes(), np.uint8).reshape(-1, width)
    differs = bits_before != bits_after
    elements = differs.any(axis=1)
    layer, role, rows = _place(model, name, elements)
    return TensorDiff(
        name, before.shape, str(before.dtype), int(elements.sum()), int(differs.sum()), layer, role, rows
    )


def _place(model: Model, name: str, elements: np.ndarray) -> tuple[str | None, str | None, tuple[int, ...]]:
    """The layer a tensor belongs to, and which of its neurons (rows) differ."""
    for layer in find_layers(model):
        for role, tensor in (("weight", layer.weight), ("bias", layer.bias)):
            if tensor is not None and tensor.name == name:
                seen = elements[tensor.positions].reshape(layer.neurons, -1).any(axis=1)
                return layer.name, role, tuple(int(i) for i in np.flatnonzero(seen))
    return None, None, ()


def _other_differences(original: Model, edited: Model) -> list[str]:
    """Name the parts of the two files, other than tensor values, that are not equal."""
    found = []
    for label, a, b in (
        ("model", original.proto, edited.proto),
        ("graph", original.graph, edited.graph),
    ):
        for field in a.DESCRIPTOR.fields:
            if field.name in {"graph", "initializer"}:
                continue
            if getattr(a, field.name) != getattr(b, field.name):
                found.append(f"{label}.{field.name}")
    names = [set(m.initializers) for m in (original, edited)]
    found += [f"initializer {n!r} only in the original" for n in sorted(names[0] - names[1])]
    found += [f"initializer {n!r} only in the edited model" for n in sorted(names[1] - names[0])]
    for name in sorted(names[0] & names[1]):
        before, after = original.initializers[name], edited.initializers[name]
        if (before.data_type, list(before.dims)) != (after.data_type, list(after.dims)):
            found.append(f"initializer {name!r} has another type or shape")
    return found or ["how the files are serialized"]
