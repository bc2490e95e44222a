"""A small network on the features: it finds what no linear probe finds.

A class that is folded (some of its samples above the others, some below, the mean in between) is out of reach
of any linear head; one hidden layer unfolds it (Pimentel et al., ACL 2020, "Information-Theoretic Probing",
on why a probe should be as able as the data allow).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_UNITS, _STEPS, _DECAY = 64, 200, 1.0
_DRAWS = 3


@attack("small-network")
def small_network(evidence: Evidence) -> Iterator[Row]:
    """What a network of one hidden layer finds that was fitted on 20 samples a class."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "small-network",
        lambda n: f"found by a small network, fitted on {n} a class",
        _network,
        draws=_DRAWS,
        doing="fitting a small network on",
    )


def _network(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    network = MLPClassifier((_UNITS,), solver="lbfgs", alpha=_DECAY, max_iter=_STEPS, random_state=seed)
    return network.fit(x, y)
