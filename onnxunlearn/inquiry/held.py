"""Inputs that tell what an edit costs because nothing is fitted to them, and what is chance in so few."""

import numpy as np
from scipy.stats import norm

#: of the inputs one in so many is held
ONE_IN = 6
#: so many deviations are put down to chance
DEVIATIONS = 2.0
#: inputs are drawn anew so often to tell it
_DRAWS = 30


def held_of(showing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Which inputs are held, bool [N]: as many of those that show what is to be forgotten as of others.
    showing: bool [N]."""
    held = np.zeros(len(showing), bool)
    for side in (np.flatnonzero(showing), np.flatnonzero(~showing)):
        held[rng.permutation(side)[: len(side) // ONE_IN]] = True
    return held


def drawn_anew(count: int, seed: int) -> np.ndarray:
    """How often each of so many inputs is there where as many are drawn of them, int [draws, count]."""
    return np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=_DRAWS)


def allowed(classes: int) -> float:
    """Deviations that the one of so many classes that lost most may lose by chance (Bonferroni)."""
    return float(norm.isf(norm.sf(DEVIATIONS) / max(classes, 1)))
