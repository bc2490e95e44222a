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
    """

    forget: float | None
    retain: float | None
    per_class: tuple[float | None, ...]
    samples: tuple[int, int]

    def to_json(self) -> dict[str, Any]:
        """Rounded to what so few samples can tell."""

        def shorten(value: float | None) -> float | None:
            return None if value is None else round(value, 4)

        return {
            "forget": shorten(self.forget),
            "retain": shorten(self.retain),
            "per_class": [shorten(value) for value in self.per_class],
            "samples": {"forget": self.samples[0], "retain": self.samples[1]},
        }


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


def masked(logits: np.ndarray, forget: Sequence[int]) -> np.ndarray:
    """Predictions [N] if the forgotten classes can never win: the trivial edit."""
    hidden = logits.astype(np.float64)
    hidden[:, list(forget)] = -np.inf
    return np.asarray(hidden.argmax(axis=1))


def worst_class(before: Figures, after: Figures, forget: Sequence[int]) -> tuple[int, float] | None:
    """The retained class that lost most, and how many points; None where none was measured."""
    lost = {
        c: b - a
        for c, (b, a) in enumerate(zip(before.per_class, after.per_class, strict=True))
        if c not in forget and a is not None and b is not None
    }
    return max(lost.items(), key=lambda item: item[1]) if lost else None


def _percent(right: np.ndarray) -> float | None:
    return 100 * float(right.mean()) if right.size else None
