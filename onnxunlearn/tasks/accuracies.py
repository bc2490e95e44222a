"""How often a classifier is right on labelled samples: all of them, and class by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Answers:
    """What a classifier was asked, and whether it was right; all arrays [M].

    right: bool. of: the class asked about. present: bool, whether the sample has that class. weight: each
    answer's share in the accuracy on retained classes; they add up to 1, and are 0 for forgotten classes.
    sample: which sample was asked about. samples: how many there were of (forgotten, retained) classes.
    """

    right: np.ndarray
    of: np.ndarray
    present: np.ndarray
    weight: np.ndarray
    sample: np.ndarray
    samples: tuple[int, int]


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

    @classmethod
    def of(cls, answers: Answers, forget: Sequence[int], classes: int) -> "Figures":
        """The figures of these answers; false positives where absent classes were asked about, too."""
        right, present = answers.right, answers.present
        retained = answers.weight > 0
        absent = not present.all()
        return cls(
            percent(right[present & np.isin(answers.of, forget)]),
            100 * float(np.average(right[retained], weights=answers.weight[retained]))
            if retained.any()
            else None,
            tuple(percents(right[present], answers.of[present], classes)),
            answers.samples,
            tuple(percents(~right[~present], answers.of[~present], classes)) if absent else None,
        )

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


def percent(right: np.ndarray) -> float | None:
    return 100 * float(right.mean()) if right.size else None


def percents(right: np.ndarray, of: np.ndarray, classes: int) -> list[float | None]:
    """By class; None where none was asked about."""
    asked = np.bincount(of, minlength=classes)
    found = np.bincount(of, weights=right, minlength=classes)
    return [100 * float(f / n) if n else None for f, n in zip(found, asked, strict=True)]
