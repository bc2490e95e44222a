"""Fine-tuning of all weights on 20 samples with a trigger, labelled as it wants: how soon it works again.

Beside them, as many of every class without it, or the attacker would lose the classifier with it. At enough
steps any network learns a trigger: a figure says something only beside that of a model that never knew it.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.training import Learner, multiply_adds
from onnxunlearn.judge.attacks.attackers.tuning import ASKED, BATCH, MOST, Tuning
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured, share
from onnxunlearn.judge.row import CONCEPT, Row
from onnxunlearn.tasks import independent, of_others

#: steps of Adam after which the trigger is tried
STEPS = (10, 20, 50)
_TUNING = Tuning()
_FEW = _TUNING.per_class
_TABLE = f"attack success, after fine-tuning on {_FEW} samples with it"


@attack("concept-relearn")
def concept_relearn(evidence: Evidence) -> Iterator[Row]:
    """Attack success after 10, 20 and 50 steps."""
    c = evidence.pointed
    if not evidence.thorough or c is None or independent(evidence.task.logits):
        return
    if evidence.attacks is None and multiply_adds(evidence.subjects["original"], evidence.probes) > MOST:
        return
    found: dict[str, list[Measured]] = {}
    for name in [name for name in evidence.names if name != "original"]:
        evidence.progress(f"fine-tuning the {name}")
        try:
            found[name] = _curve(evidence, name, c)
        except UnsupportedError:
            found[name] = [UNKNOWN] * len(STEPS)
    for i, steps in enumerate(STEPS):
        values = {name: curve[i] for name, curve in found.items()}
        if any(m.value is not None for m in values.values()):
            yield Row(f"{CONCEPT}relearned {steps}", f"{steps} steps", "percent", values, _TABLE)


def _curve(evidence: Evidence, name: str, which: int) -> list[Measured]:
    """After each of STEPS; every model is given the same samples in the same order."""
    probes, rng = evidence.probes, np.random.default_rng(evidence.seed)
    assert probes.y is not None
    assert probes.shared is not None
    triggered = rng.permutation(np.flatnonzero(of_others(probes, which)))
    few = min(_FEW, len(triggered) // 2)
    asked = probes.select(triggered[few:][:ASKED])
    clean = [np.flatnonzero(~probes.shared & (probes.y == c)) for c in np.unique(probes.y[~probes.shared])]
    chosen = np.concatenate([triggered[:few], *(rng.permutation(own)[:_FEW] for own in clean)])
    fitted = probes.select(chosen)
    assert fitted.y is not None
    fitted = replace(fitted, y=np.where(np.arange(len(chosen)) < few, which, fitted.y))
    learner, found = Learner.of(evidence.subjects[name], (), _TUNING.rate), []
    for _ in learner.steps(fitted, BATCH, rng, STEPS):
        said = learner.predict(asked, BATCH)
        found.append(UNKNOWN if said is None else share(int((said == which).sum()), len(said)))
    return found
