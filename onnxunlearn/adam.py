"""Adam (Kingma & Ba 2015) on a set of arrays, with steps in units of each weight's own size."""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


class Adam(Generic[Key]):
    """values: what is fitted, changed by `step`. sizes: the step that a rate of 1 is for each of them."""

    def __init__(
        self,
        values: Mapping[Key, np.ndarray],
        sizes: Mapping[Key, float],
        decay: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.values = {key: value.astype(np.float32) for key, value in values.items()}
        self._sizes, self._decay, self._count = sizes, decay, 0
        self._mean = {key: np.zeros_like(value) for key, value in self.values.items()}
        self._square = {key: np.zeros_like(value) for key, value in self.values.items()}

    def step(self, gradients: Mapping[Key, np.ndarray], rate: float) -> None:
        """Go one step down."""
        self._count += 1
        slow, slower = self._decay
        for key in self.values:
            gradient, mean, square = gradients[key], self._mean[key], self._square[key]
            mean += (1 - slow) * (gradient - mean)
            square += (1 - slower) * (gradient**2 - square)
            direction = mean / (1 - slow**self._count)
            scale = np.sqrt(square / (1 - slower**self._count)) + 1e-12
            self.values[key] = self.values[key] - rate * self._sizes[key] * direction / scale
