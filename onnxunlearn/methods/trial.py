"""What the choosing probes say of an edit: how much of the class is left, and what it cost."""

import math
from dataclasses import dataclass

import numpy as np

from onnxunlearn.tasks import Figures


@dataclass(frozen=True)
class Trial:
    """What the choosing probes say of an edit.

    figures, margins (one for each forget probe), confidence: see `tasks.Task`.
    """

    figures: Figures
    margins: np.ndarray
    confidence: float | None

    @property
    def reach(self) -> float:
        """Margin below which 99 % of the class's images are expected (normal fit); ≤ 0 is forgotten.

        Accuracy on a few probes is 0 long before the class is out of reach on unseen images. Margins of −∞,
        of a hidden class, are out of reach; where one is no number the class is taken to be in reach: ∞.
        """
        margins = self.margins[self.margins != -np.inf]
        if not len(margins):
            return -math.inf
        return float(margins.mean() + 2.33 * margins.std()) if np.isfinite(margins).all() else math.inf

    @property
    def noted(self) -> float | None:
        """`reach` for the report, which has room for numbers only."""
        return round(self.reach, 4) if math.isfinite(self.reach) else None
