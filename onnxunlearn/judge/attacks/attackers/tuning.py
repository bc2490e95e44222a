"""Fine-tuning on a few samples a class: how many steps bring a class back, model by model.

Attacks of this kind differ in which weights are trained, on how many samples, and how fast. A figure says
nothing by itself: at enough steps any model learns any class. It is held against a reference.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.places import PLACE
from onnxunlearn.judge.attacks.attackers.probing import Relearned, compared, opponents, some_of
from onnxunlearn.judge.attacks.attackers.training import Learner, Scope, multiply_adds
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN
from onnxunlearn.judge.row import Row
from onnxunlearn.probes import Probes, digests

#: steps of Adam after which the class is asked for; samples a step
STEPS, BATCH = (20, 30, 100), 50
#: how often samples are drawn
DRAWS = 2
#: multiply-adds a sample up to which it runs without being asked for: a minute or two
MOST = 3e7
#: samples of the class that are asked
ASKED = 200


@dataclass(frozen=True)
class Tuning:
    """per_class: samples of each class; where a forgotten class has no more than that, half of what it has,
    or, if `strict`, nothing is done. rate: of Adam; if `relative`, a share of each weight's own size."""

    scope: Scope = "everything"
    per_class: int = 20
    rate: float = 1e-3
    strict: bool = False
    relative: bool = False

    @property
    def doing(self) -> str:
        return "fine-tuning" if self.scope == "everything" else f"fine-tuning {self.scope} of"


def curves(evidence: Evidence, name: str, tuning: Tuning = Tuning()) -> Iterator[Row]:
    """Rows `name STEPS` and `name STEPS-below`: samples of the class that are given it after so many steps.
    Where it cannot run, one row that says why."""
    if not evidence.thorough or not evidence.forget:
        return
    against = against_of(evidence)
    if why := refused(evidence, against, tuning):
        yield not_run(name, why)
        return
    assert against is not None
    found: dict[str, list[Relearned | None]] = {}
    for model in [model for model in evidence.names if model != "original"]:
        evidence.progress(f"{tuning.doing} the {model}")
        of = "original" if model == "mask" else model  # without its row that is what the mask is
        found[model] = curve(evidence, of, against, tuning)
    known = [r for curve in found.values() for r in curve if r is not None]
    if not known:
        yield not_run(name, "no gradient reaches every weight: an op on the way, or the head, is not covered")
        return
    scope = "" if tuning.scope == "everything" else f" {tuning.scope}"
    rate = "" if tuning.rate == Tuning.rate else f", at {tuning.rate:g}"
    rate = f", each weight by shares of {tuning.rate:g} of its own" if tuning.relative else rate
    table = f"to forget, after fine-tuning{scope} on {known[0].per_class} a class{rate}"
    told = "".join(f" ({part})" for part in [", ".join(_odd(tuning))] if part)
    for i, steps in enumerate(STEPS):
        at: Mapping[str, Relearned | None] = {model: curve[i] for model, curve in found.items()}
        if any(at.values()):
            yield from compared(at, f"{name} {steps}", f"fine-tuned{told}, {steps} steps", False, table)


def _odd(tuning: Tuning) -> Iterator[str]:
    """In what it is not the usual one."""
    if tuning.scope != Tuning.scope:
        yield tuning.scope
    if tuning.per_class != Tuning.per_class:
        yield f"{tuning.per_class} a class"
    if tuning.relative:
        yield "by shares of each weight"
    elif tuning.rate != Tuning.rate:
        yield f"rate {tuning.rate:g}"


