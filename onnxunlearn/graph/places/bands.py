"""The columns of one tensor, in bands: neighbours that come from the same layers by the same ops."""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from onnxunlearn.graph.places.trail import Layers, Trail, shape_of, trails
from onnxunlearn.graph.view import Model

#: numbers that a box is
SIDES = 4
#: columns that a place may have: more are places
_WIDEST = 8192


@dataclass(frozen=True, eq=False)
class Band:
    """Columns `start` to `stop` of a tensor; trails: one for each scale, in the order of places."""

    start: int
    stop: int
    trails: tuple[Trail, ...]

    @property
    def width(self) -> int:
        return self.stop - self.start

    @property
    def known(self) -> bool:
        """Whether it was followed to layers."""
        return all(trail.layer is not None for trail in self.trails)

    @property
    def are_scores(self) -> bool:
        """Whether nothing but a normaliser stands between layers and columns."""
        return self.known and all(t.whole for t in self.trails) and len({t.done for t in self.trails}) == 1

    @property
    def normaliser(self) -> str | None:
        """The same for all scales, if there is one."""
        found = {trail.normaliser for trail in self.trails}
        return found.pop() if len(found) == 1 else None

    @property
    def layers(self) -> frozenset[str]:
        return frozenset(trail.layer.key for trail in self.trails if trail.layer is not None)

    def part(self, start: int, stop: int) -> "Band":
        """Some of its columns, counted as those of the tensor; what a Softmax saw besides stays with them."""
        parts = []
        for trail in self.trails:
            own = (trail.columns < 0) | ((trail.columns >= start) & (trail.columns < stop))
            parts.append(replace(trail, index=trail.index[:, own], columns=trail.columns[own]))
        return Band(start, stop, tuple(parts))


@dataclass(frozen=True, eq=False)
class Said:
    """What a tensor says at places. output: of the graph, that it is or leads to. axis: of the columns.
    bands: from the first column to the last."""

    tensor: str
    output: str
    axis: int
    bands: tuple[Band, ...]

    @property
    def width(self) -> int:
        return self.bands[-1].stop

    def places(self, model: Model) -> tuple[int | None, ...]:
        """Sizes of all other axes but that of samples."""
        shape = shape_of(model, self.tensor) or ()
        return tuple(size for i, size in enumerate(shape) if i not in (0, self.axis))


def said_by(model: Model, layers: Layers, tensor: str, output: str, axis: int | None = None) -> Said | None:
    """What a tensor says at places; None of one that says nothing which layers make. axis: of the columns,
    where it is known; else the first along which neurons of layers are found."""
    shape = shape_of(model, tensor)
    if shape is None or len(shape) < 3:
        return None
    for each in range(1, len(shape)) if axis is None else (axis % len(shape),):
        size = shape[each]
        if size is None or size > _WIDEST:
            continue
        bands = _bands(trails(model, layers, tensor, each), size)
        if any(band.known for band in bands):
            return Said(tensor, output, each, bands)
    return _placed(model, layers, tensor, output, shape)


def _placed(
    model: Model, layers: Layers, tensor: str, output: str, shape: tuple[int | None, ...]
) -> Said | None:
    """Four numbers a place that are made of several, as the corners of a box are."""
    axis = next((a for a in (len(shape) - 1, 1) if shape[a] == SIDES), None)
    if axis is None:
        return None
    return Said(tensor, output, axis, (Band(0, SIDES, tuple(trails(model, layers, tensor, axis))),))


def _bands(found: list[Trail], width: int) -> tuple[Band, ...]:
    """Each column belongs to those trails that have it; neighbours of the same ones are a band."""
    member = np.zeros((len(found), width), bool)
    for i, trail in enumerate(found):
        member[i, trail.columns[trail.columns >= 0]] = True
    cuts = np.flatnonzero((member[:, 1:] != member[:, :-1]).any(axis=0)) + 1
    edges = [0, *cuts.tolist(), width]
    bands = []
    for start, stop in pairwise(edges):
        own = tuple(trail for i, trail in enumerate(found) if member[i, start])
        bands.append(Band(start, stop, own).part(start, stop))
    return tuple(bands)
