"""What detectors find in images, held against what is there: boxes; or classes at places, where it is not
known where boxes are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np

from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.heads import SURE, grid_of, heads_of
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import Model
from onnxunlearn.graph.places import Detection
from onnxunlearn.judge import Agreed, Boxed, BoxForm, Detected, Placed, box_form, boxed, same_boxes, say_all
from onnxunlearn.judge.subject import REFERENCE
from onnxunlearn.lowering import lower
from onnxunlearn.probes import Probes, blocks
from onnxunlearn.probes.places import NOTHING_SAID

#: by model, in how much of each image it says what the original does, and of how much
_Counts = tuple[Mapping[str, np.ndarray], Mapping[str, np.ndarray]]


class Judged(TypedDict, total=False):
    """Arguments of `Evidence`."""

    detected: Detected
    placed: Placed
    notes: tuple[str, ...]


def as_evidence(found: Detected | Placed, notes: Sequence[str]) -> Judged:
    """notes: what is to be said besides."""
    if isinstance(found, Detected):
        return {"detected": found, "notes": (*notes, *_believed(found))}
    why = (
        "boxes were not judged, as it is not known where they are: figures are of places, and what the "
        "original says at each is taken for what is there; annotations are not looked at"
    )
    return {"placed": found, "notes": (*notes, why)}


def _believed(found: Detected) -> Iterator[str]:
    """Of images that nobody annotated, what figures are of."""
    if found.believed:
        yield (
            f"nobody annotated these images: average precision is of objects drawn {len(found.believed[0])} "
            "times by the original's own confidence, from what it says of each image shifted a little; "
            f"recall, what objects are given another class, and overlap are of its boxes from {SURE:g} on"
        )


def judged(
    detector: Detector,
    models: Mapping[str, Model],
    seen: Seen,
    found: Mapping[str, Detection] | None = None,
    unnamed: Probes | None = None,
) -> Detected | Placed:
    """What models find in images, the original among them; and, as "mask", the original of which the class is
    hidden.

    models: all others. found: where they say what they say, by name. unnamed: others, in which nothing is to
    change.
    """
    where = {"original": detector.found, **dict.fromkeys(models, detector.found), **(found or {})}
    every = {"original": detector.model, **models}
    of = _detected if detector.boxed else _placed
    return of(detector, every, where, seen, unnamed)


def _detected(
    detector: Detector,
    models: Mapping[str, Model],
    where: Mapping[str, Detection],
    seen: Seen,
    unnamed: Probes | None,
) -> Detected:
    options, engine = detector.options, detector.engine
    assert seen.form is not None
    said: dict[str, Sequence[Boxed]] = {"original": seen.own, "mask": seen.hidden}
    forms: dict[str, BoxForm] = {"original": seen.form}
    for name in models.keys() - {"original"}:
        told = where[name]
        at_all = say_all(models[name], told, engine, seen.scenes.probes.feeds, options.batch_size)
        forms[name] = seen.form
        if name.startswith(REFERENCE):  # of another training, and perhaps another export
            there = [each.boxes for each in seen.truth]
            forms[name] = box_form(at_all, seen.size, there, told.layout, told.scale)
        said[name] = boxed(at_all, forms[name], seen.size)

    def alike(feeds: Feeds) -> _Counts:
        found = {
            name: boxed(
                say_all(model, where[name], engine, feeds, options.batch_size), forms[name], seen.size
            )
            for name, model in models.items()
        }
        return same_boxes(found, detector.forgotten, SURE)

    agreed = _agreed(alike, unnamed, options.seed)
    objects = detector.heads[0].objects
    return Detected(seen.truth, said, objects, detector.forgotten, SURE, options.seed, agreed, seen.believed)


def _placed(
    detector: Detector,
    models: Mapping[str, Model],
    where: Mapping[str, Detection],
    seen: Seen,
    unnamed: Probes | None,
) -> Placed:
    """At the places of all heads; not where the original is in doubt, nor, where objectness tells whether
    there is anything, at places of which it is sure but for what it is: these few would be all of nothing."""
    plain = {name: detector.seen if name == "original" else lower(model) for name, model in models.items()}
    own, feeds = detector.heads[0], seen.scenes.probes.feeds
    nothing = own.classes if own.background is None else own.background  # of a class that there is not

    def decided(name: str, feeds: Feeds, *, hide: bool = False) -> np.ndarray:
        grids = (
            grid_of(
                plain[name],
                head,
                detector.engine,
                feeds,
                detector.options.batch_size,
                detector.forget,
                SURE,
                hide=hide,
            )
            for head in heads_of(where[name].places)
        )
        return np.concatenate([grid.reshape(len(grid), -1) for grid in grids], axis=1)

    def asked(feeds: Feeds) -> np.ndarray:
        rows = decided("original", feeds)
        return np.where(rows == nothing, NOTHING_SAID, rows) if own.objectness else rows

    def settled(rows: np.ndarray) -> np.ndarray:
        return np.where(rows == NOTHING_SAID, nothing, rows)

    def alike(feeds: Feeds) -> _Counts:
        truth = asked(feeds)
        others = (truth >= 0) & ~np.isin(truth, detector.forget)
        same = {name: (others & (settled(decided(name, feeds)) == truth)).sum(axis=1) for name in models}
        return same, dict.fromkeys(models, others.sum(axis=1))

    truth = asked(feeds)
    maps = {name: settled(decided(name, feeds)) for name in models}
    maps["mask"] = settled(decided("original", feeds, hide=True))
    seed = detector.options.seed
    agreed = _agreed(alike, unnamed, seed)
    return Placed(own, detector.forget, truth, maps, own.background, seed, agreed)


def _agreed(alike: Callable[[Feeds], _Counts], unnamed: Probes | None, seed: int) -> Agreed | None:
    """unnamed: perhaps a stream, read once for all models."""
    if unnamed is None or not len(unnamed):
        return None
    counts = [alike(feeds) for feeds in blocks(unnamed.feeds)]
    same, asked = ({n: np.concatenate([p[i][n] for p in counts]) for n in counts[0][i]} for i in (0, 1))
    return Agreed(same, asked, seed)
