"""Class scores as probabilities."""

import numpy as np

from onnxunlearn.numerics import softmax


def probabilities(scores: np.ndarray, normaliser: str | None) -> np.ndarray:
    """What `scores` says as probabilities [N, classes], float64, whatever stands behind the logits.

    normaliser: that of `Logits`. Independent probabilities (Sigmoid) are scaled to a sum of 1.
    """
    values = scores.astype(np.float64)
    if normaliser == "Sigmoid":
        return np.asarray(values / np.maximum(values.sum(axis=1, keepdims=True), 1e-300))
    if normaliser == "Softmax":
        return values
    return softmax(values)  # of log-probabilities, too
