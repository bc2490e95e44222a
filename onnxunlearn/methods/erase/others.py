"""The part of the loss that keeps a model's other outputs as they are."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.methods.kept import Kept


@dataclass(frozen=True)
class Others:
    """Mean squared move of what is kept, each number in units of its own deviation.

    pool: what the original says of the retained pool, [P, k]. forget: of every variant of the probes to
    forget, [variants, n, k]. unit: [k]. always: bool [k], what is kept for the forgotten classes, too: what
    the logits are made from is not.
    """

    pool: np.ndarray
    forget: np.ndarray
    unit: np.ndarray
    always: np.ndarray

    @classmethod
    def of(cls, pool: np.ndarray, forget: np.ndarray, kept: Sequence[Kept]) -> "Others":
        always = [np.full(k.size or 0, not k.on_the_way) for k in kept]
        deviation = pool.std(axis=0)
        unit = deviation + 0.1 * float(np.sqrt(np.mean(deviation**2))) + 1e-12 if kept else deviation
        return cls(pool, forget, unit, np.concatenate([np.empty(0, bool), *always]))

    def loss(
        self, values: np.ndarray, probes: np.ndarray, variants: np.ndarray, drawn: np.ndarray
    ) -> tuple[float, np.ndarray]:
        """And its gradient. values: [n + m, k], of these probes to forget in these variants, int [n], then of
        these samples of the pool, int [m]."""
        if not values.size:
            return 0.0, np.zeros_like(values)
        wanted = np.concatenate([self.forget[variants, probes], self.pool[drawn]])
        moved = (values - wanted) / self.unit
        moved[: len(probes), ~self.always] = 0
        return float(np.mean(moved**2)), 2 / moved.size * moved / self.unit
