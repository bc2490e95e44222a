"""Tensors whose elements are numbers of another tensor, scaled and shifted: permuted, negated, cut."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

import numpy as np


class Base(NamedTuple):
    """Where numbers come from. how: "" for the tensor's own, "log" or "logit" for those of them."""

    tensor: str
    how: str = ""

    def __str__(self) -> str:
        return f"{self.how} {self.tensor}".strip()


@dataclass(frozen=True, eq=False)
class Columns:
    """Each element is Σ over bases of scale · base[index], + offset; arrays of the tensor's shape.

    The tensor is that of one batch, of as many samples as are baked into the model, or one. index: which
    number of the base's sample.
    """

    terms: Mapping[Base, tuple[np.ndarray, np.ndarray]]  # base → index (int), scale (float)
    offset: np.ndarray

    @classmethod
    def of(cls, base: Base, shape: Sequence[int], axis: int | None = None) -> "Columns":
        """The base's own tensor, samples first. axis: along which its numbers are counted; by default in the
        order in which a sample holds them."""
        if axis is None:
            index = np.broadcast_to(np.arange(prod(shape[1:])), (shape[0], prod(shape[1:]))).reshape(shape)
        else:
            across = [1] * len(shape)
            across[axis] = shape[axis]
            index = np.broadcast_to(np.arange(shape[axis]).reshape(across), shape)
        return cls({base: (index, np.ones(shape))}, np.zeros(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.offset.shape

    def scaled(self, factor: float | np.ndarray) -> "Columns":
        """Times constants, which broadcast."""
        shape = np.broadcast_shapes(self.shape, np.shape(factor))
        return Columns(
            {b: (np.broadcast_to(i, shape), np.asarray(s * factor)) for b, (i, s) in self.terms.items()},
            np.asarray(self.offset * factor),
        )

    def shifted(self, by: float | np.ndarray) -> "Columns":
        """Plus constants, which broadcast."""
        shape = np.broadcast_shapes(self.shape, np.shape(by))
        terms = {
            b: (np.broadcast_to(i, shape), np.broadcast_to(s, shape)) for b, (i, s) in self.terms.items()
        }
        return Columns(terms, np.asarray(self.offset + by))

    def arranged(self, positions: np.ndarray) -> "Columns":
        """positions: which element of this tensor, all in a row, each element of the new one is."""
        terms = {b: (i.reshape(-1)[positions], s.reshape(-1)[positions]) for b, (i, s) in self.terms.items()}
        return Columns(terms, self.offset.reshape(-1)[positions])

    def plus(self, other: "Columns") -> "Columns | None":
        """The sum; None where an element would be of two numbers of one base."""
        shape = np.broadcast_shapes(self.shape, other.shape)
        a, b = (part.shifted(np.zeros(shape)) for part in (self, other))
        terms = dict(a.terms)
        for base, (index, scale) in b.terms.items():
            if base in terms:
                known, own = terms[base]
                if np.any((known != index) & (own != 0) & (scale != 0)):
                    return None
                index, scale = np.where(own != 0, known, index), own + scale
            terms[base] = index, scale
        return Columns(terms, a.offset + b.offset)

    def collapsed(self, axes: Iterable[int], keepdims: bool) -> "Columns | None":
        """The mean, or the largest, along axes on which all elements are alike; None if they are not."""
        axes = tuple(axes)

        def first(array: np.ndarray) -> np.ndarray | None:
            head = array[tuple(slice(0, 1) if a in axes else slice(None) for a in range(array.ndim))]
            if not np.array_equal(np.broadcast_to(head, array.shape), array):
                return None
            return head if keepdims else head.squeeze(axes)

        terms = {}
        for base, (index, scale) in self.terms.items():
            i, s = first(index), first(scale)
            if i is None or s is None:
                return None
            terms[base] = i, s
        offset = first(self.offset)
        return None if offset is None else Columns(terms, offset)

    def sample(self) -> "Columns":
        """That of the first sample, in a row: [numbers a sample has]."""
        terms = {b: (i[0].reshape(-1), s[0].reshape(-1)) for b, (i, s) in self.terms.items()}
        return Columns({b: (i, s) for b, (i, s) in terms.items() if s.any()}, self.offset[0].reshape(-1))

    def is_whole(self, size: int) -> bool:
        """Of one sample in a row: whether it is the `size` numbers of its one base as they are."""
        if len(self.terms) != 1 or len(self.offset) != size or self.offset.any():
            return False
        ((index, scale),) = self.terms.values()
        return np.array_equal(index, np.arange(size)) and bool((scale == 1).all())


def joined(parts: Sequence[Columns], axis: int) -> Columns:
    """One behind another along an axis."""
    bases = dict.fromkeys(base for part in parts for base in part.terms)

    def of(part: Columns, base: Base) -> tuple[np.ndarray, np.ndarray]:
        nothing = np.zeros(part.shape, int), np.zeros(part.shape)
        return part.terms.get(base, nothing)

    terms = {
        base: (
            np.concatenate([of(part, base)[0] for part in parts], axis=axis),
            np.concatenate([of(part, base)[1] for part in parts], axis=axis),
        )
        for base in bases
    }
    return Columns(terms, np.concatenate([part.offset for part in parts], axis=axis))
