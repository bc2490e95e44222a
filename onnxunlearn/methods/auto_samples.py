"""The default where what samples share is to be forgotten: `erase`, `leace`, or one on top of the other,
whichever leaves least at a price that the budget allows.

What is left is told by the choosing probes: how many with a trigger are still given its class and, where that
is the same, how many a linear probe puts rightly with or without it, fitted on half of them (pairs stay
together) and asked about the other half.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import pooled
from onnxunlearn.methods.erase.erase import Erasure
from onnxunlearn.methods.leace import scrub
from onnxunlearn.methods.outcome import Outcome
from onnxunlearn.methods.project import project
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.tasks import given_to, of_others, pointed_to, rightly

#: weight of the penalty of the probe, as a share of the mean variance
_RIDGE = 0.01


class Left(NamedTuple):
    """Shares: success of a trigger, 0 where there is none; samples that a linear probe puts on their side."""

    success: float
    told: float


def of_samples(bench: Workbench, depth: str) -> Outcome:
    """The outcome with the least left of those that are affordable; the last resort is `project`."""
    found: dict[str, Outcome] = {}
    told: dict[str, Left] = {}
    reasons = list[str]()
    erased = Edits(bench.model)

    def erase() -> Outcome:
        nonlocal erased
        outcome = Erasure(bench, depth=depth).outcome(~bench.forgotten)
        erased = outcome.edits
        return outcome

    offers: dict[str, Callable[[], Outcome]] = {
        "erase": erase,
        "erase, then leace": lambda: scrub(bench, erased.copy()),
        "leace": lambda: scrub(bench, Edits(bench.model)),
    }
    for name, offer in offers.items():
        try:
            outcome = offer()
        except UnsupportedError as error:
            reasons.append(f"{name}: {error}")
            continue
        scores = bench.scores(outcome.edits)
        if costly(bench, scores):
            reasons.append(f"{name} costs too much")
            continue
        found[name], told[name] = outcome, left(bench, outcome.edits, scores)
    if not found:
        found, told = {"project": project(bench)}, {}
    chosen = min(told, key=lambda name: told[name], default="project")
    shares = {name: {k: round(v, 4) for k, v in share._asdict().items()} for name, share in told.items()}
    details = {"chosen": chosen, "why": "; ".join(reasons), "left": shares, **found[chosen].details}
    return Outcome(found[chosen].edits, details)


def costly(bench: Workbench, scores: np.ndarray) -> bool:
    """Whether samples without it lose more than the budget allows, or those with it, of known classes, more
    than chance explains. scores: the edited model's."""
    if not bench.affordable(bench.judged(scores), deviations=1):
        return True
    known = bench.forgotten & (bench.y >= 0)
    if not known.any():
        return False
    decide = bench.task.decide
    before, after = (rightly(decide(s, raw=True), bench.y)[known] for s in (bench.before, scores))
    lost, count = int(before.sum()) - int(after.sum()), int(known.sum())
    return bool(lost > math.sqrt(max(lost, 0)) + max(1.0, bench.budget / 100 * count))


def left(bench: Workbench, edits: Edits, scores: np.ndarray) -> Left:
    """What choosing probes still show of it. scores: under these edits."""
    probes, classes = bench.probes, bench.logits.classes
    which = pointed_to(bench.task.decide(bench.before, raw=True), probes, classes)
    success = 0.0
    if which is not None and (asked := of_others(probes, which)).any():
        success = float(given_to(bench.task.decide(scores, raw=True), which)[asked].mean())
    head = bench.head
    features = bench.record([head.input], edits=edits, reduce=lambda _, x: pooled(x, head))[head.input]
    return Left(success, _told(features.astype(np.float64), bench.forgotten, _halves(bench)))


def _halves(bench: Workbench) -> np.ndarray:
    """Which samples the probe is fitted on, bool [N]; partners are together."""
    pair = bench.probes.pair
    rng, count = np.random.default_rng(bench.seed), len(bench.probes)
    fits = rng.permutation(count) < count // 2
    if pair is None:
        return fits
    numbers = np.unique(pair[pair >= 0])
    chosen = rng.permutation(numbers)[: len(numbers) // 2]
    return np.where(pair >= 0, np.isin(pair, chosen), fits)


def _told(x: np.ndarray, z: np.ndarray, fits: np.ndarray) -> float:
    """The mean of both sides' shares that least squares with a penalty puts rightly."""
    mean, spread = x[fits].mean(axis=0), x[fits].std(axis=0)
    rows = (x - mean) / np.where(spread > 1e-9, spread, np.inf)
    weight = np.where(z, 0.5 / max(z[fits].sum(), 1), 0.5 / max((~z[fits]).sum(), 1))[fits, None]
    design = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
    square = design[fits].T @ (weight * design[fits]) + _RIDGE * np.eye(design.shape[1])
    direction = np.linalg.solve(square, design[fits].T @ (weight[:, 0] * np.where(z, 1, -1)[fits]))
    right = ((design @ direction > 0) == z)[~fits]
    sides = [right[z[~fits] == side] for side in (False, True)]
    return float(np.mean([side.mean() if len(side) else 0.5 for side in sides]))
