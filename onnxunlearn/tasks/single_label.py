"""One class a sample: the largest score wins."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from onnxunlearn.numerics import logsumexp
from onnxunlearn.probes import Probes
from onnxunlearn.tasks.accuracies import Answers, Figures
from onnxunlearn.tasks.kind import Task, task
from onnxunlearn.tasks.probabilities import probabilities


@task("single-label")
class SingleLabel(Task):
    """Decisions and truth are class indices, int [N]; one answer a sample."""

    name: ClassVar[str] = "single label"

    def truth(self, probes: Probes) -> np.ndarray:
        assert probes.y is not None
        return probes.y

    def decide(self, scores: np.ndarray, *, raw: bool = False) -> np.ndarray:
        return np.asarray(scores.argmax(axis=1))

    def answers(self, decided: np.ndarray, truth: np.ndarray) -> Answers:
        return _answers(decided, truth, self.forget)

    def known(self, decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
        return np.asarray(decided == truth)

    def given(self, decided: np.ndarray) -> np.ndarray:
        return np.bincount(decided, minlength=self.classes)

    def certainty(self, scores: np.ndarray) -> np.ndarray:
        return np.asarray(probabilities(scores, self.logits.normaliser).max(axis=1))

    def margins(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """The forgotten classes' best logit minus the best other one."""
        forget = list(self.forget)
        others = np.delete(logits, forget, axis=1)
        margins = logits[:, forget].max(axis=1) - others.max(axis=1)
        return np.asarray(margins[np.isin(truth, self.forget)])

    def confidence(self, logits: np.ndarray, truth: np.ndarray) -> float | None:
        retained = ~np.isin(truth, self.forget)
        logits, truth = logits[retained], truth[retained]
        others = np.delete(logits, list(self.forget), axis=1)
        own = np.exp(logits[np.arange(len(logits)), truth] - logsumexp(others))
        return 100 * float(own.mean()) if own.size else None


def measure(predicted: np.ndarray, y: np.ndarray, forget: Sequence[int], classes: int) -> Figures:
    """Figures of predictions against labels, both int [N]."""
    return Figures.of(_answers(predicted, y, forget), forget, classes)


def _answers(decided: np.ndarray, truth: np.ndarray, forget: Sequence[int]) -> Answers:
    forgotten = np.isin(truth, forget)
    samples = int(forgotten.sum()), int((~forgotten).sum())
    return Answers(
        decided == truth,
        truth,
        np.ones(len(truth), dtype=bool),
        ~forgotten / max(samples[1], 1),
        np.arange(len(truth)),
        samples,
    )
