"""The one unit that tells the class best: what a whole classifier drowns among all other features.

Where a class was taught, single units stand for it; a network that never saw it knows it by many together.
So this tells a class that was put away into a unit where refits of all features find it in a retrained model,
too, and no scale hides one: units are compared by ranks alone. Also asked of what enters the last activation,
where a unit that a bias has put to sleep still shows what it would say.
"""

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

#: of the samples of other classes that it is chosen on, so many may be taken for the class
_MISTAKEN = 0.05
_DRAWS = 5


@attack("one-unit")
def one_unit(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class above a threshold of one unit, chosen on 20 a class, that 5 % of the others are
    above."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "one-unit",
        lambda n: f"found by one unit alone, chosen on {n} a class",
        partial(_Best, evidence.forget),
        draws=_DRAWS,
        of=lambda subject, probes: subject.each_units(probes),
        doing="looking for the class in single units of",
    )


class _Best:
    """Says, of each class to forget, the samples that its best unit, or the same downwards, puts above all
    but a few others; of other samples none."""

    def __init__(self, forget: Sequence[int], x: np.ndarray, y: np.ndarray, seed: int) -> None:
        from scipy.stats import rankdata

        self.classes = np.array([c for c in forget if (y == c).any()])
        ranks = rankdata(x, axis=0)
        self.units, self.signs, self.thresholds = [], [], []
        for c in self.classes:
            own = y == c
            apart = ranks[own].mean(axis=0) - ranks[~own].mean(axis=0)  # as Mann and Whitney's U
            unit = int(np.abs(apart).argmax())
            sign = 1.0 if apart[unit] >= 0 else -1.0
            self.units.append(unit)
            self.signs.append(sign)
            self.thresholds.append(np.quantile(sign * x[~own, unit], 1 - _MISTAKEN))

    def predict(self, x: np.ndarray) -> np.ndarray:
        above = x[:, self.units] * self.signs - self.thresholds
        return np.where(above.max(axis=1) > 0, self.classes[above.argmax(axis=1)], -1)
