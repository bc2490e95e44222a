"""Floats that a file stores as integers: w = s·(q − z), with one s and z for all, a channel or a block.

Reading gives w. Writing rounds new values into the integers that are there, with the scale and zero point
that are there. Only where clipping would lose more than a step of an edit does the scale grow, just so far
that the value fits, and the integers under it are rounded anew. Values that do not change keep their
integers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import ml_dtypes
import numpy as np

from onnxunlearn.graph.stored import StoredTensor

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

    integers: arranged as the floats are; or stored floats of which these are a part, without scales. scales:
    their product is the scale; each arranged so that it broadcasts to the floats. zero: likewise, or its
    values where they are not stored.
    """

    #: whether the file holds floats, and the graph rounds them
    by_the_graph: ClassVar[bool] = False
    integers: StoredTensor
    scales: tuple[StoredTensor, ...]
    zero: StoredTensor | np.ndarray = field(repr=False)

    @property
    def parts(self) -> list[StoredTensor]:
        """The stored tensors it is made of."""
        stored_zero = [self.zero] if isinstance(self.zero, StoredTensor) else []
        return [self.integers, *self.scales, *stored_zero]

    def part(self, start: int, stop: int) -> "Quantised":
        """Those of the floats from `start` to `stop` along the last axis, as a constant of its own."""

        def cut(array: np.ndarray) -> np.ndarray:
            return array if array.shape[-1:] in {(), (1,)} else array[..., start:stop]

        zero = self.zero.then(cut) if isinstance(self.zero, StoredTensor) else cut(self.zero)
        return Quantised(self.integers.then(cut), tuple(s.then(cut) for s in self.scales), zero)

    def decode(self, stored: Lookup) -> np.ndarray:
        """The floats, float32."""
        integers = self.integers.arrange(stored(self.integers.name))
        wide = np.float64 if integers.dtype.itemsize > 2 else np.float32
        centred = integers.astype(wide) - self._zero(stored).astype(wide)
        return np.asarray(centred * self._scale(stored), np.float32)

    def encode(self, stored: Lookup, wanted: np.ndarray, grow: bool, keep_length: bool = False) -> Written:
        """What to store so that `decode` gives `wanted`, as nearly as the type allows. grow: whether scale
        and zero point may change. keep_length: the zero point only to what takes as many bytes as a varint.
        """
        before = stored(self.integers.name)
        changed = wanted != self.decode(stored)
        if not changed.any():
            return Written({})
        limits = self._limits(before.dtype)
        arrays: dict[str, np.ndarray] = {}
        grown = 0
        if grow:
            arrays, grown = self._grown(stored, wanted, changed, limits, keep_length)
        scale, zero = self._scale(stored), self._zero(stored)
        if arrays:

            def stored_now(name: str) -> np.ndarray:
                return arrays[name] if name in arrays else stored(name)

            old, (scale, zero) = (scale, zero), (self._scale(stored_now), self._zero(stored_now))
            changed = changed | (scale != old[0]) | (zero != old[1])
        with np.errstate(divide="ignore", invalid="ignore"):
            exact = wanted / scale + zero
        whole = exact if _is_float(before.dtype) else np.rint(exact)
        outside = (exact > limits[1] + 1 + _TIE) | (exact < limits[0] - 1 - _TIE)
        fitting = np.clip(np.nan_to_num(whole, posinf=limits[1], neginf=limits[0]), *limits)
        integers = np.where(changed, fitting, self.integers.arrange(before).astype(np.float64))
        arrays[self.integers.name] = self.integers.write(before, integers)
        return Written(arrays, grown, int((changed & outside).sum()))

    def touched(self, name: str, differs: np.ndarray) -> np.ndarray:
        """Which floats may differ if these elements of the stored tensor `name` do; broadcasts to them."""
        found = np.zeros((1,) * len(self.integers.shape), bool)
        for part in self.parts:
            if part.name == name:
                # Of a byte of two integers both count.
                found = found | part.arrange(differs.astype(np.uint8) * 0xFF if part.packed else differs) > 0
        return found

    def _scale(self, stored: Lookup) -> np.ndarray:
        product = np.ones((), np.float64)
        for scale in self.scales:
            product = product * scale.arrange(stored(scale.name).astype(np.float64))
        return product

    def _zero(self, stored: Lookup) -> np.ndarray:
        if isinstance(self.zero, StoredTensor):
            return self.zero.arrange(stored(self.zero.name)).astype(np.float64)
        return self.zero.astype(np.float64)

    def _limits(self, dtype: np.dtype[Any]) -> tuple[float, float]:
        """The least and the greatest value that may be stored."""
        if self.integers.packed:
            return 0.0, 15.0
        if _is_float(dtype):
            largest = float(ml_dtypes.finfo(dtype).max)  # type: ignore[no-untyped-call]
            return -largest, largest
        known = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
        part = 2 if dtype == _ACCUMULATOR else 1
        return float(known.min // part), float(known.max // part)

    def _grown(
        self,
        stored: Lookup,
        wanted: np.ndarray,
        changed: np.ndarray,
        limits: tuple[float, float],
        keep_length: bool,
    ) -> tuple[dict[str, np.ndarray], int]:
        """A larger scale where a changed value lies more than a step outside, and how many are larger.

        A scale keeps its sign. The zero point moves along where the file has one that is not 0: else a value
        on its short side would cost all the others their precision.
        """
        low, high = limits
        name = self.scales[0].name
        step, zero = self._scale(stored), self._zero(stored)
        room = np.where((wanted > 0) == (step >= 0), high - zero, zero - low)  # in steps
        outside = changed & (np.abs(wanted) > (room + 1 + _TIE) * np.abs(step))
        moves = (
            isinstance(self.zero, StoredTensor)
            and self.zero.shape == self.scales[0].shape
            and bool(stored(self.zero.name).any())
        )
        if not moves:
            outside &= room > 0
        if not outside.any():
            return {}, 0
        places = np.broadcast_to(self.scales[0].positions, wanted.shape)
        scale = stored(name)
        old = scale.astype(np.float64).reshape(-1)
        groups = np.zeros(old.size, bool)
        groups[places[outside]] = True
        within = groups[places]
        bottom, top = np.zeros(old.size), np.zeros(old.size)
        np.minimum.at(bottom, places[within], wanted[within])
        np.maximum.at(top, places[within], wanted[within])
        own = self.scales[0].positions
        if moves:
            before = None
            if keep_length:
                before = np.zeros(old.size)
                before[own] = zero
            needed, fresh = _covering(
                np.where(old >= 0, bottom, -top), np.where(old >= 0, top, -bottom), limits, before
            )
        else:
            needed = np.zeros(old.size)
            sizes = np.abs(wanted) / np.where(room > 0, room, np.inf)
            np.maximum.at(needed, places[outside], sizes[outside])
        # A hair more than needed, so that the rounding to the scale's type does not take it back.
        needed *= 1 + 4 * float(ml_dtypes.finfo(scale.dtype).eps)  # type: ignore[no-untyped-call]
        grown = np.where(groups, np.copysign(needed, old), old).astype(scale.dtype)
        arrays = {name: grown.reshape(scale.shape)}
        if moves:
            assert isinstance(self.zero, StoredTensor)
            arrays[self.zero.name] = self.zero.write(
                stored(self.zero.name), np.where(groups[own], fresh[own], zero)
            )
        return arrays, int(groups.sum())


@dataclass(frozen=True, eq=False)
class FakeQuantised(Quantised):
    """Stored floats that the graph itself quantises, as training with simulated quantisation leaves them.

    integers: those floats, which is where an edit is written. dtype: of the integers they are rounded to.
    """

    by_the_graph: ClassVar[bool] = True
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(np.int8))

    def decode(self, stored: Lookup) -> np.ndarray:
        floats = self.integers.arrange(stored(self.integers.name)).astype(np.float64)
        scale, zero = self._scale(stored), self._zero(stored)
        q = np.clip(np.rint(floats / scale) + zero, *self._limits(self.dtype))
        return np.asarray((q - zero) * scale, np.float32)

    def encode(self, stored: Lookup, wanted: np.ndarray, grow: bool, keep_length: bool = False) -> Written:
        before = stored(self.integers.name)
        changed = wanted != self.decode(stored)
        if not changed.any():
            return Written({})
        low, high = self._limits(self.dtype)
        exact = wanted / self._scale(stored) + self._zero(stored)
        outside = (exact > high + 1 + _TIE) | (exact < low - 1 - _TIE)
        floats = np.where(changed, wanted, self.integers.arrange(before))
        written = self.integers.write(before, floats)
        return Written({self.integers.name: written}, clipped=int((changed & outside).sum()))


