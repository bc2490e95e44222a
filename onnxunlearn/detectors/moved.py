"""Images moved by some pixels, with what is in them.

Of a few dozen images a difference of two detectors in average precision is chance, and most of it is not
which images they are: moved a little, the same images say another. The mean of several such says more.
"""

from dataclasses import replace

import numpy as np

from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.judge import Truth, boxed, say_all
from onnxunlearn.probes.variants import spatial_axes

#: how far, as a share of height and width; the first not at all
_BY = 1 / 24
_MOVES = tuple((_BY * down, _BY * right) for down in (0, 1, -1) for right in (0, 1, -1))
#: of an object that does not show at least so much of itself any more nothing is asked
_SHOWN = 0.5


def with_moved(detector: Detector, seen: Seen) -> tuple[Seen, int]:
    """These images, and behind them copies of all, moved each another way; and how many that are with the
    first. What comes in at a border is mirrored."""
    moves = [(round(down * seen.size[1]), round(right * seen.size[0])) for down, right in _MOVES]
    moves = list(dict.fromkeys(moves))
    parts = [seen, *(_moved(detector, seen, *move) for move in moves[1:])]
    probes = [part.scenes.probes for part in parts]
    feeds = {n: np.concatenate([each.feeds[n] for each in probes]) for n in probes[0].feeds}
    every = replace(
        seen,
        scenes=replace(seen.scenes, probes=replace(probes[0], feeds=feeds)),
        truth=tuple(each for part in parts for each in part.truth),
        own=tuple(each for part in parts for each in part.own),
        hidden=tuple(each for part in parts for each in part.hidden),
    )
    return every, len(parts)


def _moved(detector: Detector, seen: Seen, down: int, right: int) -> Seen:
    probes = seen.scenes.probes
    feeds = {name: _shifted(values, down, right) for name, values in probes.feeds.items()}
    scenes = replace(seen.scenes, probes=replace(probes, feeds=feeds))
    if seen.form is None:
        return replace(seen, scenes=scenes)
    said = say_all(detector.model, detector.found, detector.engine, feeds, detector.options.batch_size)
    own, hidden = (boxed(said, seen.form, seen.size, aside) for aside in ((), detector.forgotten))
    truth = tuple(_within(each, down, right, seen.size) for each in seen.truth)
    return replace(seen, scenes=scenes, truth=truth, own=tuple(own), hidden=tuple(hidden))


def _shifted(values: np.ndarray, down: int, right: int) -> np.ndarray:
    """Images [N, ...] of either layout; anything else as it is."""
    if values.ndim != 4:
        return values
    sides, cut = [(0, 0)] * 4, [slice(None)] * 4
    for axis, by in zip(spatial_axes(values), (down, right), strict=True):
        sides[axis] = (max(by, 0), max(-by, 0))
        cut[axis] = slice(max(-by, 0), max(-by, 0) + values.shape[axis])
    return np.pad(values, sides, mode="symmetric")[tuple(cut)]


def _within(truth: Truth, down: int, right: int, size: tuple[int, int]) -> Truth:
    """Objects that are cut are cut; those of which little is left count neither way."""
    boxes = truth.boxes + np.array([right, down, right, down], np.float32)
    inside = np.clip(boxes, 0, np.array([*size, *size], np.float32))
    little = _area(inside) < _SHOWN * _area(boxes)
    return Truth(inside, truth.classes, truth.crowds | little)


def _area(boxes: np.ndarray) -> np.ndarray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))
