"""A detector forgets in whole images: its heads as maps of what is said where, and what must stay."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.choices import DEEP
from onnxunlearn.detectors.composed import with_composed
from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.heads import NOTHING
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.flow import made_from
from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge import say_all
from onnxunlearn.methods import Outcome
from onnxunlearn.methods.partway import partway
from onnxunlearn.methods.whole import ASIDE, DOUBT, FORGET, Branch, HeadMap, Whole
from onnxunlearn.probes import Probes
from onnxunlearn.probes.places import NOTHING_SAID

#: those of `erase` that hold in whole images, too, and what they are called there
_PARAMETERS = {name: name for name in ("steps", "beta", "kappa", "rate", "resist", "slices")} | {
    "batch": "images"
}

#: of queries: what they look at would still tell the class, so all layers before them change, by small steps
_OF_QUERIES: Mapping[str, Any] = {"queries": True, "rate": 0.03, "steps": 400}

#: of images in a step that show the class, so many times as many as of others where some are given to retain
_FEWER = 2


def forget_everywhere(
    detector: Detector,
    seen: Seen,
    parameters: Mapping[str, Any],
    shares: Sequence[float] = (1.0,),
    retained: Probes | None = None,
) -> list[Outcome]:
    """All layers before the heads are edited: an outcome for each of these shares of the way.

    parameters: of `erase`; batch: images of a step that show the class, and a third as many others. retained:
    more images, of which all that is said but the class is pinned. Raises
    UnsupportedError where that cannot be done, or the model says more than classes and boxes, which nothing
    would hold; and InputError for other parameters.
    """
    chosen = _chosen(detector, parameters)
    if retained is not None:
        chosen["fewer"] = _FEWER
    found, options = detector.found, detector.options
    if more := _others(detector):
        raise UnsupportedError(f"outputs {', '.join(sorted(map(repr, more)))} would not be kept")
    feeds, left_out = _given(detector, seen, retained)
    showing = np.append(seen.showing(detector.forgotten), np.zeros(len(left_out) - len(seen.truth), bool))
    feeds = with_composed(feeds, showing, options.seed, left_out)
    said = say_all(detector.model, found, detector.engine, feeds, options.batch_size)
    whole = Whole(
        detector.seen,
        detector.engine,
        detector.forget,
        _maps(detector, feeds, left_out),
        found.boxes,
        found.objectness,
        said.scores.max(axis=2) >= NOTHING,
        feeds,
        seed=options.seed,
        progress=options.progress,
        sides=found.sides,
        **chosen,
    )
    return parts_of(whole, DEEP, shares)


def in_full(detector: Detector, seen: Seen, parameters: Mapping[str, Any]) -> bool:
    """Whether a descent in whole images is no more work than it may be: of a large detector it takes minutes,
    and what so few steps pin does not hold elsewhere. True where there can be none, which says why itself."""
    feeds = {name: values[:2] for name, values in seen.scenes.probes.feeds.items()}
    maps = _maps(detector, feeds, np.zeros(0, bool))
    chosen, found = _chosen(detector, parameters), detector.found
    there = np.zeros((len(maps[0].labels), 1), bool)
    beside = found.boxes, found.objectness
    own = detector.seen, detector.engine, detector.forget, maps, *beside, there, feeds
    with suppress(UnsupportedError):
        return Whole(*own, **chosen).in_full
    return True


def _chosen(detector: Detector, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What these say of `Whole`, and what of these heads holds else."""
    return {**(_OF_QUERIES if detector.of_queries else {}), **check_whole(parameters)}


def parts_of(descent: Whole | Branch, depth: str, shares: Sequence[float]) -> list[Outcome]:
    """What it ends at, for each of these shares of the way."""
    edits, layers, how = descent.edits()
    parts = ((share, edits if share == 1 else partway(edits, layers, share)) for share in shares)
    return [Outcome(part, {"depth": depth, **how, "share": share}) for share, part in parts]


def _given(detector: Detector, seen: Seen, retained: Probes | None) -> tuple[Feeds, np.ndarray]:
    """All images that were given, those to retain last; and of which of them nothing is asked where they show
    the class, as they were not given for it, bool [N]."""
    feeds = seen.scenes.probes.feeds
    if retained is None:
        return feeds, np.zeros(len(seen.truth), bool)
    every = {name: np.concatenate([v, retained.feeds[name]]) for name, v in feeds.items()}
    return every, np.append(np.zeros(len(seen.truth), bool), detector.saying(retained.feeds))


def _others(detector: Detector) -> set[str]:
    """Outputs that are made of something else than the class scores and boxes, too, which are pinned."""
    seen, found = detector.seen, detector.found
    inputs = {i.name for i in seen.inputs}
    known = set() if found.told else set(found.places.outputs)
    names = {o.name for o in seen.graph.output} - known
    pinned = {*found.tensors, *found.places.scores}
    return {name for name in names if made_from(seen, [name], pinned) & inputs}


def check_whole(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters of `Whole`. Raises InputError for others of `erase`."""
    chosen = {name: value for name, value in parameters.items() if name != "depth" and value is not None}
    for name, value in chosen.items():
        if name not in _PARAMETERS:
            raise InputError(
                f"erase: {name}: a detector's layers before its heads are edited in whole images, where it "
                f"means nothing; known with depth=deep: {', '.join(_PARAMETERS)}"
            )
        whole = name in ("steps", "batch", "slices")
        check_number(f"erase: {name}", value, 1 if whole else 0, whole=whole)
    return {_PARAMETERS[name]: value for name, value in chosen.items()}


def _maps(detector: Detector, feeds: Feeds, aside: np.ndarray) -> tuple[HeadMap, ...]:
    """Of each tensor of scores. aside: as of `head_map`."""
    return tuple(
        head_map(detector, own, np.stack([detector.grid(number, feeds, NOTHING) for number in own]), aside)
        for own in anchors_of(detector).values()
    )


def anchors_of(detector: Detector) -> dict[str, list[int]]:
    """Numbers of the heads that each tensor of scores has, by its name."""
    anchors: dict[str, list[int]] = {}
    for number, head in enumerate(detector.heads):
        anchors.setdefault(head.scores[0], []).append(number)
    return anchors


def head_map(detector: Detector, numbers: Sequence[int], grids: np.ndarray, aside: np.ndarray) -> HeadMap:
    """Anchors of one tensor of scores together: a place is of the class that any of them says; to forget
    where one of them says that. grids: what each says with doubt, too, [anchors, N, *places]. aside: of which
    of the first images nothing is asked where they show the class, bool [n]."""
    own = [detector.heads[number] for number in numbers]
    first = own[0]
    grids = grids.reshape(len(own), grids.shape[1], -1 if grids.size else 0)
    thing = ~np.isin(grids, [NOTHING_SAID, -1 if first.background is None else first.background])
    labels = np.where(thing, grids, -1).max(axis=0)
    if first.background is not None:
        labels = np.where((grids == first.background).all(axis=0), first.background, labels)
    labels = np.where(labels < 0, DOUBT, labels)
    labels = np.where(np.isin(grids, detector.forget).any(axis=0), FORGET, labels)
    some = labels[: len(aside)]
    some[(some == FORGET) & aside[:, None]] = ASIDE
    ways = tuple(_columns(head, detector) for head in own)
    sigmoid = detector.found.places.normaliser == "Sigmoid"
    return HeadMap(first.scores[0], first.class_axis, ways, sigmoid, labels, first.background)


def _columns(head: PlaceScores, detector: Detector) -> tuple[int, ...]:
    return head.columns[0] if head.columns else tuple(range(detector.found.places.classes))
