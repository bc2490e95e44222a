"""Five samples' mean: the least that brings a class back.

Source: "Spotter" (ICML 2026) puts the mean of five samples in the place of the class's row, times a factor
that has to be the same for every model. The nearest mean is the same without a factor: no scale of a feature
or of a row can hide in it, nor be chosen in anybody's favour.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_SHOTS, _DRAWS = 5, 20


@attack("prototypes")
def prototypes(evidence: Evidence) -> Iterator[Row]:
    """What the nearest mean of five samples a class says, by standardised features."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "prototypes",
        lambda n: f"found by the mean of {n} a class",
        means,
        per_class=_SHOTS,
        draws=_DRAWS,
        doing="taking means of",
    )


class _Means:
    """Says the class whose mean is nearest."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.classes = np.unique(y)
        self.means = np.stack([x[y == c].mean(axis=0) for c in self.classes])

    def predict(self, x: np.ndarray) -> np.ndarray:
        return np.asarray(self.classes[cdist(x, self.means).argmin(axis=1)])


def means(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """The class whose mean is nearest."""
    return _Means(x, y)
