"""A detector forgets where class scores alone are made: boxes stay what they are. Of any number of images."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnxunlearn.choices import LAST_BLOCK
from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.heads import NOTHING, decided
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.detectors.whole import anchors_of, check_whole, head_map, parts_of
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.methods import Outcome
from onnxunlearn.methods.whole import Branch, End, Gathered, HeadMap, branch_layers, ends_of
from onnxunlearn.probes import Probes

#: parameters of descents in whole images that mean nothing where places are looked at
_WHOLE_ALONE = frozenset({"images", "resist"})
#: of images to retain that show the class so many are read again, to tell what an edit brings
_SHOWN = 64


def check_branches(detector: Detector) -> None:
    """Raises UnsupportedError where a head has no layer that makes class scores alone."""
    columns: Counter[str] = Counter()
    for told in _heads(detector):
        columns[told.scores] += sum(map(len, told.ways))
    for scores, count in columns.items():
        branch_layers(detector.seen, scores, count, detector.others)


@dataclass(frozen=True, eq=False)
class Branches:
    """gathered: places of all images, recorded once for every strength that is tried. showing: images to
    retain in which the class is said; nothing was recorded there."""

    detector: Detector
    ends: tuple[End, ...]
    gathered: Gathered = field(repr=False)
    showing: tuple[Probes, ...] = field(repr=False)

    @classmethod
    def of(cls, detector: Detector, seen: Seen, retained: Sequence[Probes] = ()) -> "Branches":
        """retained: more images, held or not, of which all that is said but the class is pinned. Raises
        UnsupportedError where a head has no layer of its own."""
        heads, places = _heads(detector), detector.found.places
        there = dict(zip(places.scores, places.objectness, strict=True)) if places.objectness else {}
        parts = tuple(there.get(told.scores) for told in heads)
        ends = ends_of(detector.seen, heads, parts, detector.others)

        def said(values: Mapping[str, np.ndarray], number: int) -> np.ndarray:
            return decided(values, detector.heads[number], detector.forget, NOTHING)

        def named(values: Mapping[str, np.ndarray]) -> tuple[HeadMap, ...]:
            every = anchors_of(detector).values()
            return tuple(_head(detector, own, [said(values, number) for number in own]) for own in every)

        def images() -> Iterator[tuple[Feeds, bool]]:
            yield seen.scenes.probes.feeds, False
            for probes in retained:
                detector.options.progress(f"reading {len(probes)} images to retain")
                yield probes.feeds, True

        seed = detector.options.seed
        gathered = Gathered.of(detector.seen, detector.engine, ends, named, detector.forget, images(), seed)
        return cls(detector, ends, gathered, _showing(gathered.aside[len(seen.truth) :], retained))

    def forget(self, parameters: Mapping[str, Any], shares: Sequence[float] = (1.0,)) -> list[Outcome]:
        """An outcome for each of these shares of the way. parameters: of `erase`. Raises UnsupportedError
        where there are too few places, and InputError for parameters that mean nothing here."""
        detector, chosen = self.detector, check_whole(parameters)
        branch = Branch(
            detector.seen,
            detector.engine,
            detector.forget,
            self.ends,
            self.gathered.sampled,
            seed=detector.options.seed,
            progress=detector.options.progress,
            **{name: value for name, value in chosen.items() if name not in _WHOLE_ALONE},
        )
        return parts_of(branch, LAST_BLOCK, shares)

    @property
    def shown(self) -> int:
        """How many of these there are."""
        return sum(map(len, self.showing))

    def showing_among(self, like: Seen) -> Seen | None:
        """Images to retain that show the class, as others are known; None where there are none. Their places
        of it were not fitted to."""
        if not self.showing:
            return None
        names = self.showing[0].feeds
        feeds = {name: np.concatenate([probes.feeds[name] for probes in self.showing]) for name in names}
        scenes = replace(like.scenes, probes=replace(self.showing[0], feeds=feeds), truth=None)
        return replace(like, scenes=scenes, truth=(), own=(), hidden=(), believed=())


def _showing(aside: np.ndarray, retained: Sequence[Probes]) -> tuple[Probes, ...]:
    """Of those to retain, some that show the class, held. aside: which do, of all of them in order."""
    found, start, room = [], 0, _SHOWN
    for probes in retained:
        which = np.flatnonzero(aside[start : start + len(probes)])[:room]
        start, room = start + len(probes), room - len(which)
        if len(which):
            some = probes.select(which)
            found.append(replace(some, feeds={name: value[:] for name, value in some.feeds.items()}))
    return tuple(found)


def _heads(detector: Detector) -> tuple[HeadMap, ...]:
    """Of no image yet."""
    return tuple(
        _head(detector, numbers, [np.zeros((0, 0), int)] * len(numbers))
        for numbers in anchors_of(detector).values()
    )


def _head(detector: Detector, numbers: Sequence[int], grids: Sequence[np.ndarray]) -> HeadMap:
    return head_map(detector, numbers, np.stack(grids), np.zeros(0, bool))
