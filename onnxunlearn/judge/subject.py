"""One model under examination, run once: what it says of the samples, and what it makes of them inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.judge.compare import agreement, divergence, redistribution
from onnxunlearn.judge.features import features
from onnxunlearn.judge.judge import scores
from onnxunlearn.tasks import probabilities


@dataclass(frozen=True, eq=False)
class Subject:
    """scores: at the model's output, [N, classes]. features: [N, d], None where there is no head to find."""

    model: Model
    logits: Logits
    scores: np.ndarray
    features: np.ndarray | None

    @classmethod
    def of(cls, model: Model, logits: Logits, engine: Engine, feeds: Feeds, batch_size: int) -> "Subject":
        """Run the model on the samples."""
        said = scores(model, logits, engine, feeds, batch_size)
        try:
            inner = features(model, logits, engine, feeds, batch_size)
        except UnsupportedError:
            inner = None
        return cls(model, logits, said, inner)

    @property
    def predicted(self) -> np.ndarray:
        """Classes, int [N]."""
        return np.asarray(self.scores.argmax(axis=1))

    @cached_property
    def probabilities(self) -> np.ndarray:
        """[N, classes]."""
        return probabilities(self.scores, self.logits.normaliser)


@dataclass(frozen=True)
class Likeness:
    """How alike two models are; see `judge.compare`.

    Of divergence and agreement, the first is on samples of the forgotten classes, the second on all others.
    """

    redistribution: float | None
    divergence: tuple[float | None, float | None]
    agreement: tuple[float | None, float | None]


def likeness(first: Subject, second: Subject, y: np.ndarray, forget: Sequence[int]) -> Likeness:
    """Compare what two models say of the same samples."""
    forgotten = np.isin(y, forget)
    halves = forgotten, ~forgotten
    return Likeness(
        redistribution(first.predicted, second.predicted, y, forget, first.logits.classes),
        _pair(*(divergence(first.probabilities[h], second.probabilities[h]) for h in halves)),
        _pair(*(agreement(first.predicted[h], second.predicted[h]) for h in halves)),
    )


def _pair(forget: float | None, retain: float | None) -> tuple[float | None, float | None]:
    return forget, retain
