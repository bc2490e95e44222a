"""Finds what a detector says, by the structure of its graph."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np

from onnxunlearn.graph.layers import PRODUCTS, find_layers
from onnxunlearn.graph.places import steps as steps  # they register
from onnxunlearn.graph.places.bands import SIDES, Band, Said
from onnxunlearn.graph.places.detection import Detection, Part
from onnxunlearn.graph.places.kinds import Kinds, kinds_of
from onnxunlearn.graph.places.roots import at_outputs, in_front_of_choice, refuse_plug_ins
from onnxunlearn.graph.places.scores import Columns, Normaliser, PlaceScores
from onnxunlearn.graph.places.trail import Trail
from onnxunlearn.graph.view import Model

#: a bias below it is that of a class that is rarely there (Lin et al. 2017: −4.6), and decides for itself
_RARE = -2.0


def find_detection(model: Model, labels: Sequence[int] = ()) -> Detection | None:
    """What a detector says; None where the graph is no detector's, or it cannot be told.

    labels: how many classes have a name, by what is declared of them. Raises UnsupportedError for plug-ins.
    """
    refuse_plug_ins(model)
    layers = {layer.output: layer for layer in find_layers(model) if layer.kind in PRODUCTS}
    for look in (at_outputs, in_front_of_choice):
        for kinds in kinds_of(model, look(model, layers), labels):
            found = _detection(model, kinds, labels)
            if found is not None:
                return found
    return None


def _detection(model: Model, kinds: Kinds, labels: Sequence[int]) -> Detection | None:
    heads = [trail for _, band in kinds.classes for trail in band.trails]
    if any(trail.layer is None for trail in heads):
        return None
    read = _normaliser(model, kinds, labels)
    if read is None:
        return None
    normaliser, background = read
    every = {trail.tensor: _columns(trail, kinds.ways, kinds.classes[0]) for trail in heads}
    columns = max(every.values(), key=len)  # scales may have different numbers of anchors, as those of SSD
    if any(not np.array_equal(own, columns[: len(own)]) for own in every.values()):
        return None
    axes = {trail.axis for trail in heads}
    rank = heads[0].rank
    if len(axes) != 1 or any(trail.rank != rank for trail in heads):
        return None
    (axis,), count = axes, columns.shape[1]
    scores, anchors = tuple(every), tuple(map(len, every.values()))
    plain = len(columns) == 1 and _is_whole(heads, columns)
    places = PlaceScores(
        "detection",
        scores,
        axis,
        tuple(a for a in range(1, rank) if a != axis),
        count,
        normaliser,
        tuple(dict.fromkeys(said.output for said, _ in (*kinds.classes, *kinds.boxes))),
        background=background,
        heads=tuple(dict.fromkeys(t.layer.name for t in heads if t.layer is not None)),
        columns=() if plain else tuple(tuple(way) for way in columns.tolist()),
        anchors=anchors if len(set(anchors)) > 1 else (),
        objectness=tuple(_head_columns(kinds)),
        behind=() if heads[0].normaliser is None else heads[0].done,
    )
    times = [t for trail in heads for t in trail.times]
    return Detection(
        places,
        tuple(_part(said, band, background, kinds.ways) for said, band in kinds.classes),
        heads[0].normaliser is not None,
        tuple(_spread(said, own, kinds.ways) for said, own in kinds.boxes),
        _decoded(kinds),
        tuple(_part(said, band, None, kinds.ways) for said, band in kinds.objectness),
        bool(times),
        tuple(dict.fromkeys(_beside(kinds))),
        sides=len(kinds.boxes[0][1]) if kinds.boxes else SIDES,
    )


def _columns(trail: Trail, ways: int, first: tuple[Said, Band]) -> np.ndarray:
    """Which neurons of a head are the classes, [ways, classes]; what a Softmax saw besides in its place."""
    kept, left_out = trail.columns >= 0, trail.columns < 0
    index = trail.index[:, kept]
    for extra in np.flatnonzero(left_out):
        own = trail.index[:, extra]
        place = int((index[0] < own[0]).sum())
        index = np.insert(index, place, own, axis=1)
    if ways > 1:
        size = first[0].width // ways
        index = (index + np.arange(ways)[:, None] * size).reshape(ways, -1)
    return index


def _is_whole(heads: Sequence[Trail], columns: np.ndarray) -> bool:
    return all(t.layer is not None and np.array_equal(columns[0], np.arange(t.layer.neurons)) for t in heads)


def _normaliser(model: Model, kinds: Kinds, labels: Sequence[int]) -> tuple[Normaliser, int | None] | None:
    """How the scores are read, and which of them is the background; None where it cannot be told."""
    trail = kinds.classes[0][1].trails[0]
    columns = _columns(trail, kinds.ways, kinds.classes[0])
    count = columns.shape[1]
    if trail.normaliser == "Sigmoid":
        return "Sigmoid", None
    if trail.normaliser == "Softmax":
        missing = int((trail.columns < 0).sum())
        if missing:
            own = int(trail.index[0, trail.columns < 0][0])
            return ("Softmax", int(np.flatnonzero(columns[0] == own)[0])) if missing == 1 else None
        if kinds.objectness or count in labels:
            return "Softmax", None
        return "Softmax", _side(trail, count)
    if kinds.objectness or count in labels:
        return "Sigmoid", None
    if count - 1 in labels:
        return "Softmax", _side(trail, count)
    return _by_boxes(kinds, trail, count) or _by_biases(model, trail, columns)


def _side(trail: Trail, count: int) -> int:
    """The background comes last where queries say classes (DETR), and first where anchors do (SSD)."""
    return count - 1 if trail.layer is not None and trail.layer.dense else 0


def _by_boxes(kinds: Kinds, trail: Trail, count: int) -> tuple[Normaliser, int | None] | None:
    """Of queries: those whose boxes are refined from a guess say each class for itself, as in Deformable
    DETR and after it; those whose boxes are said at once have "no object" last."""
    if trail.layer is None or not trail.layer.dense or not kinds.boxes:
        return None
    said, _ = kinds.boxes[0]
    at_once = all(band.are_scores and band.normaliser == "Sigmoid" for band in said.bands)
    return ("Softmax", count - 1) if at_once else ("Sigmoid", None)


def _by_biases(model: Model, trail: Trail, columns: np.ndarray) -> tuple[Normaliser, int | None] | None:
    """Where nothing else tells: all classes are rare, or one column is said more readily than all others."""
    stored = None if trail.layer is None else trail.layer.bias
    bias = None if stored is None else model.constant(stored.name)
    if stored is None or bias is None:
        return None
    bias = stored.arrange(bias)
    own = bias[columns].mean(axis=0)
    if np.median(own) < _RARE:
        return "Sigmoid", None
    for place in (0, len(own) - 1):
        if own[place] > np.delete(own, place).max() + 1:
            return "Softmax", place
    return None


def _part(said: Said, band: Band, background: int | None, ways: int) -> Part:
    """The columns of objects in the tensor."""
    columns = list(range(band.start, band.stop))
    if background is not None and not (band.trails[0].columns < 0).any():
        del columns[background]
    return _spread(said, tuple(columns), ways)


def _spread(said: Said, columns: tuple[int, ...], ways: int) -> Part:
    size = said.width // ways
    return Part(said.tensor, said.axis, tuple(way * size + c for way in range(ways) for c in columns))


def _head_columns(kinds: Kinds) -> Iterator[Columns]:
    for _, band in kinds.objectness:
        for trail in band.trails:
            yield Columns(trail.tensor, tuple(cast(list[int], trail.index[:, 0].tolist())))


def _beside(kinds: Kinds) -> Iterator[str]:
    for said, own in kinds.boxes:
        for band in said.bands:
            if set(range(band.start, band.stop)) & set(own):
                yield from (trail.tensor for trail in band.trails)
    for _, band in (*kinds.objectness, *kinds.classes):
        for trail in band.trails:
            yield from (t.tensor for t in trail.times)
    yield from (trail.tensor for _, band in kinds.objectness for trail in band.trails)


def _decoded(kinds: Kinds) -> bool:
    """Whether the boxes say where objects are: they were placed, or are shares of the image.

    The first two numbers tell: where all places share one anchor, widths do not differ from place to place.
    """

    def says_where(band: Band) -> bool:
        placed = not band.known or any(trail.placed for trail in band.trails)
        return placed or (band.are_scores and band.normaliser == "Sigmoid")

    return bool(kinds.boxes) and all(
        len(own) == SIDES
        and all(says_where(band) for band in said.bands if set(range(band.start, band.stop)) & set(own[:2]))
        for said, own in kinds.boxes
    )
