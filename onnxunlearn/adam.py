"""Adam (Kingma & Ba 2015) on a set of arrays, with steps in units of each weight's own size."""

from collections.abc import Hashable, Mapping
from typing import Generic, TypeVar

import numpy as np

Key = TypeVar("Key", bound=Hashable)


class Adam(Generic[Key]):
    """values: what is fitted, changed in place by `step`; copies of what it starts from. sizes: the step that
    a rate of 1 is for each of them. places: flat indices of the elements that may change, for those arrays of
    which not all may; only these have moments, so what is large but mostly fixed costs little."""

    def __init__(
        self,
        values: Mapping[Key, np.ndarray],
        sizes: Mapping[Key, float],
        decay: tuple[float, float] = (0.9, 0.999),
        places: Mapping[Key, np.ndarray] | None = None,
    ) -> None:
        self.values = {key: np.array(value, np.float32, order="C") for key, value in values.items()}
        self._sizes, self._decay, self._count = sizes, decay, 0
        self._places: Mapping[Key, np.ndarray] = places or {}
        counts = {k: len(self._places[k]) if k in self._places else v.size for k, v in self.values.items()}
        self._mean = {key: np.zeros(count, np.float32) for key, count in counts.items()}
        self._square = {key: np.zeros(count, np.float32) for key, count in counts.items()}

    def step(self, gradients: Mapping[Key, np.ndarray], rate: float) -> None:
        """Go one step down."""
        self._count += 1
        slow, slower = self._decay
        for key, value in self.values.items():
            places = self._places.get(key)
            gradient = gradients[key].reshape(-1)
            if places is not None:
                gradient = gradient[places]
            mean, square = self._mean[key], self._square[key]
            mean += (1 - slow) * (gradient - mean)
            square += (1 - slower) * (gradient**2 - square)
            step = mean / (1 - slow**self._count)
            step *= rate * self._sizes[key]
            step /= np.sqrt(square / (1 - slower**self._count)) + 1e-12
            value.reshape(-1)[slice(None) if places is None else places] -= step
