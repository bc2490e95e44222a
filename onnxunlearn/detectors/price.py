"""What an edit of a detector costs the other classes, as images tell that it was not fitted to.

On images that an edit was fitted to, others lose nothing: there more may be found than before. And of a few
dozen objects a class two points of its average precision are chance: of nine classes one nearly always seems
to lose as much. Of images that are held each counts in nine copies, see `moved`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.judging import judged
from onnxunlearn.detectors.moved import with_moved
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.graph import Model
from onnxunlearn.inquiry.held import DEVIATIONS, allowed, drawn_anew, held_of
from onnxunlearn.judge import Detected, Placed
from onnxunlearn.tasks.budget import CLASS_DROP

#: images that can tell it at least: drawn anew, one image is always the same, and chance seems to be nothing
_FEWEST = 4


class Answer(NamedTuple):
    """why: what speaks against an edit, None if nothing does. told: for the report. points: that it is
    expected to cost."""

    why: str | None
    told: dict[str, Any]
    points: float


@dataclass(frozen=True, eq=False)
class Price:
    """detector. every: the images that choose. fitted, held: of them those that edits are fitted to, and the
    others. moved: these and copies of them, and how many of each there are."""

    detector: Detector
    every: Seen
    fitted: Seen
    held: Seen
    moved: tuple[Seen, int]

    @classmethod
    def of(cls, detector: Detector, seen: Seen) -> "Price":
        """Of images that show a class to forget as many are held as of others. Where there are too few,
        all are fitted to, and tell the cost."""
        held = held_of(seen.showing(detector.forgotten), np.random.default_rng(detector.options.seed))
        fitted, others = (seen.select(~held), seen.select(held)) if held.sum() >= _FEWEST else (seen, seen)
        return cls(detector, seen, fitted, others, with_moved(detector, others))

    @property
    def tells(self) -> bool:
        """Whether any image shows a class to retain; else nothing tells what these lose."""
        there = np.concatenate([each.classes[~each.crowds] for each in self.every.truth])
        return not np.isin(there, self.detector.forgotten).all()

    def asked(self, name: str, edited: Model) -> Answer:
        """What an edit costs, as images tell that it was not fitted to, and what speaks against it. name: it
        in words.

        Of these few images chance is large, and larger than drawing them anew tells: what is beyond the
        budget must be so by twice that; and of a class by what one of as many classes loses by chance. What
        fewer than _FEWEST images show tells nothing of its class, nor, where nobody annotated, of the mean.
        All images together may be at the budget; where nobody annotated, one deviation beyond it.
        """
        budget = self.detector.options.max_retain_drop
        moved, copies = self.moved
        every, held = (judged(self.detector, {"edited": edited}, s) for s in (self.every, moved))
        mean, of_class = ("mAP", "AP50") if isinstance(every, Detected) else ("mean IoU", "IoU")
        told_of = [c for c in every.present if every.showing([c]) >= _FEWEST]
        # where nobody annotated, a class is there by a box or two: the mean was of such classes
        some = set(told_of if told_of and self.every.believed else every.present)
        lost, deviation = _lost(held, _among(held, some), half=False, copies=copies)
        seen, chance = _lost(every, _among(every, some), half=False)
        figures = {"points": round(lost, 4), "deviation": round(deviation, 4)}
        told = {"expected cost": {mean: figures, "images": len(self.held.truth)}}
        if lost > budget and lost - DEVIATIONS * deviation > budget / 2:
            why = f"{name} would cost {lost:.2f} ± {deviation:.2f} points of {mean} ({budget:g} may be lost)"
            return Answer(why, told, lost)
        # what is drawn is chance as well; a deviation of few images is points, so no more than as much again
        if seen > budget + (min(chance, budget) if self.every.believed else 0):
            why = f"{name} costs {seen:.2f} points of {mean} on all that choose ({budget:g} may be lost)"
            return Answer(why, told, lost)
        chances = allowed(len(told_of))
        for c in told_of:
            own, deviation = _lost(every, [c], half=True)
            if own - chances * deviation > CLASS_DROP:
                labels = self.detector.objects if isinstance(every, Detected) else self.detector.labels
                lost_of = f"{labels.shown(c)} {own:.1f} ± {deviation:.1f} points of {of_class}"
                return Answer(f"{name} costs {lost_of}", told, lost)
        return Answer(None, told, lost)


def _among(found: Detected | Placed, some: set[int]) -> list[int]:
    """Of the classes that are there, these."""
    return [c for c in found.present if c in some]


def _lost(
    found: Detected | Placed, classes: Sequence[int], *, half: bool, copies: int = 1
) -> tuple[float, float]:
    """Points of average precision (of the overlap, at places), and the standard deviation of chance in
    them. copies: how many of each image there are, one set behind another, which are drawn together."""
    count = len(found.truth) // copies
    drawn = np.tile(drawn_anew(count, found.seed), copies)

    def lost(times: np.ndarray) -> float:
        def of(name: str) -> float:
            if isinstance(found, Detected):
                return found.ap(name, classes, times, half=half)
            return float(found.of_class(name, classes, times))

        return of("original") - of("edited")

    points = lost(np.ones(count * copies, int)) if len(classes) else np.nan
    if np.isnan(points):  # nothing of them is there, or none was drawn
        return 0.0, 0.0
    return points, float(np.nanstd([lost(times) for times in drawn]))
