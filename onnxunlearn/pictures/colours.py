"""Relevance as colour: red speaks for the class, blue against it, zero is neutral."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Normalize

INK, SOFT, FAINT, PAPER = "#1b1f24", "#6b7280", "#d9dce1", "#ffffff"
#: series and other input drawn over coloured relevance
LINES = ("#1b1f24", "#59616c", "#8a919c", "#b0b6bf")
#: models, not relevance: neither red nor blue
ORIGINAL, EDITED = "#4b5563", "#d97706"

#: an odd number of colours: one of them is exactly the middle, and means exactly zero
DIVERGING = colormaps["RdBu_r"].resampled(257)


def symmetric(limit: float) -> Normalize:
    """-limit..limit to 0..1, zero in the middle."""
    return Normalize(-limit, limit, clip=True)


def colours(relevance: np.ndarray, limit: float) -> np.ndarray:
    """RGB in [0, 1] of each relevance, [..., 3]."""
    return np.asarray(DIVERGING(symmetric(limit)(relevance)))[..., :3]


def ink_on(colour: np.ndarray) -> str:
    """Black or white, whichever reads better on the colour (relative luminance, as WCAG has it)."""
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"
