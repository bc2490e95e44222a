"""The tensor in which a class is one number: the logits."""

from dataclasses import dataclass, field, replace

import numpy as np

from onnxunlearn.graph.ending import (
    Base,
    Columns,
)
from onnxunlearn.graph.ending.made import Made, make
from onnxunlearn.graph.view import Model

#: how far probabilities that a runtime rounds may be from a sum of 1
_ROUNDING = 1e-3


@dataclass(frozen=True)
class Logits:
    """tensor: name of the logits, [N, classes] once trailing axes of length 1 are dropped.

    output: the graph output they lead to. normaliser: what the scores are of the logits, whatever ops it is
    written in: "Softmax", "LogSoftmax", "Sigmoid", "LogSigmoid", "Exp" (in proportion to probabilities), or
    None where they are the logits, but for what is the same for all classes. scores: the last tensor that
    holds the scores, the output itself unless that is a map of classes or names only some of them; empty for
    the same. behind: all that stands between logits and output, in words. made: nodes that make the logits
    where the file has no such tensor, and `of` what; see `within`. lost: the node behind which it is not
    known what was made of probabilities. top: the probability that the scores give a class that is certain,
    where each decides for itself; 1 but for percents.
    """

    tensor: str
    output: str
    classes: int
    normaliser: str | None
    scores: str = ""
    behind: tuple[str, ...] = field(default=(), compare=False)
    made: Made | None = field(default=None, compare=False, repr=False)
    of: str = field(default="", compare=False)
    lost: str | None = field(default=None, compare=False)
    top: float = field(default=1.0, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "scores", self.scores or self.output)

    @property
    def independent(self) -> bool:
        """Whether each class decides for itself, so that a sample may have several, or none."""
        return self.normaliser in {"Sigmoid", "LogSigmoid"}

    @property
    def threshold(self) -> float:
        """The score above which a class that decides for itself is given."""
        half = 0.5 * self.top
        return {"Sigmoid": half, "LogSigmoid": float(np.log(half))}.get(self.normaliser or "", 0.0)

    @property
    def sources(self) -> frozenset[str]:
        """The tensors of the file that the logits are, or are made of."""
        if self.made is None:
            return frozenset({self.tensor})
        inner = {name for node in self.made.nodes for name in node.output}
        constants = {tensor.name for tensor in self.made.constants}
        return frozenset(n for node in self.made.nodes for n in node.input) - inner - constants

    def by_itself(self, scores: np.ndarray) -> np.ndarray:
        """The probability of each class, [N, classes], where each decides for itself."""
        values = scores.astype(np.float64)
        return np.asarray((np.exp(values) if self.normaliser == "LogSigmoid" else values) / self.top)

    def within(self, model: Model) -> Model:
        """The model with the logits among its tensors; itself where they are."""
        return model if self.made is None else self.made.within(model)

    def as_seen(self, model: Model, scores: np.ndarray) -> "Logits":
        """What is meant once scores [N, classes] are known: numbers that were taken for logits, but are
        probabilities on every sample, are those of their logarithms. scores: of several samples."""
        if self.normaliser is not None or not are_probabilities(scores):
            return self
        width = Columns.of(Base(self.scores, "log"), (1, self.classes)).sample()
        made = make(model, width, name_of(self.scores))
        behind, of = ("sum of 1", *self.behind), f"log of {self.scores}"
        return replace(self, tensor=made.name, made=made, of=of, normaliser="Softmax", behind=behind)

    def doubts(self, scores: np.ndarray) -> list[str]:
        """What must be said of scores [N, classes] whose way from the logits was not found, in lines."""
        if self.normaliser is not None:
            return []
        behind = f" behind {self.lost}" if self.lost else ""
        if are_probabilities(scores):
            return [
                f"output {self.output!r}: its scores are probabilities, but what makes them add up to 1 was "
                f"not found{behind}; their logarithms are taken for logits"
            ]
        if self.lost and (scores >= 0).all() and (scores <= 1).all():
            return [
                f"output {self.output!r}: what {self.lost} makes of probabilities is not known; its scores "
                "are taken for logits"
            ]
        return []


def are_probabilities(scores: np.ndarray) -> bool:
    """Whether every sample's scores are not negative, and add up to 1."""
    totals = scores.astype(np.float64).sum(axis=1)
    return bool(len(scores) and (scores >= 0).all() and np.abs(totals - 1).max() <= _ROUNDING)


def name_of(scores: str) -> str:
    """What logits are called that the file has no tensor of."""
    return f"logits of {scores}"
