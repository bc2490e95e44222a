"""What an edit may cost the retained classes, as far as a choice can be made by it."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from onnxunlearn.tasks.accuracies import Figures, lost_by_class

#: points that a single retained class may lose
CLASS_DROP = 2.0
#: the number of samples of which one weighs no more than that
CLASS_SAMPLES = math.ceil(100 / CLASS_DROP)
#: percent of the inputs that nobody named of which the model may say something else, at least
_UNNAMED_TURNED = 1.0
#: the same of inputs to retain whose classes are the original's own answers, for each point of the budget: no
#: edit of a trained network by the default turned 3.5 of a hundred (docs/method.md), edits that ruined unsure
#: ones 5 to 42
_OWN_TURNED = 10.0


class Dearest(NamedTuple):
    """The retained class that an edit costs most. lost, limit: points. beyond: of them, above the limit and
    what is put down to chance."""

    which: int
    lost: float
    limit: float
    beyond: float


def unnamed_turned(budget: float) -> float:
    """Percent of the inputs that nobody named of which the model may say something else: twice the points
    that accuracy may fall by, for an answer that turns was right or becomes so about as often."""
    return max(_UNNAMED_TURNED, 2 * budget)


def own_turned(budget: float) -> float:
    """Percent of the inputs to retain of which the model may say something else where the original alone says
    what they are. Accuracy is then lost by as much as it believed the old answer more than the new one, which
    is next to nothing where it believes nothing firmly: it would allow any answer to turn."""
    return max(_UNNAMED_TURNED, min(100.0, _OWN_TURNED * budget))


def tolerance(budget: float, retained: int) -> float:
    """Points of retain accuracy that may be lost on `retained` samples: the budget, but at least one sample.

    With few probes a single one weighs more than the budget, and alone it is no evidence.
    """
    return max(budget, 100 / retained) if retained else budget


def exceeds(before: Figures, after: Figures, budget: float, deviations: float = 0) -> bool:
    """Whether retain accuracy fell by more than the tolerance; False where it could not be measured.

    deviations: so many standard deviations of what chance does are tolerated, too: where m more samples
    turned wrong than right, that of m is at least √m.
    """
    if before.retain is None or after.retain is None or not before.samples[1]:
        return False
    return _beyond(before.retain - after.retain, budget, before.samples[1], deviations) > 0


def dearest_class(
    before: Figures,
    after: Figures,
    counts: np.ndarray,
    forget: Sequence[int],
    least: int = 1,
    deviations: float = 0,
) -> Dearest | None:
    """The retained class that lost most beyond the tolerance for CLASS_DROP; None where no class is left.

    counts: samples of each class. least: classes with fewer are left out. deviations: as in `exceeds`.
    """
    found = []
    for c, lost in lost_by_class(before, after, forget).items():
        if counts[c] >= least:
            samples = int(counts[c])
            beyond = _beyond(lost, CLASS_DROP, samples, deviations)
            found.append(Dearest(c, lost, tolerance(CLASS_DROP, samples), beyond))
    return max(found, key=lambda entry: entry.beyond, default=None)


def _beyond(lost: float, budget: float, samples: int, deviations: float) -> float:
    sample = 100 / samples
    chance = sample * math.sqrt(max(0.0, lost / sample))
    return lost - tolerance(budget, samples) - deviations * chance - 1e-9
