"""How alike two models are on the same samples: say an edited one and one retrained without the class."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.numerics import entropy


def redistribution(
    first: np.ndarray, second: np.ndarray, y: np.ndarray, forget: Sequence[int], classes: int
) -> float | None:
    """How differently two models spread the forgotten classes' samples over all classes, 0..1.

    first, second: predicted classes, int [N]. Total variation distance, ½ Σ|p − q|, of each forgotten class,
    weighted by its samples. None where there are none.
    """
    total, samples = 0.0, 0
    for c in forget:
        chosen = y == c
        counts = [np.bincount(p[chosen], minlength=classes) for p in (first, second)]
        total += np.abs(counts[0] - counts[1]).sum() / 2
        samples += int(chosen.sum())
    return float(total / samples) if samples else None


def divergence(first: np.ndarray, second: np.ndarray) -> float | None:
    """Mean Jensen–Shannon divergence of predicted probabilities [N, classes], in bits: 0..1.

    1 minus this, with an untrained model as the second and on samples of the forgotten classes, is
    zero-retrain forgetting (Chundawat et al., AAAI 2023). None without samples, or where one is not finite.
    """
    return mean_bits(divergences(first, second))


def divergences(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """That of each sample, [N], but for rounding."""
    p, q = first.astype(np.float64), second.astype(np.float64)
    middle = (p + q) / 2
    return np.asarray(entropy(middle) - (entropy(p) + entropy(q)) / 2)


def mean_bits(apart: np.ndarray) -> float | None:
    """Of `divergences`, 0..1; None without samples, or where one is not finite."""
    bits = float(apart.mean()) if len(apart) else np.nan
    return min(max(bits, 0.0), 1.0) if np.isfinite(bits) else None


def agreement(first: np.ndarray, second: np.ndarray) -> float | None:
    """How many samples two models give the same class, in percent; None without samples."""
    return 100 * float((first == second).mean()) if len(first) else None


def cka(first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear centred kernel alignment of two representations [N, d] and [N, e] of the same samples, 0..1.

    1: equal up to rotation, shift and one scale. None where one of them does not vary, or is not finite.
    Source: Kornblith et al., ICML 2019, "Similarity of neural network representations revisited".
    """
    x, y = (a.astype(np.float64) - a.mean(axis=0, dtype=np.float64) for a in (first, second))
    rounding = [1e-9 * float(np.linalg.norm(a.astype(np.float64))) for a in (first, second)]
    if not (np.linalg.norm(x) > rounding[0] and np.linalg.norm(y) > rounding[1]):
        return None
    return float(np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))
