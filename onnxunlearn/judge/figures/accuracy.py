"""How often the classes to forget are still found, and the others."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import Measured, share
from onnxunlearn.judge.row import Row

#: so many are named
_FEW = 5


@figure("accuracy")
def accuracy(evidence: Evidence) -> Iterator[Row]:
    """Samples of the forgotten classes that are still given their class, and of all others; and how many
    points the others lost against the original."""
    models = evidence.names
    names = [evidence.class_name(c) for c in evidence.forget]
    which = ", ".join(names) if len(names) <= _FEW else f"{len(names)} classes"
    if names:
        yield Row("forget", f"to forget: {which}", "percent", {n: _forget(evidence, n) for n in models})
    title = "to retain: all others" if names else "to retain: without it"
    yield Row("retain", title, "percent", {n: _retain(evidence, n) for n in models})
    lost = {n: evidence.lost(n).measured() for n in models if n != "original"}
    yield Row("lost", "retain accuracy lost", "points", lost, table="")


def _forget(evidence: Evidence, name: str) -> Measured:
    answers = evidence.answers[name]
    asked = answers.present & np.isin(answers.of, evidence.forget)
    return share(int(answers.right[asked].sum()), int(asked.sum()))


def _retain(evidence: Evidence, name: str) -> Measured:
    value = evidence.accuracies[name].retain
    count = round(evidence.lost(name).of)
    return share((value or 0.0) / 100 * count, count)
