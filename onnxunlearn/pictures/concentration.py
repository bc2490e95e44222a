"""How a layer's relevance spreads over its neurons: on few, or on all."""

from dataclasses import dataclass

import numpy as np

#: the share of positive relevance whose carriers are counted
CARRIED = 0.8


@dataclass(frozen=True, eq=False)
class LayerRelevance:
    """One layer. mean: [neurons], each neuron's relevance (summed over space or tokens), mean over samples.

    edited: the same in the model it is compared with, None without one, or if that lacks the layer.
    """

    name: str
    op: str
    mean: np.ndarray
    edited: np.ndarray | None = None

    @property
    def carriers(self) -> float:
        return carriers(self.mean)

    @property
    def gini(self) -> float:
        return gini(self.mean)

    @property
    def after(self) -> "LayerRelevance | None":
        """The edited model's layer."""
        return None if self.edited is None else LayerRelevance(self.name, self.op, self.edited)

    def top(self, count: int) -> list[int]:
        """The neurons with the highest positive relevance, highest first."""
        order = np.argsort(-self.mean, kind="stable")[:count]
        return [int(i) for i in order if self.mean[i] > 0]


def carriers(relevance: np.ndarray) -> float:
    """Share of neurons, in [0, 1], that carry 80 % of the positive relevance [neurons]; 0 without any."""
    curve = cumulative(relevance)
    return 0.0 if not curve[-1] else float(np.searchsorted(curve, CARRIED - 1e-12) + 1) / len(relevance)


def cumulative(relevance: np.ndarray) -> np.ndarray:
    """Share of the positive relevance that the 1, 2, … strongest neurons carry, [neurons]; 0 without any."""
    positive = np.sort(np.maximum(relevance.astype(np.float64), 0))[::-1]
    total = positive.sum()
    return np.asarray(np.cumsum(positive) / total) if total else positive


def gini(relevance: np.ndarray) -> float:
    """Gini coefficient of the positive relevance [neurons]: 0 if all carry alike, near 1 if one does."""
    positive = np.sort(np.maximum(relevance.astype(np.float64), 0))
    total, n = positive.sum(), len(positive)
    if not total:
        return 0.0
    return float(2 * np.sum(np.arange(1, n + 1) * positive) / (n * total) - (n + 1) / n)
