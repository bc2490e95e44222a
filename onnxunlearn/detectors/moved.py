"""Images moved by some pixels, with what is in them.

Of a few dozen images a difference of two detectors in average precision is chance, and most of it is not
which images they are: moved a little, the same images say another. The mean of several such says more.
"""

from dataclasses import replace

import numpy as np

from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.detectors.shifted import shifted, within
from onnxunlearn.judge import boxed, say_all

#: how far, as a share of height and width; the first not at all
_BY = 1 / 24
_MOVES = tuple((_BY * down, _BY * right) for down in (0, 1, -1) for right in (0, 1, -1))


def with_moved(detector: Detector, seen: Seen) -> tuple[Seen, int]:
    """These images, and behind them copies of all, moved each another way; and how many that are with the
    first. What comes in at a border is mirrored. Of several truths of an image each copy has one."""
    moves = [(round(down * seen.size[1]), round(right * seen.size[0])) for down, right in _MOVES]
    moves = list(dict.fromkeys(moves))
    parts = [seen, *(_moved(detector, seen, *move) for move in moves[1:])]
    parts = [
        replace(part, believed=tuple((each[i % len(each)],) for each in part.believed))
        for i, part in enumerate(parts)
    ]
    probes = [part.scenes.probes for part in parts]
    feeds = {n: np.concatenate([each.feeds[n] for each in probes]) for n in probes[0].feeds}
    every = replace(
        seen,
        scenes=replace(seen.scenes, probes=replace(probes[0], feeds=feeds)),
        truth=tuple(each for part in parts for each in part.truth),
        own=tuple(each for part in parts for each in part.own),
        hidden=tuple(each for part in parts for each in part.hidden),
        believed=tuple(each for part in parts for each in part.believed),
    )
    return every, len(parts)


def _moved(detector: Detector, seen: Seen, down: int, right: int) -> Seen:
    probes = seen.scenes.probes
    feeds = {name: shifted(values, down, right) for name, values in probes.feeds.items()}
    scenes = replace(seen.scenes, probes=replace(probes, feeds=feeds))
    if seen.form is None:
        return replace(seen, scenes=scenes)
    said = say_all(detector.model, detector.found, detector.engine, feeds, detector.options.batch_size)
    own, hidden = (boxed(said, seen.form, seen.size, aside) for aside in ((), detector.forgotten))
    truth = tuple(within(each, down, right, seen.size) for each in seen.truth)
    drawn = tuple(tuple(within(t, down, right, seen.size) for t in each) for each in seen.believed)
    return replace(seen, scenes=scenes, truth=truth, own=tuple(own), hidden=tuple(hidden), believed=drawn)
