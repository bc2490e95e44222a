"""Places of one head that a descent looks at, and what enters its last layers there."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph.places import Cut
from onnxunlearn.methods.whole.heads import ASIDE, DOUBT, FORGET, HeadMap, places_of

#: places of background of an image: so many that come next to something, and as many others
_GROUND = 8
#: the least share of places that is kept where there are many
SHARE = 1 / 64
#: the chance below which nothing is at a place; what places are that are of no class, in `labels`
_NOTHING, GROUND = 0.05, -3


class Said(NamedTuple):
    """What is recorded of some images. labels: of `HeadMap`, of these. entered: maps, by tensor. scores:
    [n, places, columns]. there: the chance that anything is at a place, [n, places]. width: of the map."""

    labels: np.ndarray
    entered: Feeds
    scores: np.ndarray
    there: np.ndarray
    width: int


@dataclass(frozen=True, eq=False)
class Sampled:
    """rows: windows around the places, by tensor. labels: of each its class, FORGET, DOUBT or GROUND. there:
    the chance that anything is there, float32 [n]. images: which it is of, in the order in which they came,
    int [n]."""

    rows: Feeds = field(repr=False)
    labels: np.ndarray
    there: np.ndarray
    images: np.ndarray

    def select(self, which: np.ndarray) -> "Sampled":
        """Some of them, bool [n]."""
        rows = {name: values[which] for name, values in self.rows.items()}
        return Sampled(rows, self.labels[which], self.there[which], self.images[which])

    @property
    def own(self) -> np.ndarray:
        """Places to forget."""
        return np.flatnonzero(self.labels == FORGET)

    @property
    def things(self) -> np.ndarray:
        """Places of classes to retain."""
        return np.flatnonzero(self.labels >= 0)

    @property
    def doubtful(self) -> np.ndarray:
        """Places of background, and those in doubt."""
        return np.flatnonzero((self.labels == DOUBT) | (self.labels == GROUND))

    @property
    def kinds(self) -> list[np.ndarray]:
        """Places to retain, in three kinds: of things, in doubt, of background."""
        return [self.things, *(np.flatnonzero(self.labels == kind) for kind in (DOUBT, GROUND))]

    @property
    def others(self) -> np.ndarray:
        """All but those to forget."""
        return np.flatnonzero(self.labels != FORGET)


@dataclass(eq=False)
class Room:
    """Places of images that come one after another. size: bytes of their windows at most; where they are
    more, half of what is not to be forgotten goes, by chance, and of what comes as much is to be left out: so
    all images count, the last as much as the first. least: the share that is kept however much it is. share:
    that stays."""

    size: int
    rng: np.random.Generator
    least: float = 0.0
    share: float = 1.0
    parts: list[Sampled] = field(default_factory=list)

    def add(self, some: Sampled) -> None:
        self.parts.append(some)
        taken = sum(values.nbytes for part in self.parts for values in part.rows.values())
        if taken > self.size and self.share > self.least:
            self.share /= 2
            self.parts = [
                part.select((part.labels == FORGET) | (self.rng.random(len(part.labels)) < 0.5))
                for part in self.parts
            ]

    def emptied(self) -> Sampled:
        """All of them; nothing is left here."""
        parts, self.parts = self.parts, []
        rows = {name: np.concatenate([part.rows[name] for part in parts]) for name in parts[0].rows}
        told = zip(*((p.labels, p.there, p.images) for p in parts), strict=True)
        return Sampled(rows, *(np.concatenate(each) for each in told))


@dataclass(eq=False)
class Sampling:
    """Windows around places of images that come one after another. count: of images that came."""

    told: HeadMap
    cut: Cut
    forget: Sequence[int]
    room: Room
    rng: np.random.Generator
    count: int = 0

    def add(self, some: Said) -> None:
        """Of some images."""
        own = _named(self.told, some, self.forget)
        top = _top(self.told, some, self.forget)
        chosen = _chosen(some, own, top, self.cut.margin, self.rng)
        if self.room.share < 1:
            chosen &= (own == FORGET) | (self.rng.random(own.shape) < self.room.share)
        where = places_of(chosen)
        rows = {name: self.cut.windows(name, some.entered[name], where) for name in self.cut.reaches}
        there = some.there[where].astype(np.float32)
        self.room.add(Sampled(rows, own[where], there, self.count + where[0]))
        self.count += len(own)


def _top(told: HeadMap, some: Said, forget: Sequence[int]) -> np.ndarray:
    """The largest score of a class to retain, [n, places], before the normaliser."""
    columns = [
        column for way in told.ways for c, column in enumerate(way) if c not in (*forget, told.background)
    ]
    return np.asarray(some.scores[..., columns].max(axis=-1))


def _named(told: HeadMap, some: Said, forget: Sequence[int]) -> np.ndarray:
    """What is said at the places, where in doubt whether there is anything nothing is."""
    ground = some.labels == (GROUND if told.background is None else told.background)
    if told.sigmoid:
        ground |= (some.labels == DOUBT) & (expit(_top(told, some, forget)) * some.there < _NOTHING)
    return np.where(ground, GROUND, some.labels)


def _chosen(
    some: Said, labels: np.ndarray, top: np.ndarray, margin: int, rng: np.random.Generator
) -> np.ndarray:
    """Places that are looked at, bool [n, places], clear of the border."""
    places = np.arange(labels.shape[1])
    y, x, height = places // some.width, places % some.width, labels.shape[1] // some.width
    clear = (np.minimum(y, height - 1 - y) >= margin) & (np.minimum(x, some.width - 1 - x) >= margin)
    found = clear & (labels != ASIDE) & (labels != GROUND)
    for own, ground, score in zip(found, clear & (labels == GROUND), top, strict=True):
        every = np.flatnonzero(ground)
        own[every[np.argsort(-score[every], kind="stable")[:_GROUND]]] = True
        own[rng.permutation(every)[:_GROUND]] = True
    return found
