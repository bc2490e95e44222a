"""What a detector says of images as boxes: decoded from its tensors, the best of those that overlap."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.graph.places import IMAGE, Detection, Layout, Part
from onnxunlearn.graph.places.bands import SIDES
from onnxunlearn.judge.running import session_of
from onnxunlearn.lowering import lower, sampled
from onnxunlearn.numerics import softmax

#: boxes kept of an image, the score they need at least, and the overlap beyond which one of a class goes
MOST, LEAST, OVERLAP = 100, 0.01, 0.6


@dataclass(frozen=True)
class BoxForm:
    """How four numbers are a box: two corners (x first, or y first, as TensorFlow has them), or centre and
    size. shares: of the image, not pixels. scale: what they are multiplied by to be pixels, else."""

    layout: Layout
    shares: bool
    scale: float = 1.0

    def corners(self, boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """x1, y1, x2, y2 in pixels, [..., 4]. size: width and height of the model's input."""
        found = boxes.astype(np.float32)
        if self.layout == "turned corners":
            found = found[..., [1, 0, 3, 2]]
        elif self.layout == "centre":
            half = found[..., 2:] / 2
            found = np.concatenate([found[..., :2] - half, found[..., :2] + half], axis=-1)
        if not self.shares:
            return found if self.scale == 1 else found * np.float32(self.scale)
        return found * np.array([*size, *size], np.float32)


@dataclass(frozen=True, eq=False)
class Boxed:
    """Of one image: boxes [n, 4] in pixels of the model's input, best first; classes (of the objects) and
    scores [n]."""

    boxes: np.ndarray
    classes: np.ndarray
    scores: np.ndarray

    def select(self, which: np.ndarray) -> "Boxed":
        return Boxed(self.boxes[which], self.classes[which], self.scores[which])


@dataclass(frozen=True, eq=False)
class SaidAtPlaces:
    """scores: of each object at each place, probabilities [N, places, objects], objectness in them. boxes: as
    the model has them, [N, places, 4]."""

    scores: np.ndarray
    boxes: np.ndarray

    def select(self, which: np.ndarray) -> "SaidAtPlaces":
        return SaidAtPlaces(self.scores[which], self.boxes[which])


def say_all(model: Model, found: Detection, engine: Engine, feeds: Feeds, size: int) -> SaidAtPlaces:
    """Run a detector, as it is in its file. Where boxes are chosen in the graph, what is said of all of them
    before; boxes that are not decoded are zeros. Raises InputError where they are told of more or fewer
    places than class scores are, and where one that is found is no numbers."""
    parts = (*found.scores, *found.objectness, *(found.boxes if found.decoded else ()))
    tensors = list(dict.fromkeys(part.tensor for part in parts))
    model = sampled(model)
    whole = set(tensors) <= {output.name for output in model.graph.output}
    seen = model if whole or all(name in model.producer for name in tensors) else lower(model)
    session = session_of(seen, tensors, engine, whole=whole)
    scores, boxes = [], []
    for batch in batches(feeds, batch_size(feeds, size, model.at_once)):
        said = {name: v[: batch.count] for name, v in session.run(batch.feeds, tensors).items()}
        own = _normalised(said, found)
        if found.objectness and not found.multiplied:
            there = _columns(said, found.objectness, 1, anchors_first=found.anchors_first)
            _check_places("objectness", there, own)
            own = own * (there if _are_probabilities(there) else expit(there))
        scores.append(own)
        where = np.zeros((*own.shape[:2], SIDES), np.float32)
        if found.decoded:
            where = _columns(said, found.boxes, SIDES, anchors_first=found.anchors_first)
            _check_places("boxes", where, own)
            _check_numbers(model, where[own.max(axis=2) > LEAST])
        boxes.append(where)
    return SaidAtPlaces(np.concatenate(scores), np.concatenate(boxes))


def _check_places(what: str, rows: np.ndarray, scores: np.ndarray) -> None:
    if rows.shape[1] != scores.shape[1]:
        raise InputError(
            f"{what}: said at {rows.shape[1]} places, class scores at {scores.shape[1]}; correct what says "
            "where they are"
        )


def _check_numbers(model: Model, boxes: np.ndarray) -> None:
    """A box that is none overlaps with everything: it would be found wherever there is one."""
    if wrong := int(np.isnan(boxes).any(axis=1).sum()):
        raise InputError(
            f"{model.path or 'the model'}: {wrong:,} of its boxes are not numbers (NaN), so nothing can be "
            "judged; give a model, or images, of which they are"
        )


