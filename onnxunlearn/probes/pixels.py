"""Arrays of images, looked at as such: where their axes are, and what their values tell."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

_LOOKED_AT = 32  # samples; for how rough all are
_SMALLEST = 8  # pixels a side; below that neighbours tell nothing


@dataclass(frozen=True, eq=False)
class Pixels:
    """Image samples [N, C, H, W], and how they come back to the order of axes that they had."""

    values: np.ndarray
    restore: Callable[[np.ndarray], np.ndarray]

    @property
    def channels(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def low(self) -> np.ndarray:
        """The smallest value of each channel, [C]."""
        return self.values.min(axis=(0, 2, 3)).astype(np.float64)

    @cached_property
    def high(self) -> np.ndarray:
        return self.values.max(axis=(0, 2, 3)).astype(np.float64)

    @property
    def are_bytes(self) -> bool:
        """Whether they could be pixels 0..255."""
        return bool(self.low.min() >= 0 and 1.5 < self.high.max() <= 255)

    @property
    def are_fractions(self) -> bool:
        """Whether they could be pixels 0..1."""
        return bool(self.low.min() >= 0 and 0.1 < self.high.max() <= 1)

    @property
    def roughness(self) -> float | None:
        """How unlike neighbours are, against far pixels: 1 for noise, a third and less for pictures.

        None for images that are too small or too flat to tell.
        """
        x = self.values[:_LOOKED_AT].astype(np.float64)
        height, width = x.shape[2:]
        if min(height, width) < _SMALLEST:
            return None
        far = np.abs(x - np.roll(x, (height // 2, width // 2), axis=(2, 3))).mean()
        near = (np.abs(np.diff(x, axis=2)).mean() + np.abs(np.diff(x, axis=3)).mean()) / 2
        return float(near / far) if far > 0 else None

    def rearranged(self) -> "Pixels | None":
        """As they are meant if H × W × C was reshaped to C × H × W instead of transposed, or back."""
        count, channels, height, width = self.values.shape
        if channels == 1:
            return None
        given = self.restore(self.values)
        if given.shape == self.values.shape:
            image = given.reshape(count, height, width, channels).transpose(0, 3, 1, 2)
        else:
            image = given.reshape(count, channels, height, width)
        return Pixels(image, self.restore)


def may_be_pixels(samples: np.ndarray) -> bool:
    """Whether these are numbers with 1 or 3 channels in second or last place; they need not be held."""
    return samples.ndim == 4 and samples.dtype.kind in "fiu" and bool({1, 3} & {*samples.shape[1::2]})


def as_pixels(samples: np.ndarray) -> Pixels | None:
    """The samples as images, if `may_be_pixels`."""
    if not may_be_pixels(samples):
        return None
    if samples.shape[1] in (1, 3):
        return Pixels(samples, lambda x: x)
    return Pixels(samples.transpose(0, 3, 1, 2), lambda x: x.transpose(0, 2, 3, 1))