def _covering(
    bottom: np.ndarray, top: np.ndarray, limits: tuple[float, float], zero: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Scale and zero point with which the integers within `limits` reach from `bottom` ≤ 0 to `top` ≥ 0.

    zero: a zero point that takes as many bytes as the new one must as a varint (128 takes two, 127 one; what
    is negative takes ten).
    """
    low, high = limits
    scale = (top - bottom) / (high - low)
    with np.errstate(divide="ignore", invalid="ignore"):
        best = np.clip(np.rint(low - np.where(scale > 0, bottom / scale, 0)), low, high)
        if zero is None:
            return scale, best
        length = np.ceil(np.log2(np.maximum(zero, 1) + 1) / 7)
        least = np.where(zero < 0, low, np.where(length > 1, 2 ** (7 * (length - 1)), 0))
        most = np.where(zero < 0, -1, 2 ** (7 * length) - 1)
        fresh = np.clip(best, np.maximum(least, low), np.minimum(most, high))
        wider = np.fmax(top / (high - fresh), -bottom / (fresh - low))  # 0/0 where nothing is on a side
    return np.where(fresh == best, scale, wider), fresh


def _is_float(dtype: np.dtype[Any]) -> bool:
    """float8, which some files use like integers."""
    return dtype.name.startswith("float")
