"""What a classifier does on labelled data: accuracies, all and by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Figures:
    """Accuracies in percent on some samples.

    forget: samples of the forgotten classes that are still given their class. retain: all others that are
    given theirs. per_class: by class index. A value is None where there is no sample. samples: how many
    there were of (forget, retain).

    Where a sample may have several classes or none, each output decides for itself. forget: how many of the
    samples with a forgotten class it is still found in (recall). retain: recall and 100 − false positives,
    averaged, over the other outputs. per_class: recall. false_positives: by output, how many of the samples
    without the class are given it.
    """

    forget: float | None
    retain: float | None
    per_class: tuple[float | None, ...]
    samples: tuple[int, int]
    false_positives: tuple[float | None, ...] | None = None

    def to_json(self) -> dict[str, Any]:
        """Rounded to what so few samples can tell."""

        def shorten(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        found: dict[str, Any] = {
            "forget": shorten(self.forget),
            "retain": shorten(self.retain),
            "per_class": [shorten(value) for value in self.per_class],
            "samples": {"forget": self.samples[0], "retain": self.samples[1]},
        }
        if self.false_positives is not None:
            found["false_positives"] = [shorten(value) for value in self.false_positives]
        return found


def measure(predicted: np.ndarray, y: np.ndarray, forget: Sequence[int], classes: int) -> Figures:
    """Figures of predictions against labels, both int [N]."""
    right = predicted == y
    forgotten = np.isin(y, forget)
    return Figures(
        _percent(right[forgotten]),
        _percent(right[~forgotten]),
        tuple(_percent(right[y == c]) for c in range(classes)),
        (int(forgotten.sum()), int((~forgotten).sum())),
    )


def measure_labels(found: np.ndarray, labels: np.ndarray, forget: Sequence[int]) -> Figures:
    """Figures of decisions against labels, both bool [N, classes]: a sample may have several, or none."""
    classes = range(labels.shape[1])
    recall = [_percent(found[labels[:, c], c]) for c in classes]
    false = [_percent(found[~labels[:, c], c]) for c in classes]
    right = [
        [r for r in (recall[c], None if false[c] is None else 100 - (false[c] or 0)) if r is not None]
        for c in classes
        if c not in forget
    ]
    forgotten = labels[:, list(forget)]
    return Figures(
        _percent(found[:, list(forget)][forgotten]),
        float(np.mean([np.mean(parts) for parts in right])) if all(right) and right else None,
        tuple(recall),
        (int(forgotten.any(axis=1).sum()), int((~forgotten.any(axis=1)).sum())),
        tuple(false),
    )


def figures_of(
    scores: np.ndarray, y: np.ndarray, labels: np.ndarray | None, forget: Sequence[int], threshold: float
) -> Figures:
    """Figures of scores [N, classes]: of the largest against y [N], or, where `labels` says that a sample may
    have several classes, of each against the threshold."""
    if labels is None:
        return measure(scores.argmax(axis=1), y, forget, scores.shape[1])
    return measure_labels(scores > threshold, labels, forget)


def hidden(scores: np.ndarray, forget: Sequence[int]) -> np.ndarray:
    """Scores [N, classes] if the forgotten classes can never win: the trivial edit."""
    left = scores.astype(np.float64)
    left[:, list(forget)] = -np.inf
    return left


def lost_by_class(before: Figures, after: Figures, forget: Sequence[int]) -> dict[int, float]:
    """Points that each retained class lost, of those that were measured."""
    return {
        c: b - a
        for c, (b, a) in enumerate(zip(before.per_class, after.per_class, strict=True))
        if c not in forget and a is not None and b is not None
    }


def worst_class(before: Figures, after: Figures, forget: Sequence[int]) -> tuple[int, float] | None:
    """The retained class that lost most, and how many points; None where none was measured."""
    lost = lost_by_class(before, after, forget)
    return max(lost.items(), key=lambda item: item[1]) if lost else None


def _percent(right: np.ndarray) -> float | None:
    return 100 * float(right.mean()) if right.size else None
