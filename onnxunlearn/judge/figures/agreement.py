"""How often a model says the same as the original where nothing was to be forgotten."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import share
from onnxunlearn.judge.row import Row


@figure("agreement")
def agreement(evidence: Evidence) -> Iterator[Row]:
    """Retained samples on which a model decides as the original does, right or wrong: this needs no
    labels."""
    decided = evidence.decided
    forget = list(evidence.forget)
    kept = ~evidence.forgotten
    values = {}
    for name, ours in decided.items():
        same = ours == decided["original"]
        if same.ndim > 1:  # of several outputs those that are retained
            same = np.delete(same, forget, axis=1).all(axis=1)
        values[name] = share(int(same[kept].sum()), int(kept.sum()))
    yield Row("agreement", "agreement with the original on others", "percent", values)
