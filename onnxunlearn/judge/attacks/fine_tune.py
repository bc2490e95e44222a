"""Fine-tuning of all weights on a few samples of every class: how many steps bring the class back.

The head's row of the class starts as the mean of the others', in every model: what a hidden logit still has
of its own is not given back for nothing. Source: "Dormant to Deleted" (2025, arXiv 2505.22310).
A figure says nothing by itself: at enough steps any model learns any class. It is held against a reference.
"""

from collections.abc import Iterator, Mapping

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.probing import Relearned, compared, opponents, some_of
from onnxunlearn.judge.attacks.attackers.training import Learner, multiply_adds
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN
from onnxunlearn.judge.row import Row

#: steps of Adam after which the class is asked for
_STEPS = (20, 30, 100)
_RATE, _BATCH = 1e-3, 50
_PER_CLASS, _DRAWS = 20, 2
#: multiply-adds a sample up to which it runs without being asked for: a minute or two
_MOST = 3e7
#: samples of the class that are asked
_ASKED = 200
_TABLE = f"to forget, after fine-tuning on {_PER_CLASS} a class"


@attack("fine-tune")
def fine_tune(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps."""
    if not evidence.thorough or evidence.fitting.made is not None or evidence.made:
        return
    if evidence.probes.labels is not None or evidence.fitting is not evidence.probes:
        return
    against = _against(evidence)
    if against is None:
        return
    cost = multiply_adds(evidence.subjects["original"], evidence.probes)
    if evidence.attacks is None and cost > _MOST:
        note = f"not run: {cost:.1e} multiply-adds a sample would take hours; ask for it with --attacks"
        yield Row(f"fine-tune {_STEPS[0]}", "not run", "percent", {"edited": UNKNOWN}, _TABLE, note)
        return
    found: dict[str, list[Relearned | None]] = {}
    for name in [name for name in evidence.names if name != "original"]:
        evidence.progress(f"fine-tuning the {name}")
        of = "original" if name == "mask" else name  # without its row that is what the mask is
        found[name] = _curve(evidence, of, against)
    for i, steps in enumerate(_STEPS):
        at: Mapping[str, Relearned | None] = {name: curve[i] for name, curve in found.items()}
        if any(at.values()):
            yield from compared(at, f"fine-tune {steps}", f"fine-tuned, {steps} steps", False, _TABLE)


def _against(evidence: Evidence) -> list[int] | None:
    """The classes that are fitted beside the forgotten ones."""
    features = evidence.subjects["original"].features(evidence.probes)
    return None if features is None else opponents(features, evidence.y, evidence.forget, evidence.seed)


def _curve(evidence: Evidence, name: str, against: list[int]) -> list[Relearned | None]:
    """After each of _STEPS; every model is given the same samples in the same order."""
    y, known = evidence.y, some_of(evidence.forget, evidence.seed)
    right = np.full((len(_STEPS), _DRAWS, len(y)), -1, np.int8)
    per_class = _PER_CLASS
    for draw in range(_DRAWS):
        rng = np.random.default_rng((evidence.seed, draw))
        few = min(int((y == c).sum()) for c in known)
        per_class = _PER_CLASS if few > _PER_CLASS else max(2, few // 2)
        drawn = [rng.permutation(np.flatnonzero(y == c))[:per_class] for c in (*known, *against)]
        chosen = np.concatenate(drawn)
        asked = rng.permutation(np.setdiff1d(np.flatnonzero(np.isin(y, known)), chosen))[:_ASKED]
        if not len(asked):
            return [None] * len(_STEPS)
        try:
            learner = Learner.of(evidence.subjects[name], evidence.forget, _RATE)
            fitted = evidence.probes.select(chosen)
            judges = evidence.probes.select(asked)
            for i, _ in enumerate(learner.steps(fitted, _BATCH, rng, _STEPS)):
                said = learner.predict(judges, _BATCH)
                if said is None:
                    return [None] * len(_STEPS)
                right[i, draw, asked] = said == y[asked]
        except UnsupportedError:
            return [None] * len(_STEPS)
    return [_relearned(rows, per_class) for rows in right]


def _relearned(rows: np.ndarray, per_class: int) -> Relearned:
    told = [row[row >= 0] for row in rows]
    return Relearned(float(np.mean([100 * t.mean() for t in told])), per_class, len(told[0]), rows)
