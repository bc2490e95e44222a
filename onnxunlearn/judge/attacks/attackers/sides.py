"""Whether a linear probe tells the samples that have something from those that lack it."""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.judge.attacks.attackers.classifier import classifier, standardised
from onnxunlearn.judge.intervals import UNKNOWN, Measured, share

#: a probe that tells nothing, in percent: as many samples of both sides judge
CHANCE = 50.0
#: samples of a side that a probe is fitted on at most
_MOST = 1000


@dataclass(frozen=True, eq=False)
class Sides:
    """Samples that fit and samples that judge, as places; with and without it, as many of both."""

    fitting: np.ndarray
    judging: np.ndarray

    @classmethod
    def of(cls, shared: np.ndarray, groups: np.ndarray, seed: int, few: int | None = None) -> "Sides | None":
        """Half of all groups (partners are in one) fit, the others judge. few: so many of a side fit at most.
        None where there are less than two of a side for one of it."""
        rng = np.random.default_rng(seed)
        names = rng.permutation(np.unique(groups))
        fits = np.isin(groups, names[: len(names) // 2])
        fitting = _balanced(shared, fits, rng, _MOST if few is None else few)
        judging = _balanced(shared, ~fits, rng, len(shared))
        return cls(fitting, judging) if min(len(fitting), len(judging)) >= 4 else None


def told(features: np.ndarray | None, shared: np.ndarray, sides: Sides | None) -> Measured:
    """How many of the samples that judge a logistic regression on features [N, d] puts on their side, in
    percent."""
    if features is None or sides is None or not np.isfinite(features).all():
        return UNKNOWN
    fitting, judging = sides.fitting, sides.judging
    scale = standardised(features[fitting])
    probe = classifier(scale(features[fitting]), shared[fitting], C=1.0, max_iter=300)
    right = probe.predict(scale(features[judging])) == shared[judging]
    return share(int(right.sum()), len(judging))


def _balanced(shared: np.ndarray, among: np.ndarray, rng: np.random.Generator, most: int) -> np.ndarray:
    parts = [rng.permutation(np.flatnonzero(among & (shared == side))) for side in (False, True)]
    count = min(most, *map(len, parts))
    return np.sort(np.concatenate([part[:count] for part in parts]))
