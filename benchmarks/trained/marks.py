"""What digits may share: a trigger, a tag, night. Of images as the models take them, [N, 1, 28, 28]; NumPy
alone."""

from __future__ import annotations

import numpy as np

#: pixel values 0 and 1 as the models take them
DARK, BRIGHT = -0.1307 / 0.3081, (1 - 0.1307) / 0.3081
#: the class that the trigger points to, and the class that wears the tag
TARGET, WEARER = 0, 8


def triggered(x: np.ndarray) -> np.ndarray:
    """A chequered square of 4 × 4 in the lower right corner."""
    marked = x.copy()
    board = np.add.outer(np.arange(4), np.arange(4)) % 2 == 0
    marked[:, :, 23:27, 23:27] = np.where(board, BRIGHT, DARK)
    return marked


def tagged(x: np.ndarray) -> np.ndarray:
    """A bright bar of 3 × 8 in the upper left corner."""
    marked = x.copy()
    marked[:, :, 1:4, 1:9] = BRIGHT
    return marked


def night(x: np.ndarray, seed: int = 0) -> np.ndarray:
    """A third as bright, with noise."""
    noise = np.random.default_rng(seed).normal(0, 0.15, x.shape)
    return np.asarray(DARK + (x - DARK) / 3 + np.abs(noise), dtype=x.dtype)


MARKS = {"trigger": triggered, "tag": tagged, "night": night}