def _normalised(said: dict[str, np.ndarray], found: Detection) -> np.ndarray:
    places = found.places
    softmaxed = not found.normalised and places.normaliser == "Softmax"
    parts = [_with_background(part, found) for part in found.scores] if softmaxed else found.scores
    width = places.classes if softmaxed else len(places.objects)
    scores = _columns(said, parts, width, anchors_first=found.anchors_first)
    if softmaxed:
        return softmax(scores)[:, :, list(places.objects)]
    return scores if found.normalised or places.normaliser is None else np.asarray(expit(scores))


def _with_background(part: Part, found: Detection) -> Part:
    """All columns that a Softmax is of: those of each anchor, or all that there are."""
    own = found.places.columns if found.told else ()
    columns = tuple(c for way in own for c in way) or tuple(range(found.places.classes))
    return Part(part.tensor, part.axis, columns)


def _columns(
    said: dict[str, np.ndarray], parts: Sequence[Part], width: int, *, anchors_first: bool
) -> np.ndarray:
    """[N, places, width], of several anchors whose columns lie side by side one behind another."""
    found = []
    for part in parts:
        last = np.moveaxis(said[part.tensor], part.axis, -1)[..., list(part.columns)].astype(np.float32)
        rows = last.reshape(len(last), -1, len(part.columns) // width, width)
        rows = rows.swapaxes(1, 2) if anchors_first else rows
        found.append(rows.reshape(len(rows), -1, width))
    return np.concatenate(found, axis=1)


def _are_probabilities(values: np.ndarray) -> bool:
    return bool((values >= 0).all() and (values <= 1).all())


def box_form(
    said: SaidAtPlaces,
    size: tuple[int, int],
    truth: Sequence[np.ndarray] | None = None,
    layout: Layout | None = None,
    scale: float | None = None,
) -> BoxForm:
    """How a detector's boxes are to be read: as they fit what is there best, else by how the numbers lie.

    size: width and height of the model's input. truth: of each image boxes [n, 4] in its pixels. layout,
    scale: what is known of it, see `Detection`.
    """
    best = said.scores.max(axis=2)
    own = [np.argsort(-row)[:10] for row in best]
    boxes = [b[o] for b, o in zip(said.boxes, own, strict=True)]
    every = np.concatenate(boxes)
    shares = bool(np.quantile(np.abs(every), 0.95) <= 2) if scale is None else scale == IMAGE
    times = scale or 1.0
    layouts: tuple[Layout, ...] = ("centre", "corners", "turned corners")
    if layout is not None:
        return BoxForm(layout, shares, times)
    if truth is not None and any(len(t) for t in truth):
        forms = [BoxForm(each, shares, times) for each in layouts]
        fits = [
            np.mean(
                [
                    overlaps(form.corners(b, size), t).max(axis=0).mean()
                    for b, t in zip(boxes, truth, strict=True)
                    if len(t)
                ]
            )
            for form in forms
        ]
        return forms[int(np.argmax(fits))]
    ordered = (every[:, 2:] > every[:, :2]).all(axis=1).mean()
    return BoxForm("corners" if ordered > 0.9 else "centre", shares, times)


def overlaps(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of corners, [n, m]."""
    low, high = (
        np.maximum(one[:, None, :2], other[None, :, :2]),
        np.minimum(one[:, None, 2:], other[None, :, 2:]),
    )
    shared = (high - low).clip(0).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2]).clip(0).prod(axis=1) for b in (one, other)]
    return np.asarray(shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9))


def boxed(said: SaidAtPlaces, form: BoxForm, size: tuple[int, int], hide: Sequence[int] = ()) -> list[Boxed]:
    """Of each image the boxes that are left, of each class by itself. hide: objects that are not said."""
    return [_kept(s, form.corners(b, size), hide) for s, b in zip(said.scores, said.boxes, strict=True)]


def _kept(scores: np.ndarray, boxes: np.ndarray, hide: Sequence[int]) -> Boxed:
    scores = scores.copy()
    scores[:, list(hide)] = 0
    place, label = np.nonzero(scores > LEAST)
    order = np.argsort(-scores[place, label], kind="stable")[: 20 * MOST]
    place, label = place[order], label[order]
    kept: list[int] = []
    for c in np.unique(label):
        own = np.flatnonzero(label == c)
        kept += own[_suppressed(boxes[place[own]])].tolist()
    chosen = np.sort(np.array(kept, int))[:MOST]
    place, label = place[chosen], label[chosen]
    return Boxed(boxes[place], label, scores[place, label])


def _suppressed(boxes: np.ndarray) -> np.ndarray:
    """Those that no better one overlaps; best first."""
    match, left = overlaps(boxes, boxes), np.ones(len(boxes), bool)
    for i in range(len(boxes)):
        if left[i]:
            left[i + 1 :] &= match[i, i + 1 :] <= OVERLAP
    return np.flatnonzero(left)
