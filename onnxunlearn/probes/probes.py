"""Probes: inputs of the model, sample by sample, with or without their classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.unread import chained

#: in `Probes.pair`
OTHER = -2
#: beyond any class
_SHARED = 1 << 40


@dataclass(frozen=True, eq=False)
class Probes:
    """Inputs that the tool may look at; make them with `load_probes`.

    feeds: input name -> array, axis 0 counts samples; `Unread` where there are too many to be held. y: int64
    [N] class of each sample (the column of its score), or None. source: what the user gave, as messages name
    it. origin: the same for reports, JSON-ready, without folders and with digests, see `probes.origin`.
    labels: bool [N, classes], where a sample may have several classes or none; y is then None until
    `focused`. by_model: whether the classes are what the model says. made: bool [N], which samples no user
    gave but were made from the model (`probes.made`); None: no sample. shared: bool [N], which samples have
    what is to be forgotten where that is no class (`probes.shared`); y is then −1 where no class is known.
    guessed: bool [N], which classes are but what the model says, where those of others are known. pair: int
    [N], the same for two samples that differ in that alone, −1 for one without a partner, OTHER for
    one that is no example of what lacks it, but is to be retained. prepared: what made them of pictures, if
    it was done here and can be undone.
    """

    feeds: dict[str, np.ndarray]
    y: np.ndarray | None
    source: str
    labels: np.ndarray | None = None
    made: np.ndarray | None = None
    origin: Mapping[str, Any] = field(default_factory=dict)
    by_model: bool = False
    shared: np.ndarray | None = None
    pair: np.ndarray | None = None
    guessed: np.ndarray | None = None
    prepared: Preprocess | None = None

    def __len__(self) -> int:
        """The number of samples, N."""
        return len(next(iter(self.feeds.values())))

    @property
    def called(self) -> str:
        """What reports and their warnings call them: the source without its folder."""
        return str(self.origin.get("source", self.source))

    @property
    def labelled(self) -> bool:
        """Whether it is known what the samples are."""
        return self.y is not None or self.labels is not None

    def select(self, which: ArrayLike) -> "Probes":
        """The samples at integer indices, in that order, or those where a bool [N] mask holds.

        Raises IndexError if an index, or the mask's length, does not fit.
        """
        index = np.asarray(which)
        if not index.size:
            index = index.astype(np.intp)  # an empty list is float to numpy
        feeds = {name: array[index] for name, array in self.feeds.items()}
        marks = (self.y, self.labels, self.made, self.shared, self.pair, self.guessed)
        y, labels, made, shared, pair, guessed = (None if a is None else a[index] for a in marks)
        kept = replace(self, feeds=feeds, y=y, labels=labels, made=made)
        return replace(kept, shared=shared, pair=pair, guessed=guessed)

    @property
    def strata(self) -> np.ndarray:
        """What has to be on both sides of a split, int [N] ≥ 0: the class and, apart from it, whether a
        sample has what is to be forgotten; y must be known."""
        assert self.y is not None
        return self.y if self.shared is None else np.where(self.shared, _SHARED + 1 + self.y, self.y)

    def are(self, classes: Sequence[int]) -> np.ndarray:
        """Which samples are of these classes, bool [N]; y must be known."""
        assert self.y is not None
        return np.isin(self.y, classes)

    def of(self, classes: Sequence[int]) -> "Probes":
        """The samples of these classes; y must be known."""
        return self.select(self.are(classes))

    def counts(self, classes: int) -> np.ndarray:
        """Samples of each class, int [classes]; one of several classes counts for each of them, one that has
        what is to be forgotten for none."""
        if self.labels is not None:
            rows = self.labels if self.shared is None else self.labels[~self.shared]
            return np.asarray(rows.sum(axis=0))
        assert self.y is not None
        y = self.y if self.shared is None else self.y[~self.shared]
        return np.bincount(y, minlength=classes)

    def focused(self, forget: Sequence[int], scores: np.ndarray) -> "Probes":
        """With one class for each sample, of its several: one to forget if it has one, else that of its
        classes (of all, if it has none) with the largest score. scores: [N, classes]."""
        assert self.labels is not None
        forgotten = np.isin(np.arange(self.labels.shape[1]), forget)  # by class
        has = (self.labels & forgotten).any(axis=1, keepdims=True)
        none = ~self.labels.any(axis=1, keepdims=True)
        candidates = np.where(has, self.labels & forgotten, (self.labels | none) & ~forgotten)
        y = np.where(candidates, scores.astype(np.float64), -np.inf).argmax(axis=1)
        return replace(self, y=y.astype(np.int64))


def beside(first: Probes, others: Probes) -> Probes:
    """All samples of both, which may be held and have classes, in order; the rest is the first's."""
    assert first.y is not None
    assert others.y is not None
    feeds = {name: chained([value, others.feeds[name]]) for name, value in first.feeds.items()}
    labels, made = None, None
    if (wide := first.labels if others.labels is None else others.labels) is not None:
        rows = (
            np.eye(wide.shape[1], dtype=bool)[p.y] if p.labels is None else p.labels for p in (first, others)
        )
        labels = np.concatenate(list(rows))
    if first.made is not None:
        made = np.concatenate([first.made, np.zeros(len(others), bool)])
    guessed = None
    if others.by_model and not first.by_model:
        guessed = np.arange(len(first) + len(others)) >= len(first)
    y = np.concatenate([first.y, others.y])
    return replace(first, feeds=feeds, y=y, labels=labels, made=made, guessed=guessed)
