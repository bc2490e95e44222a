"""The loss at the last map in front of all heads: there the class becomes like others.

Queries look at a map, and whoever fine-tunes starts from it. A place of a head does not say where its object
is seen, a box does: the middle of each of the class's is drawn, window by window, to the middles of objects
that the original takes it for next, and all that no box of the class covers is pinned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph import Model
from onnxunlearn.methods.kept import JOINED
from onnxunlearn.methods.whole.heads import ASIDE, FORGET, places_of
from onnxunlearn.methods.whole.pull import Pull
from onnxunlearn.methods.whole.spots import Spots
from onnxunlearn.reverse.bottlenecks import bottlenecks

#: cells around one that are looked at together
_WINDOW = (3, 3)
#: of the mean deviation of a map's channels, added to each
_LEAST_UNIT = 0.1


@dataclass(frozen=True, eq=False)
class Shown:
    """What is where in each image, int [N, rows, columns], evenly spread over it. labels: in the middle of an
    object its class or FORGET, ASIDE elsewhere in one to forget, else -3. near: in the middle of one to
    forget the class that it is to be like."""

    labels: np.ndarray
    near: np.ndarray

    def at(self, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        """Both at the cells of a map, [N, cells]."""
        rows, columns = (
            ((np.arange(n) + 0.5) * size / n).astype(int)
            for n, size in zip((height, width), self.labels.shape[1:], strict=True)
        )
        own = (each[:, rows[:, None], columns] for each in (self.labels, self.near))
        labels, near = (each.reshape(len(each), -1) for each in own)
        return labels, near


def last_map(model: Model, shapes: Mapping[str, tuple[int, ...]]) -> list[str]:
    """The last through which all goes, if there is one. shapes: of tensors, of an image."""
    inputs = {i.name for i in model.inputs}
    found = [name for name, _ in bottlenecks(model, JOINED) if name not in inputs]
    return [n for n in found if len(shape := shapes[n]) == 3 and min(shape[1:]) >= max(_WINDOW)][-1:]


@dataclass(eq=False)
class MapLoss:
    """unit: what each channel counts in. labels, near: of `Shown`, at its cells."""

    spots: Spots
    unit: np.ndarray
    labels: np.ndarray
    near: np.ndarray
    pull: Pull

    @classmethod
    def of(
        cls,
        tensor: str,
        shown: Shown,
        values: np.ndarray,
        slices: int,
        rng: np.random.Generator,
    ) -> "MapLoss | None":
        """values: of some images, the first of `shown`. None where they show none to forget, or no other."""
        labels, near = shown.at(*values.shape[2:])
        spots, first = Spots(tensor, _WINDOW), labels[: len(values)]
        unit = values.std(axis=(0, 2, 3))
        unit = unit + _LEAST_UNIT * float(np.sqrt(np.mean(unit**2))) + 1e-12
        made = cls(spots, unit, labels, near, Pull({}, slices, rng))
        where = places_of(first >= 0)
        rows, classes = made._rows(values, where), first[where]
        pool = {int(c): rows[classes == c] for c in np.unique(classes)}
        own = places_of(first == FORGET)
        if not pool or not len(own[0]):
            return None
        known = np.array(sorted(pool))
        made.near = np.where(np.isin(near, known), near, known[0])
        made.pull = Pull(pool, slices, rng)
        made.pull.count_from(made._rows(values, own), made.near[: len(values)][own])
        return made

    def begin(self) -> None:
        """Nothing was seen yet but the original."""
        self.pull.begin()

    def __call__(
        self,
        images: np.ndarray,
        values: np.ndarray,
        before: np.ndarray,
        beta: float,
        pinned: float,
        signal: np.ndarray,
    ) -> tuple[float, float]:
        """Pins, weighed, and what is left of the distance; the gradient of both is added to `signal`. images:
        which they are, int [n]; values, before: the map in them, and what it was."""
        labels = self.labels[images]
        unit = self.unit[:, None, None]
        kept = ((labels != FORGET) & (labels != ASIDE)).reshape(len(images), 1, *values.shape[2:])
        moved = kept * (values - before) / unit
        count = max(int(kept.sum()), 1) * len(self.unit)
        signal += 2 * pinned / count * moved / unit
        retained, own = places_of(labels >= 0), places_of(labels == FORGET)
        self.pull.follow(self._rows(values, retained), labels[retained])
        distance = 0.0
        if len(own[0]):
            distance, slope = self.pull.distance(self._rows(values, own), self.near[images][own])
            self.spots.add(signal, own, (beta * slope / self._window_unit).astype(np.float32))
        return pinned * float(np.sum(moved**2)) / count, distance

    @property
    def _window_unit(self) -> np.ndarray:
        return np.repeat(self.unit, _WINDOW[0] * _WINDOW[1])

    def _rows(self, values: np.ndarray, where: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(self.spots.rows(values, (where[0], where[1])) / self._window_unit)
