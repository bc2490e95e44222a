"""Class scores as probabilities, and how spread out they are."""

import numpy as np


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


def softmax(scores: np.ndarray) -> np.ndarray:
    """Over the last axis."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """Of the last axis, in bits."""
    p = probabilities.astype(np.float64)
    return np.asarray(-(p * np.log2(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=-1))
