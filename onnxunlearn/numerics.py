"""Functions of class scores that must not overflow, all over the last axis."""

import numpy as np


def softmax(scores: np.ndarray) -> np.ndarray:
    """exp(scores) in proportion: sums to 1."""
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def logsumexp(scores: np.ndarray) -> np.ndarray:
    """log Σ exp."""
    top = scores.max(axis=-1)
    return np.asarray(top + np.log(np.exp(scores - top[..., None]).sum(axis=-1)))


def log_softmax(scores: np.ndarray) -> np.ndarray:
    """The logarithm of `softmax`, exact where that is 0."""
    return np.asarray(scores - logsumexp(scores)[..., None])


def entropy(probabilities: np.ndarray) -> np.ndarray:
    """In bits."""
    p = probabilities.astype(np.float64)
    return np.asarray(-(p * np.log2(np.maximum(p, np.finfo(p.dtype).tiny))).sum(axis=-1))
