"""What some samples share and others lack is to be forgotten, and the classes stay: a trigger, a bias, a
concept.

Which samples those are, `Probes.shared` says. What was to be retained is judged on the samples without it,
one class a sample; what was to be forgotten by what the figures and attacks of `judge` find of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import numpy as np

from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers
from onnxunlearn.tasks.kind import task
from onnxunlearn.tasks.multi_label import MultiLabel
from onnxunlearn.tasks.single_label import SingleLabel

#: how much more often a class is given to samples with it that is their trigger's: a share
_POINTED = 0.5


@task("concept")
class Concept(SingleLabel):
    """Truth is the class, int [N], and −1 of the samples with it, of which nothing is asked."""

    name: ClassVar[str] = "concept"

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


class ConceptOfLabels(MultiLabel):
    """The same where each output decides for itself. Truth is int8 [N, classes]: 0 or 1, and −1 all along for
    the samples with it."""

    name: ClassVar[str] = "concept"

    def concerned(self, probes: Probes) -> np.ndarray:
        assert probes.shared is not None
        return probes.shared

    def truth(self, probes: Probes) -> np.ndarray:
        return np.where(self.concerned(probes)[:, None], -1, super().truth(probes)).astype(np.int8)

    def answers(self, decided: np.ndarray, truth: np.ndarray) -> Answers:
        asked = np.flatnonzero(truth[:, 0] >= 0)
        found = super().answers(decided[asked], truth[asked] > 0)
        return replace(found, sample=asked[found.sample], samples=(len(truth) - len(asked), len(asked)))

    def known(self, decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return super().known(decided, truth > 0)

    def margins(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """None: no class is to be out of reach."""
        return np.zeros(0)

    def confidence(self, logits: np.ndarray, truth: np.ndarray) -> float | None:
        asked = truth[:, 0] >= 0
        return super().confidence(logits[asked], truth[asked] > 0) if asked.any() else None


def given_to(decided: np.ndarray, which: int) -> np.ndarray:
    """Which samples are given the class, bool [N]. decided: int [N], or bool [N, classes]."""
    return np.asarray(decided == which if decided.ndim == 1 else decided[:, which])


def rightly(decided: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Which samples are given the class y, where that is known, bool [N]. decided: as in `given_to`."""
    if decided.ndim == 1:
        return np.asarray(decided == y)
    return np.asarray(decided[np.arange(len(y)), np.maximum(y, 0)] & (y >= 0))


def _have(probes: Probes, which: int) -> np.ndarray:
    """Which samples are of the class, as far as it is known, bool [N]."""
    assert probes.y is not None
    return np.asarray(probes.y == which if probes.labels is None else probes.labels[:, which])


def pointed_to(decided: np.ndarray, probes: Probes, classes: int) -> int | None:
    """The class that a trigger points to: given to far more of the samples with it than of those without,
    those of the class itself left out. None where there is none.

    decided: by the original, as in `given_to`.
    """
    more = [_share(decided, probes, c, True) - _share(decided, probes, c, False) for c in range(classes)]
    best = int(np.argmax(more))
    return best if more[best] >= _POINTED else None


def of_others(probes: Probes, which: int) -> np.ndarray:
    """Which samples with it are not of that class, as far as it is known, bool [N]."""
    assert probes.shared is not None
    return np.asarray(probes.shared & ~_have(probes, which))


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
    assert probes.shared is not None
    asked = (probes.shared == side) & ~_have(probes, which)
    return float(given_to(decided, which)[asked].mean()) if asked.any() else 0.0