def refused(evidence: Evidence, against: Sequence[int] | None, tuning: Tuning) -> str:
    """Why it cannot run; empty if it can."""
    if evidence.exposed.made is not None or evidence.made:
        return "probes made from the model say nothing of what real ones bring back"
    if evidence.probes.labels is not None:
        return "samples have several classes each; it trains on one"
    if evidence.exposed is not evidence.probes and evidence.placed is None:
        return "in a run there are too few samples; audit has it"
    if against is None:
        return "the head cannot be found"
    if not against:
        return "needs samples of other classes"
    counts = [int((evidence.y == c).sum()) for c in some_of(evidence.forget, evidence.seed)]
    if tuning.strict and min(counts) <= tuning.per_class:
        return f"needs more than {tuning.per_class} samples of each class to forget; there are {min(counts)}"
    cost = multiply_adds(evidence.subjects["original"], evidence.probes)
    if evidence.attacks is None and cost > MOST:
        return costly(cost)
    return ""


def costly(cost: float) -> str:
    """Why it does not run unasked. cost: multiply-adds a sample."""
    return f"{cost:.1e} multiply-adds a sample would take hours; ask for it with --attacks"


def not_run(name: str, why: str) -> Row:
    """What stands in the place of an attack that cannot run."""
    title = f"{name}: not run"
    return Row(f"{name}, not run", title, "percent", {"edited": UNKNOWN}, "not run", f"not run: {why}")


def against_of(evidence: Evidence) -> list[int] | None:
    """The classes that are fitted beside the forgotten ones."""
    features = evidence.subjects["original"].features(evidence.probes)
    return None if features is None else opponents(features, evidence.y, evidence.forget, evidence.seed)


def curve(
    evidence: Evidence, name: str, against: Sequence[int], tuning: Tuning, retained: bool = False
) -> list[Relearned | None]:
    """After each of STEPS; every model is given the same samples in the same order. retained: it sees samples
    of the other classes alone, and starts from the head as it is."""
    y, known = evidence.y, some_of(evidence.forget, evidence.seed)
    right = np.full((len(STEPS), DRAWS, len(y)), -1, np.int8)
    pool, apart = evidence.exposed, evidence.exposed is not evidence.probes  # at places, of other inputs
    assert pool.y is not None
    few = min(int((pool.y == c).sum()) for c in known)
    per_class = tuning.per_class if few > tuning.per_class or retained else max(2, few if apart else few // 2)
    for draw in range(DRAWS):
        rng = np.random.default_rng((evidence.seed, draw))
        classes = against if retained else (*known, *against)
        chosen = np.concatenate([rng.permutation(np.flatnonzero(pool.y == c))[:per_class] for c in classes])
        spared = np.isin(y, known) if apart else np.isin(y, known) & _elsewhere(pool, chosen)
        asked = rng.permutation(np.flatnonzero(spared))[:ASKED]
        if not len(asked):
            return [None] * len(STEPS)
        reset, aside = ((), evidence.forget) if retained else (evidence.forget, ())
        try:
            learner = Learner.of(
                evidence.subjects[name], reset, tuning.rate, tuning.scope, aside, tuning.relative
            )
            fitted = pool.select(chosen)
            judges = evidence.probes.select(asked)
            for i, _ in enumerate(learner.steps(fitted, BATCH, rng, STEPS)):
                said = learner.predict(judges, BATCH)
                if said is None:
                    return [None] * len(STEPS)
                right[i, draw, asked] = said == y[asked]
        except UnsupportedError:
            return [None] * len(STEPS)
    return [_relearned(rows, per_class) for rows in right]


def _elsewhere(probes: Probes, chosen: np.ndarray) -> np.ndarray:
    """Which samples are none of the chosen ones, nor, at places, of the same input as one of them, bool [N]:
    places of one input are alike."""
    left = np.ones(len(probes), bool)
    left[chosen] = False
    if PLACE not in probes.feeds:
        return left
    inputs = {name: values for name, values in probes.feeds.items() if name != PLACE}
    own = digests(replace(probes, feeds=inputs))
    seen = {own[i] for i in chosen}
    return left & np.array([digest not in seen for digest in own])


def _relearned(rows: np.ndarray, per_class: int) -> Relearned:
    told = [row[row >= 0] for row in rows]
    return Relearned(float(np.mean([100 * t.mean() for t in told])), per_class, len(told[0]), rows)
