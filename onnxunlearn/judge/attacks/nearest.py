"""The nearest neighbours: what lies together is found however it is bent, and without any training.

Source: Cover & Hart, IEEE Trans. Inf. Theory 1967.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_NEIGHBOURS = 5
_DRAWS = 5


@attack("nearest")
def nearest(evidence: Evidence) -> Iterator[Row]:
    """What the five nearest of 20 samples a class say, by standardised features."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "nearest",
        lambda n: f"found by {_NEIGHBOURS} nearest of {n} a class",
        _neighbours,
        draws=_DRAWS,
        doing="asking the nearest neighbours in",
    )


def _neighbours(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(n_neighbors=min(_NEIGHBOURS, len(y)), weights="distance").fit(x, y)
