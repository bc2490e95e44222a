"""A weight as its node reads it, and in the canonical layout: two reshapes with a transposition between."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Protocol, Self, TypeVar

#: ("reshape", sizes) or ("transpose", order of the axes)
Move = tuple[str, tuple[int, ...]]


class Movable(Protocol):
    """An array, or an expression that stands for one."""

    def reshape(self, shape: Sequence[int], /) -> Self: ...

    def transpose(self, axes: Sequence[int], /) -> Self: ...


M = TypeVar("M", bound=Movable)


@dataclass(frozen=True)
class Arrangement:
    """operand: shape as the node reads it. split, order: what it is reshaped to, and how those axes are then
    permuted. canonical: [outputs, inputs / groups, *kernel], what that is reshaped to."""

    operand: tuple[int, ...]
    split: tuple[int, ...]
    order: tuple[int, ...]
    canonical: tuple[int, ...]

    def __post_init__(self) -> None:
        assert prod(self.operand) == prod(self.split) == prod(self.canonical)

    @classmethod
    def unchanged(cls, shape: Sequence[int]) -> "Arrangement":
        """Of a node that reads the canonical layout."""
        return cls(tuple(shape), tuple(shape), tuple(range(len(shape))), tuple(shape))

    @classmethod
    def turned(cls, shape: Sequence[int]) -> "Arrangement":
        """Of a node that reads [inputs, outputs]."""
        inputs, outputs = shape
        return cls((inputs, outputs), (inputs, outputs), (1, 0), (outputs, inputs))

    @property
    def inward(self) -> list[Move]:
        """What leads from the operand to the canonical layout."""
        return _needed(self.operand, [("reshape", self.split), ("transpose", self.order)], self.canonical)

    @property
    def outward(self) -> list[Move]:
        """And back."""
        permuted = tuple(self.split[i] for i in self.order)
        back = tuple(self.order.index(i) for i in range(len(self.order)))
        return _needed(self.canonical, [("reshape", permuted), ("transpose", back)], self.operand)

    def to_canonical(self, operand: M) -> M:
        """Any array (or expression) of the operand's shape."""
        return _moved(operand, self.inward)

    def to_operand(self, canonical: M) -> M:
        """Any array (or expression) of the canonical shape."""
        return _moved(canonical, self.outward)


def _needed(shape: tuple[int, ...], moves: Sequence[Move], end: tuple[int, ...]) -> list[Move]:
    """The moves that change something, and a last one to the shape `end`."""
    kept: list[Move] = []
    for kind, numbers in (*moves, ("reshape", end)):
        idle = numbers == (shape if kind == "reshape" else tuple(range(len(shape))))
        shape = numbers if kind == "reshape" else tuple(shape[i] for i in numbers)
        if not idle:
            kept.append((kind, numbers))
    return kept


def _moved(value: M, moves: Sequence[Move]) -> M:
    for kind, numbers in moves:
        value = value.reshape(numbers) if kind == "reshape" else value.transpose(numbers)
    return value
