"""Inputs, and what is at each of their places."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from onnxunlearn.errors import InputError
from onnxunlearn.probes.labels import Labels
from onnxunlearn.probes.probes import Probes

#: in `Scenes.truth`: nobody says what is there
NOTHING_SAID = -1
#: what annotations write there: of masks that are bytes, and of tags
_IGNORED = (255, -100, NOTHING_SAID)


@dataclass(frozen=True, eq=False)
class Scenes:
    """probes: the inputs, without classes. truth: the class (a column of the scores) at each place, int32
    [N, *map], NOTHING_SAID where it is not known; None where only the model can say. given: whether the user
    said it. maps: what the model says, likewise, once that is known."""

    probes: Probes
    truth: np.ndarray | None
    given: bool
    maps: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.probes)

    def select(self, which: ArrayLike) -> "Scenes":
        """Those at these indices, or where a mask holds."""
        index = np.asarray(which)
        index = index if index.size else index.astype(np.intp)  # an empty list is float to numpy
        truth, maps = (None if a is None else a[index] for a in (self.truth, self.maps))
        return replace(self, probes=self.probes.select(index), truth=truth, maps=maps)

    def said(self, maps: np.ndarray) -> "Scenes":
        """With what a model says, [N, *map], which is what is where if nobody said it.

        Of maps that are a whole number of times as large, what is in the middle of each place is there; what
        an attention mask leaves out is no place. Raises InputError where their own maps are of another size.
        """
        given = None if self.truth is None else _thinned(self.truth, maps.shape)
        if given is not None and given.shape != maps.shape:
            source = self.probes.source
            own, wanted = (" × ".join(map(str, shape[1:])) for shape in (given.shape, maps.shape))
            raise InputError(
                f"{source}: its masks are {own}, the model says {wanted} places; give masks of that size, or "
                "a whole number of times as large"
            )
        truth = np.array(maps if given is None else given, np.int32)
        for mask in _masks(self.probes.feeds, truth.shape):
            truth[mask == 0] = NOTHING_SAID
        return replace(self, truth=truth, maps=maps)

    def counts(self, classes: int) -> np.ndarray:
        """Places of each class, int [classes]."""
        assert self.truth is not None
        return np.bincount(self.truth[self.truth >= 0], minlength=classes)

    def showing(self, classes: tuple[int, ...]) -> np.ndarray:
        """Which of them show one of these classes somewhere, bool [N]."""
        assert self.truth is not None
        return np.asarray(np.isin(self.truth, classes).reshape(len(self), -1).any(axis=1))


def as_truth(values: np.ndarray, labels: Labels, source: str) -> np.ndarray:
    """Maps of class numbers as a user gives them, of the columns, int32. Raises InputError for a number that
    is no class."""
    if values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    if values.dtype.kind not in "iu":
        raise InputError(f"{source}: what is where must be class numbers, not {values.dtype}; give integers")
    numbers = np.unique(values)
    columns = labels.columns(numbers)
    ignored = np.isin(numbers, _IGNORED) & (columns < 0)
    if (unknown := numbers[(columns < 0) & ~ignored]).size:
        raise InputError(
            f"{source}: holds the class {int(unknown[0])}, expected {labels.expected}; 255 or -100 where "
            "nothing is said"
        )
    table = np.where(ignored, NOTHING_SAID, columns).astype(np.int32)
    return np.asarray(table[np.searchsorted(numbers, values)])


def one_of_several(values: np.ndarray) -> np.ndarray:
    """Of maps that say of each class whether it is there, 0 or 1 [N, classes, *places]: the class, int32 [N,
    *places]; one more than there are where none is, NOTHING_SAID where several are."""
    count = values.sum(axis=1, dtype=int)
    found = np.where(count == 1, values.argmax(axis=1), values.shape[1])
    return np.where(count > 1, NOTHING_SAID, found).astype(np.int32)


def _thinned(truth: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Every so manieth place of maps that are larger than `shape`; as they are where that does not fit."""
    if truth.ndim != len(shape) or any(own % wanted for own, wanted in zip(truth.shape, shape, strict=True)):
        return truth
    steps = [own // wanted for own, wanted in zip(truth.shape, shape, strict=True)]
    return truth[tuple(slice(step // 2, None, step) for step in steps)]


def _masks(feeds: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> list[np.ndarray]:
    """Inputs that say which tokens count: named so, 0 or 1."""
    return [
        values
        for name, values in feeds.items()
        if "mask" in name.lower() and values.shape == shape and np.isin(values, (0, 1)).all()
    ]
