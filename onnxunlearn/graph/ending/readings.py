"""What can be said of a tensor at the end of a classifier, in terms of its class scores z."""

from dataclasses import dataclass, field, replace
from math import log

from onnxunlearn.graph.ending.columns import Base, Columns
from onnxunlearn.graph.ending.curves import EXP, Curve


@dataclass(frozen=True)
class Plain:
    """Just itself: nothing is known of how it was made.

    same: the first tensor that holds the same numbers, maybe in another shape. positive: whether none is
    below 0. lost: the node at which what was known of the scores got lost, and what that was.
    """

    tensor: str
    same: str
    positive: bool = False
    lost: str | None = None


@dataclass(frozen=True)
class Square:
    """x² of each element of a tensor x."""

    of: str


@dataclass(frozen=True)
class Row:
    """One number a sample: it cannot tell classes apart.

    positive: whether it is above 0. Of what it is made: sums and logs name the z of whose Σeᶻ, and of whose
    log Σeᶻ; norms the tensors x of whose Σx².
    """

    positive: bool = False
    sums: frozenset[Base] = frozenset()
    logs: frozenset[Base] = frozenset()
    norms: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Uniform:
    """A constant with one value."""

    value: float


@dataclass(frozen=True)
class Embedding:
    """A tensor whose samples are scaled to length 1, times a constant. by: the node that does it."""

    of: str
    by: str


@dataclass(frozen=True, eq=False)
class Scores:
    """y = f(eᶻ) or, with `log`, y = log f(eᶻ), each class for itself; z are columns of tensors of the graph.

    f is the exponential at first, so that log f(eᶻ) is z itself. rows: where a number was added to y (or with
    which it was multiplied) that differs from sample to sample but not from class to class: a maximum, a sum.
    normalised: whether the f of all z of a sample add up to 1, though not all may be in y. axis: that of the
    classes, where it is known. notes: what else was done that leaves the order of classes alone, in words.
    """

    columns: Columns
    curve: Curve = EXP
    log: bool = True
    rows: frozenset[str] = frozenset()
    normalised: bool = False
    axis: int | None = None
    notes: tuple[str, ...] = field(default=())

    @property
    def pure(self) -> bool:
        """Whether f is the exponential."""
        return self.curve == EXP

    @property
    def linear(self) -> bool:
        """Whether y is z, but for `rows`."""
        return self.log and self.pure

    @property
    def is_positive_log(self) -> bool:
        """Whether y is above 0 though it is a logarithm, as Softplus is: log(1 + eᶻ)."""
        curve = self.curve
        return self.log and not self.rows and curve.a > 0 and curve.c == 0 and curve.b >= curve.d > 0

    @property
    def bases(self) -> frozenset[Base]:
        return frozenset(self.columns.terms)

    def noted(self, note: str) -> "Scores":
        return replace(self, notes=(*self.notes, note))

    def settled(self) -> "Scores | None":
        """The same with a curve that rises, the exponential itself where it is one times a constant.

        None where no function of z says what a class gets: a sample's own number stands within it.
        """
        curve, columns = self.curve, self.columns
        if not curve.sound:
            return None
        if curve.falls:
            curve, columns = curve.of_negative(), columns.scaled(-1)
        if curve.is_exponential:
            columns, curve = columns.shifted(log(curve.a / curve.d)), EXP
        elif self.rows:
            return None
        return replace(self, curve=curve, columns=columns)


Reading = Plain | Square | Row | Uniform | Embedding | Scores
