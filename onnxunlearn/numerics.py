"""Functions of class scores that must not overflow, all over the last axis; and rows of bounded length."""

from collections.abc import Collection

import numpy as np


def hidden(scores: np.ndarray, classes: Collection[int]) -> np.ndarray:
    """The scores, float64, if these classes can never win: the trivial edit, as one imagines it."""
    left = scores.astype(np.float64)
    left[..., list(classes)] = -np.inf
    return left


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


def folded_rows(values: np.ndarray, most: int, seed: int) -> np.ndarray:
    """One row of at most `most` numbers a sample, of [N, ...]: more are added up with random signs, which
    keeps distances (Achlioptas 2003), the same ones for the same seed."""
    rows = values.reshape(len(values), -1)
    folds = -(-rows.shape[1] // most)
    if folds <= 1:
        return rows
    signs = np.random.default_rng(seed).choice(np.array([-1, 1], np.float32), rows.shape[1])
    padded = np.pad(rows * signs, ((0, 0), (0, folds * most - rows.shape[1])))
    return np.asarray(padded.reshape(len(rows), folds, most).sum(axis=1))


def unit_rows(values: np.ndarray) -> np.ndarray:
    """Each of [N, d] divided by its length, float64; what is all zeros stays."""
    rows = values.astype(np.float64)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
