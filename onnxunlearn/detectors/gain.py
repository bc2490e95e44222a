"""What an edit of a detector brings: how much less of the class a new head finds in images not fitted to.

An edit of class branches alone often costs others a little and brings nothing: what stands before them tells
the class as before. Then hiding the scores is the better edit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model
from onnxunlearn.judge import relearn
from onnxunlearn.probes import Probes, beside

#: points of what a new head finds that an edit has to take off; and held images that show the class and tell
#: it at least: places of one are alike (three told it of an edit that took off half a point elsewhere)
_LEAST, _IMAGES = 5.0, 8
#: heads that are fitted: of many classes there are one or two places of each, and one head hangs on which
_DRAWS = 20


def check_tells(detector: Detector, fitted: Seen, held: Seen, more: int = 0) -> None:
    """Raises UnsupportedError where too few images that are not fitted to show the class. more: images to
    retain that do: nothing is fitted to their places of it."""
    count = more + (0 if held is fitted else int(held.showing(detector.forgotten).sum()))
    if count < _IMAGES:
        raise UnsupportedError(
            f"class branches: {count} of the images that are held show the class; {_IMAGES} tell what an "
            f"edit there brings: give some {9 * _IMAGES} that show it, as two thirds choose and a sixth of "
            f"these is held; or some {_IMAGES * 3 // 2} that show it among those to --retain"
        )


@dataclass(frozen=True, eq=False)
class Gain:
    """head: number of the one that says the class at most places of images that are held. places: of those
    that are fitted to, and held ones, which judge, bool [N]; None where there are too few."""

    detector: Detector
    head: int
    places: Probes | None
    judging: np.ndarray

    @classmethod
    def of(cls, detector: Detector, fitted: Seen, held: Sequence[Seen]) -> "Gain":
        """fitted, held: images."""
        best = cls(detector, 0, None, np.zeros(0, bool))
        most = 0
        for head in range(len(detector.heads)):
            own = detector.drawn(head, fitted, judge=True)
            drawn = [p for seen in held if (p := detector.drawn(head, seen, judge=True)) is not None]
            if own is None or not drawn:
                continue
            others = reduce(beside, drawn)
            if (count := int(others.are(detector.forget).sum())) <= most:
                continue
            most, judging = count, np.repeat([False, True], [len(own), len(others)])
            best = cls(detector, head, beside(own, others), judging)
        return best

    def refused(self, name: str, edited: Model) -> str | None:
        """What speaks against an edit, None if nothing does. name: it in words."""
        before, after = (self._found(model) for model in (self.detector.model, edited))
        if before is None or after is None:
            return f"{name}: too few images tell whether a new head finds less of the class"
        if before - after >= _LEAST:
            return None
        return (
            f"{name} brings too little: a new head finds {after:.0f} % of the class's places in images that "
            f"are held, {before:.0f} % before"
        )

    def _found(self, model: Model) -> float | None:
        if self.places is None:
            return None
        features = self.detector.inquiry(self.head, model).original.features(self.places)
        if features is None or self.places.y is None:
            return None
        forget, seed = self.detector.forget, self.detector.options.seed
        found = relearn(features, self.places.y, forget, judging=self.judging, seed=seed, draws=_DRAWS)
        return None if found is None else found.accuracy
