"""Probes: inputs of the model, sample by sample, with or without their classes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike


@dataclass(frozen=True, eq=False)
class Probes:
    """Inputs that the tool may look at; make them with `load_probes`.

    feeds: input name -> array, axis 0 counts samples. y: int64 [N] class of each sample, or None.
    source: what the user gave, as messages and reports name it.
    """

    feeds: dict[str, np.ndarray]
    y: np.ndarray | None
    source: str

    def __len__(self) -> int:
        """The number of samples, N."""
        return len(next(iter(self.feeds.values())))

    def select(self, which: ArrayLike) -> "Probes":
        """The samples at integer indices, in that order, or those where a bool [N] mask holds.

        Raises IndexError if an index, or the mask's length, does not fit.
        """
        index = np.asarray(which)
        if not index.size:
            index = index.astype(np.intp)  # an empty list is float to numpy
        feeds = {name: array[index] for name, array in self.feeds.items()}
        return Probes(feeds, None if self.y is None else self.y[index], self.source)
