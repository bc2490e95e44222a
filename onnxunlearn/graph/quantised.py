"""Floats that a file stores as integers: w = s·(q − z), with one s and z for all, a channel or a block.

Reading gives w. Writing rounds new values into the integers that are there, with the scale and zero point
that are there. Only where clipping would lose more than a step of an edit does the scale grow, just so far
that the value fits, and the integers under it are rounded anew. Values that do not change keep their
integers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import ml_dtypes
import numpy as np
import onnx

from onnxunlearn.graph.model import Model, Node
from onnxunlearn.graph.stored import StoredTensor, stored_tensor

#: values of a stored tensor by name
Lookup = Callable[[str], np.ndarray]
#: Biases count in an accumulator of this type, which must not overflow: they leave it half its range.
_ACCUMULATOR = np.dtype(np.int32)
#: of a step: less is rounding, not a value that does not fit
_TIE = 1e-3


@dataclass(frozen=True)
class Written:
    """New values for stored tensors. grown: scales that became larger. clipped: values that did not fit."""

    arrays: Mapping[str, np.ndarray]
    grown: int = 0
    clipped: int = 0


@dataclass(frozen=True, eq=False)
class Quantised:
    """How a constant of the lowered model is made of stored tensors.

    integers: arranged as the floats are. scales: their product is the scale; each arranged so that it
    broadcasts to the floats. zero: broadcasts likewise. packed: two 4-bit integers to a byte, the low one
    first; `integers` then counts and arranges them one by one.
    """

    integers: StoredTensor
    scales: tuple[StoredTensor, ...]
    zero: np.ndarray = field(repr=False)
    packed: tuple[int, ...] | None = None

    @property
    def parts(self) -> list[StoredTensor]:
        """The stored tensors it is made of, shaped as they lie in the file."""
        integers = self.integers
        return [
            integers if self.packed is None else StoredTensor(integers.name, self.packed),
            *(StoredTensor(s.name, s.stored_shape) for s in self.scales),
        ]

    def readers(self, file: Model) -> tuple[Node, ...]:
        """The nodes of the file that read the integers."""
        found = stored_tensor(file, self.integers.name)
        return found.readers if found else ()

    def may_grow(self, file: Model) -> bool:
        """Whether the scale is this tensor's alone, and not that of an accumulator."""
        if len(self.scales) != 1 or file.stored[self.integers.name].data_type == onnx.TensorProto.INT32:
            return False
        scale = stored_tensor(file, self.scales[0].name)
        return scale is not None and not scale.shared

    def decode(self, stored: Lookup) -> np.ndarray:
        """The floats, float32."""
        integers = self.integers.arrange(self._unpacked(stored(self.integers.name)))
        wide = np.float64 if integers.dtype.itemsize > 2 else np.float32
        return np.asarray((integers.astype(wide) - self.zero.astype(wide)) * self._scale(stored), np.float32)

    def encode(self, stored: Lookup, wanted: np.ndarray, grow: bool) -> Written:
        """What to store so that `decode` gives `wanted`, as nearly as the type allows."""
        before = stored(self.integers.name)
        changed = wanted != self.decode(stored)
        if not changed.any():
            return Written({})
        arrays, grown = {}, 0
        low, high = self._limits(before.dtype)
        scale, zero = self._scale(stored).astype(np.float64), self.zero.astype(np.float64)
        if grow:
            name = self.scales[0].name
            steps = self._grown(stored(name), wanted, changed, (low, high))
            larger = steps != stored(name)
            if grown := int(larger.sum()):
                arrays[name] = steps
                scale = self.scales[0].arrange(steps).astype(np.float64)
                changed = changed | self.scales[0].arrange(larger)
        with np.errstate(divide="ignore", invalid="ignore"):
            exact = wanted / scale + zero
        whole = exact if _is_float(before.dtype) else np.rint(exact)
        clipped = int((changed & ((exact > high + 1 + _TIE) | (exact < low - 1 - _TIE))).sum())
        integers = self.integers.arrange(self._unpacked(before)).astype(np.float64)
        integers = np.where(
            changed, np.clip(np.nan_to_num(whole, posinf=high, neginf=low), low, high), integers
        )
        unpacked = self.integers.write(self._unpacked(before), integers)
        arrays[self.integers.name] = self._repacked(unpacked)
        return Written(arrays, grown, clipped)

    def touched(self, name: str, differs: np.ndarray) -> np.ndarray:
        """Which floats may differ if these elements of the stored tensor `name` do; broadcasts to them."""
        found = np.zeros((1,) * len(self.integers.shape), bool)
        if name == self.integers.name:
            flat = differs if self.packed is None else np.repeat(differs.reshape(-1), 2)
            found = self.integers.arrange(flat.reshape(self.integers.stored_shape))
        for scale in self.scales:
            if name == scale.name:
                found = found | scale.arrange(differs)
        return found

    def _scale(self, stored: Lookup) -> np.ndarray:
        product = np.ones((), np.float64)
        for scale in self.scales:
            product = product * scale.arrange(stored(scale.name).astype(np.float64))
        return product

    def _grown(
        self, scale: np.ndarray, wanted: np.ndarray, changed: np.ndarray, limits: tuple[float, float]
    ) -> np.ndarray:
        """The scale, larger where a changed value lies more than a step outside; a sign stays."""
        low, high = limits
        zero = self.zero.astype(np.float64)
        step = self.scales[0].arrange(scale).astype(np.float64)
        room = np.where((wanted > 0) == (step >= 0), high - zero, zero - low)  # in steps
        outside = changed & (np.abs(wanted) > (room + 1 + _TIE) * np.abs(step)) & (room > 0)
        if not outside.any():
            return scale
        places = np.broadcast_to(self.scales[0].positions, wanted.shape)
        old = scale.astype(np.float64).reshape(-1)
        needed = np.abs(old)
        np.maximum.at(
            needed, places[outside], np.abs(wanted[outside]) / np.broadcast_to(room, wanted.shape)[outside]
        )
        # A hair more than needed, so that the rounding to the scale's type does not take it back.
        needed *= 1 + 4 * float(ml_dtypes.finfo(scale.dtype).eps)  # type: ignore[no-untyped-call]
        grown = np.where(needed > np.abs(old) * (1 + _TIE), np.copysign(needed, old), old)
        return grown.astype(scale.dtype).reshape(scale.shape)

    def _limits(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        """The least and the greatest value that may be stored."""
        if self.packed is not None:
            return 0.0, 15.0
        if _is_float(dtype):
            largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
            return -largest, largest
        known = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
        part = 2 if dtype == _ACCUMULATOR else 1
        return float(known.min // part), float(known.max // part)

    def _unpacked(self, stored: np.ndarray) -> np.ndarray:
        if self.packed is None:
            return stored
        halves = np.stack([stored & 0xF, stored >> 4], axis=-1)
        return halves.reshape(self.integers.stored_shape)

    def _repacked(self, integers: np.ndarray) -> np.ndarray:
        if self.packed is None:
            return integers
        halves = integers.reshape(-1, 2)
        return (halves[:, 0] | halves[:, 1] << 4).astype(np.uint8).reshape(self.packed)


def _is_float(dtype: np.dtype[Any]) -> bool:
    """float8, which some files use like integers."""
    return dtype.name.startswith("float")
