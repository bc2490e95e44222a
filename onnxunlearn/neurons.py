"""Relevance -> neurons: score the channels of a tensor and choose among them."""

from collections.abc import Iterable

import numpy as np


def neuron_relevance(relevance: np.ndarray, axis: int) -> np.ndarray:
    """Relevance of each neuron, [N, neurons]: the sum over space or tokens.

    relevance: [N, ...], at a layer's output; `axis` counts its neurons (`Layer.axis`).
    """
    channels_last = np.moveaxis(relevance, axis, -1)
    return np.asarray(channels_last.reshape(len(relevance), -1, channels_last.shape[-1]).sum(axis=1))


def top_k(scores: np.ndarray, k: int) -> np.ndarray:
    """Which neurons are among the k highest of their sample and positive: bool [N, neurons].

    A neuron with relevance ≤ 0 does not speak for the class, however few others do.
    """
    neurons = scores.shape[1]
    chosen = np.zeros(scores.shape, bool)
    best = np.argsort(-scores, axis=1, kind="stable")[:, : min(k, neurons)]
    np.put_along_axis(chosen, best, True, axis=1)
    return chosen & (scores > 0)


def frequency(scores: np.ndarray, k: int) -> np.ndarray:
    """Share of samples in which each neuron is among the top k, [neurons] in [0, 1]; 0 without samples."""
    return np.asarray(top_k(scores, k).mean(axis=0)) if len(scores) else np.zeros(scores.shape[1])


def ranked(score: np.ndarray, candidates: np.ndarray) -> np.ndarray:
    """Indices of the `candidates` (bool [neurons]), highest score first; ties in index order."""
    order = np.argsort(-score, kind="stable")
    return np.asarray(order[candidates[order]])


def union(groups: Iterable[np.ndarray]) -> np.ndarray:
    """Every index that occurs in any group, sorted."""
    groups = list(groups)
    return np.unique(np.concatenate(groups)) if groups else np.empty(0, np.int64)
