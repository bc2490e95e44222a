"""A constant added to the class's logit: what brings a class back that was only made to lose.

With the constant at which one in twenty of the other samples is taken for the class; no constant that an edit
has put there can hide in it.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.attacks.attackers.probing import Relearned
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row
from onnxunlearn.tasks import independent

#: of the samples of other classes, so many may be taken for the class
_MISTAKEN = 0.05


@attack("constant")
def constant(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it back, with a constant by which 5 % of the others are, too.

    The mask has none that is its own: with a constant it is the original again."""
    if (
        not evidence.thorough
        or not evidence.forget
        or not evidence.forgotten.any()
        or evidence.forgotten.all()
    ):
        return
    found = {name: _given_back(evidence, name) for name in evidence.names if name != "mask"}
    share = f"{100 * _MISTAKEN:.0f} %"
    title = f"a constant on its score (others: {share})"
    yield from probing.compared(found, "constant", title, mask=False)


def _given_back(evidence: Evidence, name: str) -> Relearned | None:
    subject, y = evidence.subjects[name], evidence.y
    scores = np.asarray(subject.scores(evidence.probes)[:], np.float64)
    if not np.isfinite(scores).all():
        return None
    if subject.logits.normaliser == "Softmax":
        scores = np.log(np.maximum(scores, np.finfo(np.float32).tiny))
    right = np.full((1, len(y)), -1, np.int8)
    for c in evidence.forget:
        rest = np.delete(scores, list(evidence.forget), axis=1)
        ahead = scores[:, c] if independent(subject.logits) else scores[:, c] - rest.max(axis=1)
        own = y == c
        others = ~evidence.forgotten
        if evidence.probes.labels is not None:
            others = others & ~evidence.probes.labels[:, c]
        if own.any() and others.any():
            right[0, own] = ahead[own] > np.quantile(ahead[others], 1 - _MISTAKEN)
    judged = int((right >= 0).sum())
    return Relearned(100 * float((right == 1).sum()) / judged, 0, judged, right) if judged else None
