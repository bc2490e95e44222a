"""The heads of a detector, each by itself, and what each says at its places."""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np
from scipy.special import expit

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, expose
from onnxunlearn.graph.class_labels import parse_names
from onnxunlearn.graph.places import Detection, PlaceScores, find_detection, read_detection
from onnxunlearn.lowering import lost_samples, lower
from onnxunlearn.numerics import softmax
from onnxunlearn.probes.places import NOTHING_SAID

#: the score from which on a box is taken for one, and below which a place is background
SURE, NOTHING = 0.25, 0.05
#: what the column is called that stands for nothing
GROUND = "background"


def detection_of(
    model: Model,
    labels: Sequence[str] | None = None,
    output_name: str | None = None,
    head: str | os.PathLike[str] | None = None,
) -> tuple[Model, Detection] | None:
    """The model in plain float ops and what it says where; None for what is no detector. labels: a name for
    each class. output_name: the output that is meant, None for one that says neither classes nor boxes. head:
    a file that says it. Raises UnsupportedError for plug-ins that choose boxes, and InputError for a file
    that does not fit the model."""
    if head is not None:
        seen = lower(model)
        told = read_detection(head, seen)
        return None if told is None else (seen, told)
    ranks = [len(shape) for o in model.graph.output if (shape := model.shapes.get(o.name)) is not None]
    choosing = any("nms" in n.op.lower() or n.kind == "NonMaxSuppression" for n in model.nodes)
    if not choosing and not any(rank > 2 for rank in ranks) and not any(lost_samples(model)):
        return None
    seen = lower(model)
    found = find_detection(seen, _named(model) if labels is None else (len(labels),))
    if found is None or (output_name is not None and output_name not in found.places.outputs):
        return None
    return seen, found


def _named(model: Model) -> tuple[int, ...]:
    """How many classes have a name, by what the file says."""
    counts = []
    for entry in model.proto.metadata_props:
        if entry.key == "names":
            with suppress(ValueError):
                counts.append(len(parse_names(entry.value)))
    return tuple(counts)


def logits_of(places: PlaceScores, classes: int) -> Logits:
    """As reports name them. classes: how many are meant."""
    return Logits(places.scores[0], places.outputs[0], classes, places.normaliser)


def least_of(places: PlaceScores) -> float:
    """The score, before a Sigmoid, from which on a class is said at a place: of segmenters that of one
    half."""
    return float(np.log(SURE / (1 - SURE))) if places.task == "detection" else 0.0


def heads_of(places: PlaceScores) -> list[PlaceScores]:
    """Each tensor and each anchor by itself, all with a background."""
    found = []
    for i, tensor in enumerate(places.scores):
        own = places.objectness[i : i + 1] if len(places.objectness) == len(places.scores) else ()
        for way, columns in enumerate(places.ways(i)):
            there = tuple(replace(p, columns=(p.columns or (0,))[way : way + 1]) for p in own)
            one = replace(
                places,
                scores=(tensor,),
                outputs=(tensor,),
                columns=(columns,) if columns else (),
                anchors=(),
                objectness=there,
                output_axis=places.class_axis,
            )
            if places.normaliser == "Sigmoid":
                own_classes = places.classes
                one = replace(
                    one,
                    classes=own_classes + 1,
                    background=own_classes,
                    normaliser="Softmax",
                    ground=least_of(places),
                )
            found.append(one)
    return found


def grid_of(
    seen: Model,
    places: PlaceScores,
    engine: Engine,
    feeds: Feeds,
    size: int,
    forget: Sequence[int],
    least: float,
    *,
    hide: bool = False,
) -> np.ndarray:
    """What a model says at the places of one head, int [N, *places]: a column, NOTHING_SAID where that is in
    doubt. seen: in plain float ops. least: the score from which on a place is one of the classes to forget:
    what is said of them with doubt ranks among what is found, too. hide: they are not said."""
    (tensor,), objectness = places.scores, places.objectness
    tensors = list(dict.fromkeys([tensor, *(part.tensor for part in objectness)]))
    session = engine.session(expose(seen, tensors), seen.folder)
    parts = []
    for batch in batches(feeds, batch_size(feeds, size, seen.batch_size)):
        said = {n: v[: batch.count] for n, v in session.run(batch.feeds, tensors).items()}
        parts.append(decided(said, places, forget, least, hide=hide))
    return np.concatenate(parts)


def decided(
    said: Mapping[str, np.ndarray],
    places: PlaceScores,
    forget: Sequence[int],
    least: float,
    *,
    hide: bool = False,
) -> np.ndarray:
    """`grid_of` by what was recorded. said: tensors that the head reads."""
    scores = np.moveaxis(said[places.scores[0]], places.class_axis, -1).astype(np.float64)
    if places.columns:
        scores = scores[..., list(places.columns[0])]
    if hide:
        scores[..., list(forget)] = -np.inf
    chances = softmax(scores)[..., list(places.objects)] if places.ground is None else expit(scores)
    top, best = chances.max(axis=-1), np.array(places.objects)[chances.argmax(axis=-1)]
    sure = top >= np.where(np.isin(best, forget), least, SURE)
    ground = NOTHING_SAID if places.background is None else places.background
    found = np.where(sure, best, np.where(top < NOTHING, ground, NOTHING_SAID))
    for part in places.objectness:  # where there is nothing, what it would be was never learned
        there = np.moveaxis(said[part.tensor], places.class_axis, -1)[..., (part.columns or (0,))[0]]
        if there.shape != found.shape:
            raise InputError(
                f"objectness: {part.tensor!r} has {_places(there)} places, class scores {_places(found)}; "
                "correct what says where it is"
            )
        found = np.where(expit(there) >= SURE, found, NOTHING_SAID)
    return np.asarray(found, np.int32)


def _places(said: np.ndarray) -> str:
    return " × ".join(map(str, said.shape[1:]))
