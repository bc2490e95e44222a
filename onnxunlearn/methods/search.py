"""How strong an edit may be: candidates are tried on the choosing probes, the retain budget decides."""

import math
from collections.abc import Callable, Iterable
from typing import Any

from onnxunlearn.edits import Edits
from onnxunlearn.methods.outcome import Outcome
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.tasks.budget import exceeds


def best(
    bench: Workbench, candidates: Iterable[tuple[dict[str, Any], Edits]], *, asked: bool = False
) -> Outcome:
    """The candidate that brings the classes out of reach at the least cost to the others.

    candidates: (what was chosen, for the report; the edits). Only affordable ones count
    (`Workbench.affordable`); where none of them forgets the classes, the one that comes closest. Where none
    is affordable, the cheapest of those that lose no more accuracy than the budget on the choosing probes; of
    none of these, an edit that changes nothing. asked: the user set how strong it shall be; the first is
    taken, whatever it costs.
    """
    found = Outcome(Edits(bench.model), {"affordable": False})
    lowest = (True, math.inf, 0.0)
    for details, edits in candidates:
        trial = bench.trial(edits)
        affordable = bench.affordable(trial)
        outcome = Outcome(edits, {**details, "affordable": affordable, "reach": trial.noted})
        if asked:
            return outcome
        order = (not affordable, max(trial.reach, 0.0) if affordable else 0.0, -(trial.confidence or 0.0))
        if not exceeds(bench.original.figures, trial.figures, bench.budget) and order < lowest:
            lowest, found = order, outcome
    return Outcome(found.edits, {**found.details, "trials": bench.trials})


def largest(count: int, holds: Callable[[int], bool]) -> int:
    """The largest n in 0…count for which `holds(n)`, by bisection; `holds(0)` is taken for granted."""
    low, high = 0, count
    if count and holds(count):
        return count
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
