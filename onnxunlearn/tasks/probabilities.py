"""Class scores as probabilities."""

import numpy as np

from onnxunlearn.graph import are_probabilities
from onnxunlearn.numerics import softmax


def probabilities(scores: np.ndarray, normaliser: str | None) -> np.ndarray:
    """What `scores` says as probabilities [N, classes], float64, whatever stands behind the logits.

    normaliser: that of `Logits`. Independent probabilities, and whatever else is only in proportion to
    probabilities, are scaled to a sum of 1. What is probabilities already, as its numbers show, is never
    normalised again.
    """
    values = scores.astype(np.float64)
    if normaliser == "LogSigmoid":
        values = np.exp(values)
    elif normaliser in {None, "LogSoftmax"} and not are_probabilities(values):
        return softmax(values)
    return np.asarray(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300))
