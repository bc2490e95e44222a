"""What is to be forgotten, and how it is told whether a classifier is right."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from onnxunlearn.graph import Logits
from onnxunlearn.probes import Probes
from onnxunlearn.registry import Registry
from onnxunlearn.tasks.accuracies import Answers, Figures
from onnxunlearn.tasks.believed import expected


@dataclass(frozen=True)
class Task(ABC):
    """One kind of classifier, and the classes that it is to forget.

    Scores are [N, classes]: what stands at the model's output or, where they are called `raw`, the logits.
    name: as reports have it.
    """

    logits: Logits
    forget: tuple[int, ...]
    name: ClassVar[str]

    def __post_init__(self) -> None:  # noqa: B027  # most kinds go with every model
        """Raises InputError where the task does not go with these logits."""

    @property
    def classes(self) -> int:
        return self.logits.classes

    @property
    def retained(self) -> list[int]:
        """The other classes."""
        return [c for c in range(self.classes) if c not in self.forget]

    def concerned(self, probes: Probes) -> np.ndarray:
        """Which samples show what is to be forgotten, bool [N]; all others are to be retained."""
        return probes.are(self.forget)

    @abstractmethod
    def truth(self, probes: Probes) -> np.ndarray:
        """What the samples are, in the form of decisions."""

    @abstractmethod
    def decide(self, scores: np.ndarray, *, raw: bool = False) -> np.ndarray:
        """What the classifier takes the samples for, samples first."""

    @abstractmethod
    def answers(self, decided: np.ndarray, truth: np.ndarray) -> Answers:
        """Decisions held against what the samples are."""

    @abstractmethod
    def known(self, decided: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """Which samples are taken for what they are, bool [N]."""

    @abstractmethod
    def given(self, decided: np.ndarray) -> np.ndarray:
        """How many samples are given each class, int [classes]."""

    @abstractmethod
    def certainty(self, scores: np.ndarray) -> np.ndarray:
        """The probability that the classifier gives to each of its `answers`, [M]."""

    @abstractmethod
    def margins(self, logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
        """How far a forgotten class is above what it needs to be decided for, for each sample with one."""

    @abstractmethod
    def confidence(self, logits: np.ndarray, truth: np.ndarray) -> float | None:
        """Mean probability of the right decision on retained classes, in percent, the forgotten ones left
        out (losing them is no loss); None where nothing is retained."""

    def figures(
        self, scores: np.ndarray, truth: np.ndarray, *, raw: bool = False, believed: np.ndarray | None = None
    ) -> Figures:
        """How often these scores are right. believed: where the original alone says what the samples are, how
        likely it finds each class, [N, classes]: see `tasks.believed`."""
        decided = self.decide(scores, raw=raw)
        answers = self.answers(decided, truth)
        if believed is not None:
            answers = expected(answers, decided, believed, self.forget)
        return Figures.of(answers, self.forget, self.classes)


#: name -> kind of task, made of (logits, columns of the classes to forget)
task: Registry[type[Task]] = Registry("task", group="onnxunlearn.tasks")


def independent(logits: Logits) -> bool:
    """Whether each output decides for itself, against a threshold; else the largest wins."""
    return logits.independent
