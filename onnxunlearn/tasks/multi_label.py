"""Several classes a sample, or none: each output decides for itself, against a threshold."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers, Figures
from onnxunlearn.tasks.kind import Task, independent, task


@task("multi-label")
class MultiLabel(Task):
    """Decisions and truth are bool [N, classes]; each output gives an answer for each sample."""

    name: ClassVar[str] = "multi label"

    def __post_init__(self) -> None:
        if not independent(self.logits):
            raise InputError(
                f"task multi-label: the scores are behind {self.logits.normaliser or 'no normaliser'}, where "
                "the largest wins; it is for outputs behind Sigmoid, give single-label or auto"
            )

    def truth(self, probes: Probes) -> np.ndarray:
        """Samples that are given one class have no other."""
        if probes.labels is not None:
            return probes.labels
        assert probes.y is not None
        return np.asarray(probes.y[:, None] == np.arange(self.classes))

    def decide(self, scores: np.ndarray, *, raw: bool = False) -> np.ndarray:
        return np.asarray(scores > (0 if raw else self.logits.threshold))

    def answers(self, decided: np.ndarray, truth: np.ndarray) -> Answers:
        return _answers(decided, truth, self.forget)

    def known(self, decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Those of which at least half the classes, decided or true, are both (Jaccard)."""
        both, either = (decided & truth).sum(axis=1), (decided | truth).sum(axis=1)
        return np.asarray(2 * both >= either)

    def given(self, decided: np.ndarray) -> np.ndarray:
        return np.asarray(decided.sum(axis=0))

    def certainty(self, scores: np.ndarray) -> np.ndarray:
        p = self.logits.by_itself(scores)
        return np.maximum(p, 1 - p).reshape(-1)

    def margins(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The largest logit of the forgotten classes that the sample has; the threshold is 0."""
        forget = list(self.forget)
        own = np.where(truth, logits, -np.inf)[:, forget].max(axis=1)
        return np.asarray(own[truth[:, forget].any(axis=1)])

    def confidence(self, logits: np.ndarray, truth: np.ndarray) -> float | None:
        right = np.where(truth, logits, -logits)[:, self.retained]  # the logit of the right decision
        return 100 * float(np.exp(-np.logaddexp(0, -right)).mean())


def measure_labels(found: np.ndarray, labels: np.ndarray, forget: Sequence[int]) -> Figures:
    """Figures of decisions against labels, both bool [N, classes]."""
    return Figures.of(_answers(found, labels, forget), forget, labels.shape[1])


def _answers(decided: np.ndarray, truth: np.ndarray, forget: Sequence[int]) -> Answers:
    """Retained classes weigh alike, and of each the samples with and those without it."""
    count, classes = truth.shape
    forgotten = truth[:, list(forget)].any(axis=1)
    parts = np.stack([(~truth).sum(axis=0), truth.sum(axis=0)])  # [without, with; classes]
    kept = ~np.isin(np.arange(classes), forget)
    share = kept / max(int(kept.sum()), 1) / np.maximum((parts > 0).sum(axis=0), 1)  # of each part there is
    weight = np.where(truth, share / np.maximum(parts[1], 1), share / np.maximum(parts[0], 1))
    return Answers(
        (decided == truth).reshape(-1),
        np.tile(np.arange(classes), count),
        truth.reshape(-1),
        weight.reshape(-1),
        np.repeat(np.arange(count), classes),
        (int(forgotten.sum()), int((~forgotten).sum())),
    )
