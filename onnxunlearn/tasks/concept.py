"""What some samples share and others lack is to be forgotten, and the classes stay: a trigger, a bias, a
concept.

Which samples those are, `Probes.shared` says. What was to be retained is judged on the samples without it,
one class a sample; what was to be forgotten by what the figures and attacks of `judge` find of it.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers
from onnxunlearn.tasks.kind import independent, task
from onnxunlearn.tasks.single_label import SingleLabel

#: how much more often a class is given to samples with it that is their trigger's: a share
_POINTED = 0.5


@task("concept")
class Concept(SingleLabel):
    """Truth is the class, int [N], and −1 of the samples with it, of which nothing is asked."""

    name: ClassVar[str] = "concept"

    def __post_init__(self) -> None:
        if independent(self.logits):
            raise InputError(
                "task concept: each output decides for itself, behind Sigmoid; what samples share can be "
                "forgotten only where the largest score wins"
            )

    def concerned(self, probes: Probes) -> np.ndarray:
        assert probes.shared is not None
        return probes.shared

    def truth(self, probes: Probes) -> np.ndarray:
        return np.where(self.concerned(probes), -1, super().truth(probes))

    def answers(self, decided: np.ndarray, truth: np.ndarray) -> Answers:
        asked = np.flatnonzero(truth >= 0)
        count = len(asked)
        return Answers(
            decided[asked] == truth[asked],
            truth[asked],
            np.ones(count, bool),
            np.full(count, 1 / max(count, 1)),
            asked,
            (len(truth) - count, count),
        )

    def margins(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """None: no class is to be out of reach."""
        return np.zeros(0)

    def confidence(self, logits: np.ndarray, truth: np.ndarray) -> float | None:
        return super().confidence(logits[truth >= 0], truth[truth >= 0])


def pointed_to(decided: np.ndarray, probes: Probes, classes: int) -> int | None:
    """The class that a trigger points to: given to far more of the samples with it than of those without,
    those of the class itself left out. None where there is none.

    decided: by the original, int [N].
    """
    assert probes.y is not None
    assert probes.shared is not None
    more = [_share(decided, probes, c, True) - _share(decided, probes, c, False) for c in range(classes)]
    best = int(np.argmax(more))
    return best if more[best] >= _POINTED else None


def of_others(probes: Probes, which: int) -> np.ndarray:
    """Which samples with it are not of that class, as far as it is known, bool [N]."""
    assert probes.y is not None
    assert probes.shared is not None
    return np.asarray(probes.shared & (probes.y != which))


def groups_of(probes: Probes, least: int) -> Sequence[np.ndarray]:
    """Samples of one class, with it or without, bool [N] each; those of at least so many."""
    assert probes.y is not None
    assert probes.shared is not None
    found = [
        (probes.y == c) & (probes.shared == side)
        for c in np.unique(probes.y[probes.y >= 0])
        for side in (False, True)
    ]
    return [group for group in found if group.sum() >= least]


def _share(decided: np.ndarray, probes: Probes, which: int, side: bool) -> float:
    assert probes.y is not None
    assert probes.shared is not None
    asked = (probes.shared == side) & (probes.y != which)
    return float((decided[asked] == which).mean()) if asked.any() else 0.0
