"""How often a classifier is right where nobody said what the samples are.

Labels that are the original's own make it right on every sample by definition, so that whatever turns is
lost: also a sample that it could as well have taken for something else. What is lost in truth is what it
believed of its first answer, less what it believes of the new one. So an answer that such samples are given
counts as right as the original's own probability of it, the classes to forget left out (`methods.cost` weighs
turns likewise). If these probabilities are right, that is the accuracy to be expected.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.numerics import hidden, softmax
from onnxunlearn.tasks.accuracies import Answers


def beliefs(logits: np.ndarray, forget: Sequence[int]) -> np.ndarray:
    """Probabilities of the other classes, float64 [N, classes]: the classes to forget get 0. logits, or
    logarithms of probabilities: the original's."""
    return softmax(hidden(logits, forget))


def expected(answers: Answers, decided: np.ndarray, believed: np.ndarray, forget: Sequence[int]) -> Answers:
    """The same, where `right` of retained samples is how likely the decision is, 0..1. decided: of each
    sample, int [N]. believed: [N, classes]."""
    likely = believed[answers.sample, decided[answers.sample]]
    return replace(answers, right=np.where(np.isin(answers.of, forget), answers.right, likely))
