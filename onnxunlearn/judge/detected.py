"""What detectors find in the images that judge, held against what is there."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.optimize import linear_sum_assignment

from onnxunlearn.judge.detections import Boxed, overlaps
from onnxunlearn.judge.intervals import ANYWHERE, CONFIDENCE, IN_PERCENT, Measured, or_alike, resampled
from onnxunlearn.judge.placed import Agreed
from onnxunlearn.judge.precision import Precision, Truth

#: of a box and what is there, so that it counts as found
FOUND = 0.5
#: images are drawn anew so often: average precision takes its time
_DRAWN = 100


@dataclass(frozen=True, eq=False)
class Detected:
    """truth: of each image. said: by model, of each image. objects: of each the column of the scores. forget:
    objects. threshold: the score from which on a box is taken for one. agreed: of other images, that nobody
    named. believed: of each image as many truths by which average precision goes; by `truth` where there are
    none."""

    truth: Sequence[Truth]
    said: Mapping[str, Sequence[Boxed]]
    objects: tuple[int, ...]
    forget: tuple[int, ...]
    threshold: float
    seed: int = 0
    agreed: Agreed | None = None
    believed: Sequence[Sequence[Truth]] = ()

    @property
    def judged(self) -> dict[str, int]:
        """How many images judge, with how many objects."""
        return {"inputs": len(self.truth), "places": sum(len(each.classes) for each in self.truth)}

    @cached_property
    def precision(self) -> dict[str, Precision]:
        """By model; of several truths of each image all together, one set behind another."""
        there = [each[i] for i in range(self._truths) for each in self.believed] or self.truth
        return {
            name: Precision(there, [*found] * self._truths, len(self.objects), self.forget)
            for name, found in self.said.items()
        }

    @property
    def _truths(self) -> int:
        return len(self.believed[0]) if self.believed else 1

    @cached_property
    def present(self) -> list[int]:
        """The retained objects that are there somewhere."""
        there = np.unique(np.concatenate([each.classes[~each.crowds] for each in self.truth]))
        return [int(c) for c in there if c not in self.forget]

    def ap(self, name: str, classes: Sequence[int], times: np.ndarray, *, half: bool) -> float:
        """Mean AP of these classes in percent: at an overlap of one half, or over 0.5 to 0.95."""
        found = self.precision[name].of(np.tile(times, self._truths))[:, list(classes)]
        if np.isnan(found).all():
            return float("nan")
        return float(np.nanmean(found[:1] if half else found))

    def measured_ap(self, name: str, classes: Sequence[int], *, half: bool) -> Measured:
        drawn = self.found_in if set(classes) <= set(self.forget) else self.drawn
        return drawn(partial(self.ap, name, list(classes), half=half), within=IN_PERCENT)

    def drawn(
        self,
        statistic: Callable[[np.ndarray], float],
        confidence: float = CONFIDENCE,
        within: tuple[float, float] = ANYWHERE,
    ) -> Measured:
        """A figure with its bounds: whole images are drawn anew."""
        return resampled(statistic, len(self.truth), self.seed, confidence, most=_DRAWN, within=within)

    def found_in(
        self, statistic: Callable[[np.ndarray], float], within: tuple[float, float] = IN_PERCENT
    ) -> Measured:
        """The same of what is found of the classes to forget, in percent; see `or_alike`."""
        return or_alike(self.drawn(statistic, within=within), self.showing(self.forget), within=within)

    def showing(self, classes: Sequence[int]) -> int:
        """How many images show one of these objects."""
        shown = (np.isin(each.classes[~each.crowds], classes).any() for each in self.truth)
        return sum(map(bool, shown))

    @cached_property
    def _matches(self) -> dict[str, list[tuple[np.ndarray, np.ndarray, np.ndarray]]]:
        """By model, of each image: of each object the best overlap with a box of its class, and of another;
        and its class."""
        return {
            name: [self._match(t, b) for t, b in zip(self.truth, found, strict=True)]
            for name, found in self.said.items()
        }

    def _match(self, truth: Truth, found: Boxed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sure = found.select(found.scores >= self.threshold)
        there = ~truth.crowds
        match = overlaps(truth.boxes[there], sure.boxes)
        labels = truth.classes[there]
        same = labels[:, None] == sure.classes[None]
        other = ~same & ~np.isin(sure.classes, self.forget)[None]
        own, others = ((match * which).max(axis=1, initial=0.0) for which in (same, other))
        return own, others, labels

    def recall(self, name: str, times: np.ndarray) -> float:
        """Of the objects to forget those that are found, in percent."""
        return self._share(name, times, 0)

    def absorbed(self, name: str, times: np.ndarray) -> float:
        """Those that come back as another class, in percent."""
        return self._share(name, times, 1)

    def _share(self, name: str, times: np.ndarray, which: int) -> float:
        hits = count = 0.0
        for often, match in zip(times, self._matches[name], strict=True):
            own = np.isin(match[2], self.forget)
            count += often * own.sum()
            hits += often * (match[which][own] >= FOUND).sum()
        return float(100 * hits / count) if count else float("nan")

    def quality(self, name: str, times: np.ndarray) -> float:
        """Mean overlap of retained objects that are found with their boxes, in percent."""
        total = count = 0.0
        for often, (own, _, labels) in zip(times, self._matches[name], strict=True):
            found = own[~np.isin(labels, self.forget) & (own >= FOUND)]
            total, count = total + often * found.sum(), count + often * len(found)
        return float(100 * total / count) if count else float("nan")


def same_boxes(
    said: Mapping[str, Sequence[Boxed]], forget: Sequence[int], threshold: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """By model, of each image: how many boxes of it and of the original are each other's, of the same class,
    one to one; and how many both have, int [N].

    said: by model, the original's among them. Boxes are from the threshold on; where the original finds what
    is to be forgotten no box counts.
    """
    same, asked = {name: list[int]() for name in said}, {name: list[int]() for name in said}
    for i, original in enumerate(said["original"]):
        sure = original.select(original.scores >= threshold)
        gone = sure.boxes[np.isin(sure.classes, forget)]
        first = _away_from(gone, sure)
        for name, found in said.items():
            own = _away_from(gone, found[i].select(found[i].scores >= threshold))
            pairs = (overlaps(first.boxes, own.boxes) >= FOUND) & (first.classes[:, None] == own.classes)
            matched = pairs[linear_sum_assignment(pairs, maximize=True)].sum()
            same[name].append(2 * int(matched))
            asked[name].append(len(first.classes) + len(own.classes))
    counts = [{name: np.array(rows, int) for name, rows in each.items()} for each in (same, asked)]
    return counts[0], counts[1]


def _away_from(places: np.ndarray, found: Boxed) -> Boxed:
    """Those that overlap none of these boxes by half."""
    return found.select(np.all(overlaps(found.boxes, places) < FOUND, axis=1))
