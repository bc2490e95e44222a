"""Places of one head that a descent looks at, and what enters its last layers there."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph.places import Cut
from onnxunlearn.methods.whole.heads import ASIDE, DOUBT, FORGET, HeadMap, places_of

#: places of background of an image: so many that come next to something, and as many others
_GROUND = 8
#: the chance below which nothing is at a place; what places are that are of no class, in `labels`
_NOTHING, GROUND = 0.05, -3
#: bytes of the windows of one head at most
_BYTES = 1 << 29


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
    the chance that anything is there, float32 [n]."""

    rows: Feeds = field(repr=False)
    labels: np.ndarray
    there: np.ndarray

    @classmethod
    def of(
        cls,
        told: HeadMap,
        cut: Cut,
        said: Iterable[Said],
        forget: Sequence[int],
        rng: np.random.Generator,
    ) -> "Sampled":
        """Of so many images as there is room for."""
        rows: dict[str, list[np.ndarray]] = {name: [] for name in cut.reaches}
        labels, there, room = list[np.ndarray](), list[np.ndarray](), _BYTES
        for some in said:
            own = _named(told, some, forget)
            where = places_of(_chosen(some, own, _top(told, some, forget), cut.margin, rng))
            for name, parts in rows.items():
                parts.append(cut.windows(name, some.entered[name], where))
                room -= parts[-1].nbytes
            labels.append(own[where])
            there.append(some.there[where])
            if room < 0:
                break
        joined = {name: np.concatenate(parts) for name, parts in rows.items()}
        return cls(joined, np.concatenate(labels), np.concatenate(there).astype(np.float32))

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
