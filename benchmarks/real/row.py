"""What a row of the table is made from."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Samples:
    """Inputs of a model and what they are. Arrays are written where they are made: they are large.

    probes: file with x and y, what the user gives. unseen: file with x and y, by which the edit is judged;
    y is −1 where nobody said what it is. forget: the class. retain: file with x, inputs that nobody named.
    """

    probes: Path
    unseen: Path
    forget: int
    retain: Path | None = None


@dataclass(frozen=True)
class Real:
    """A row. model: makes the file. samples: makes the inputs, from the model and the folder of images.
    asked: whether it is measured only when it is named."""

    name: str
    what: str
    model: Callable[[Path], Path]
    samples: Callable[[Path, Path, Path | None], Samples]
    images: bool = False
    asked: bool = False


@dataclass(frozen=True)
class Kinds:
    """Which unseen samples are which, bool [N]. own: of the class. shown, others: of retained classes with a
    probe, and without. unknown: of which nobody said what they are."""

    own: np.ndarray
    shown: np.ndarray
    others: np.ndarray
    unknown: np.ndarray = field(repr=False)

    @classmethod
    def of(cls, unseen: np.ndarray, probes: np.ndarray, forget: int) -> "Kinds":
        """unseen, probes: their classes."""
        own, known = unseen == forget, unseen >= 0
        shown = known & ~own & np.isin(unseen, probes)
        return cls(own, shown, known & ~own & ~shown, ~known)
