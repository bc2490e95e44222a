"""What the choosing probes say of an edit: how much of the class is left, and what it cost."""

import math
from dataclasses import dataclass

import numpy as np

from onnxunlearn.tasks import Figures

#: samples of which none in a hundred is told by what is seen of them: 0.99 to the power of 300 is 5 %
_MANY = 300


@dataclass(frozen=True)
class Trial:
    """What the choosing probes say of an edit.

    figures, margins (one for each forget probe), confidence: see `tasks.Task`. silenced: whether the head is
    made so that the class is never chosen (`head.silence`).
    """

    figures: Figures
    margins: np.ndarray
    confidence: float | None
    silenced: bool = False

    @property
    def reach(self) -> float:
        """Margin below which 99 % of the class's samples are expected; ≤ 0 is forgotten. Of few by a normal
        fit, of _MANY and more their own quantile, for margins of many are rarely normal.

        Accuracy on a few probes is 0 long before the class is out of reach on unseen images. Margins of −∞,
        of a hidden class, are out of reach; where one is no number the class is taken to be in reach: ∞.
        Of a silenced class the largest that was seen: margins pressed against 0 from below are anything but
        normal, and none can be above it.
        """
        margins = self.margins[self.margins != -np.inf]
        if not len(margins):
            return -math.inf
        if not np.isfinite(margins).all():
            return math.inf
        if self.silenced:
            return float(margins.max())
        if len(margins) >= _MANY:
            return float(np.quantile(margins, 0.99))
        return float(margins.mean() + 2.33 * margins.std())

    @property
    def noted(self) -> float | None:
        """`reach` for the report, which has room for numbers only."""
        return round(self.reach, 4) if math.isfinite(self.reach) else None
