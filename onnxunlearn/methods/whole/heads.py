"""The loss at one head of a detector: the class's places become like those of others, these stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from onnxunlearn.methods.erase.readout import felt, read_directions
from onnxunlearn.methods.whole.pull import Pull
from onnxunlearn.methods.whole.spots import Spots, Where
from onnxunlearn.numerics import log_softmax

#: what is known of a place besides its class: a class to forget is said there; it is in doubt what is; or
#: nothing is asked there
FORGET, DOUBT, ASIDE = -2, -1, -4
#: of the features' mean deviation, added to each: one that hardly moves must not count as much as the others
_LEAST_UNIT = 0.1
#: how much it counts that features change where no retained row reads them. With less the others and the
#: class move there together, and parts of the way cost more than the whole
UNREAD = 0.3


@dataclass(frozen=True, eq=False)
class HeadMap:
    """Where a head says what. scores: its tensor, classes along `axis`. ways: of each anchor its columns,
    class by class. sigmoid: whether each class decides for itself. labels: what the original says at each
    place of each image, int [N, places], places row by row: a class, FORGET, DOUBT or ASIDE. background: the
    class that is none; it may be no column."""

    scores: str
    axis: int
    ways: tuple[tuple[int, ...], ...]
    sigmoid: bool
    labels: np.ndarray
    background: int | None

    def rows(self, scores: np.ndarray) -> np.ndarray:
        """Scores as [N, places, columns]."""
        last = np.moveaxis(scores, self.axis, -1)
        return last.reshape(len(last), -1, last.shape[-1])

    def back(self, rows: np.ndarray, like: np.ndarray) -> np.ndarray:
        """The gradient at the scores from that at their rows."""
        shape = np.moveaxis(like, self.axis, -1).shape
        return np.moveaxis(rows.reshape(shape), -1, self.axis)

    def next_best(self, scores: np.ndarray, forget: Sequence[int]) -> np.ndarray:
        """The class of things that is said most but for those to forget, int [N, places]."""
        rows = self.rows(scores)
        found = []
        for columns in self.ways:
            own = rows[..., list(columns)].copy()
            left_out = [*forget, *([] if self.background is None else [self.background])]
            own[..., [c for c in left_out if c < own.shape[-1]]] = -np.inf
            found.append(own)
        return np.asarray(np.max(found, axis=0).argmax(axis=-1))


class Drawn(NamedTuple):
    """The part of the loss that is of features, see `Terms`."""

    pins: float
    distance: float
    at_features: np.ndarray


class Terms(NamedTuple):
    """The loss in its parts: pins (of features and scores), and how much of the distance is left; its
    gradients at features and scores, the distance's weighed."""

    pins: float
    distance: float
    at_features: np.ndarray
    at_scores: np.ndarray


