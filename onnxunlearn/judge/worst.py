"""The retained class that lost most: one rule, whatever a class is told by."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from onnxunlearn.judge.intervals import CONFIDENCE, Measured
from onnxunlearn.judge.target import Status, Target, against
from onnxunlearn.tasks.budget import CLASS_DROP


class Worst(NamedTuple):
    """of: which class. reached: points that it lost, with the bounds that decide. status, met: what all
    classes say together."""

    of: int
    reached: Measured
    status: Status
    met: bool | None


def worst_of(
    classes: Sequence[int],
    lost: Callable[[int, float], Measured],
    enough: Collection[int],
    order: Callable[[Target], tuple[Any, ...]],
) -> Worst:
    """lost: points of a class, with that confidence. enough: classes that are told by enough samples; the
    figures of the others do not count. order: of classes that weigh alike, the largest comes first.

    All classes have to be within the limit with their upper bounds for it to pass; for it to be missed, one
    must be beyond with a lower bound that allows for as many classes as were looked at (Bonferroni).
    """
    strict = 1 - (1 - CONFIDENCE) / len(classes)
    judged = {c: against("", lost(c, CONFIDENCE), CLASS_DROP) for c in classes}
    allowed = {c: against("", lost(c, strict), CLASS_DROP) for c in classes if judged[c].status == "missed"}
    missed = {c for c, target in allowed.items() if target.status == "missed"}

    def weight(c: int) -> tuple[Any, ...]:
        return c in missed, c in enough and not judged[c].met, *order(judged[c])

    worst = max(classes, key=weight)
    status: Status = "undecided"
    if missed:
        status = "missed"
    elif all(target.status == "passed" for target in judged.values()):
        status = "passed"
    counts = {*enough, *missed}
    shown = allowed if status == "undecided" and worst in allowed else judged
    return Worst(worst, shown[worst].reached, status, all(judged[c].met for c in counts) if counts else None)