@dataclass(eq=False)
class HeadLoss:
    """unit: what each number that is read counts in. read: what the head's retained rows read of it, a basis.
    near: by place to forget the class that it is to be like, int [N, places]. pull: what draws it there, None
    where there is no other class."""

    told: HeadMap
    spots: Spots
    forget: tuple[int, ...]
    unit: np.ndarray
    read: np.ndarray
    near: np.ndarray
    pull: Pull | None
    rng: np.random.Generator

    @classmethod
    def of(
        cls,
        told: HeadMap,
        spots: Spots,
        weight: np.ndarray | None,
        forget: tuple[int, ...],
        features: np.ndarray,
        near: np.ndarray,
        slices: int,
        rng: np.random.Generator,
    ) -> "HeadLoss":
        """features: what is read at the places of `things`, in their order. weight: the head's own, None of
        what no head reads."""
        where = things(told)
        unit, read = units(told, features, weight, forget)
        labels = told.labels[where]
        pool = {int(c): features[labels == c] / unit for c in np.unique(labels[labels >= 0])}
        known = np.array(sorted(pool))
        if len(known):  # of a class that is nowhere nothing is known; any other is nearer
            near = np.where(np.isin(near, known), near, known[0])
        pull = Pull(pool, slices, rng) if pool else None
        own = labels == FORGET
        if pull is not None and own.any():
            pull.count_from(features[own] / unit, near[where[0][own], where[1][own]])
        return cls(told, spots, forget, unit, read, near, pull, rng)

    def begin(self) -> None:
        """Nothing was seen yet but the original."""
        if self.pull is not None:
            self.pull.begin()

    def __call__(
        self,
        images: np.ndarray,
        features: np.ndarray,
        scores: np.ndarray,
        features_before: np.ndarray,
        scores_before: np.ndarray,
        beta: float,
        kappa: float,
    ) -> Terms:
        """images: which they are, int [n]; the others: what is read and said in them, and what was."""
        drawn = self.drawn(images, features, features_before, beta)
        of_scores, at_rows = self._divergence(
            self.told.rows(scores), self.told.rows(scores_before), self.told.labels[images]
        )
        at_scores = self.told.back(kappa * at_rows, scores)
        return Terms(drawn.pins + kappa * of_scores, drawn.distance, drawn.at_features, at_scores)

    def drawn(self, images: np.ndarray, features: np.ndarray, before: np.ndarray, beta: float) -> Drawn:
        """The part of the loss that is of what is read."""
        labels = self.told.labels[images]
        at_features = np.zeros_like(features)
        distance = 0.0
        pinned = self.pinned(labels)
        now = self.spots.rows(features, pinned)
        forgotten = places_of(labels == FORGET)
        if self.pull is not None:
            self.pull.follow(now / self.unit, labels[pinned])
            if len(forgotten[0]):
                rows = self.spots.rows(features, forgotten) / self.unit
                distance, slope = self.pull.distance(rows, self.near[images][forgotten])
                self.spots.add(at_features, forgotten, beta * slope / self.unit)
        moved = now - self.spots.rows(before, pinned)
        weighted = felt(moved / self.unit, self.read, UNREAD)
        self.spots.add(at_features, pinned, 2 / max(moved.size, 1) * weighted / self.unit)
        of_features = float(np.sum(moved / self.unit * weighted)) / max(moved.size, 1)
        return Drawn(of_features, distance, at_features)

    def pinned(self, labels: np.ndarray) -> Where:
        """Places whose features are pinned: of things retained, and as many of background."""
        ground = -3 if self.told.background is None else self.told.background
        here, empty = places_of((labels >= 0) & (labels != ground)), places_of(labels == ground)
        count = min(len(empty[0]), max(len(here[0]), 1))
        chosen = self.rng.choice(len(empty[0]), count, replace=False) if count else np.empty(0, int)
        return np.concatenate([here[0], empty[0][chosen]]), np.concatenate([here[1], empty[1][chosen]])

    def _divergence(
        self, scores: np.ndarray, before: np.ndarray, labels: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """Σ KL of the retained classes' probabilities at all places where none to forget is said, by the
        number of things retained, and its gradient. scores, before: [n, places, columns]."""
        ground = self.told.background
        count = max(int(((labels >= 0) & (labels != ground)).sum()), 1)
        kept = (labels != FORGET) & (labels != ASIDE)
        total, gradient = divergence(self.told, self.forget, scores, before, kept)
        return total / count, (gradient / count).astype(np.float32)


def units(
    told: HeadMap, features: np.ndarray, weight: np.ndarray | None, forget: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """What each number that is read counts in, and what the head's retained rows read of it, a basis.
    features: at places of things. weight: the head's; None where none reads it."""
    unit = features.std(axis=0) if len(features) else np.ones(features.shape[1], np.float32)
    unit = unit + _LEAST_UNIT * float(np.sqrt(np.mean(unit**2))) + 1e-12
    if weight is None:
        return unit, np.zeros((0, len(unit)), np.float32)
    kept = [columns[c] for columns in told.ways for c in range(len(columns)) if c not in forget]
    return unit, read_directions(weight[kept].reshape(len(kept), -1), unit, shared=False)


def divergence(
    told: HeadMap, forget: Sequence[int], scores: np.ndarray, before: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Σ KL of the retained classes' probabilities, and its gradient, float64. scores, before: [..., columns].
    weight: how much each row counts, [...]."""
    gradient, total = np.zeros(scores.shape), 0.0
    for columns in told.ways:
        own = [column for c, column in enumerate(columns) if c not in forget]
        was, now = (each[..., own].astype(np.float64) for each in (before, scores))
        if told.sigmoid:
            p, q = _log_chances(was), _log_chances(now)
            terms = sum(np.exp(a) * (a - b) for a, b in zip(p, q, strict=True))
            slope = np.exp(q[0]) - np.exp(p[0])
        else:
            a, b = log_softmax(was), log_softmax(now)
            terms, slope = np.exp(a) * (a - b), np.exp(b) - np.exp(a)
        gradient[..., own] += weight[..., None] * slope
        total += float((weight[..., None] * terms).sum())
    return total, gradient


def things(told: HeadMap) -> Where:
    """Places at which something is said that is no background."""
    ground = -3 if told.background is None else told.background
    return places_of((told.labels != DOUBT) & (told.labels != ASIDE) & (told.labels != ground))


def places_of(which: np.ndarray) -> Where:
    """Those that hold, of bool [N, places]."""
    sample, place = np.nonzero(which)
    return sample, place


def _log_chances(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the probability of a class that decides for itself, and of its absence."""
    return -np.logaddexp(0, -scores), -np.logaddexp(0, scores)
