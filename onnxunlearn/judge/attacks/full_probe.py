"""A linear probe on all data: what is asked where the attacker has more than a few samples.

Source: "CMF" and ESC judge so; the figure depends on the probe's settings (41 to 89 % of one model), so it
says something only beside that of the mask and of a retrained model.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.attacks.attackers.classifier import classifier
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_HEADS = 2


@attack("full-probe")
def full_probe(evidence: Evidence) -> Iterator[Row]:
    """What a linear head finds that was fitted on half of all samples."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "full-probe",
        lambda n: f"found by a linear probe, fitted on {n} a class",
        _weak,
        per_class=None,
        draws=_HEADS,
        mask=False,  # on so many, as much is found in a retrained model as behind a mask
        doing="fitting a linear probe on",
    )


def _weak(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """So little regularised that the samples decide."""
    return classifier(x, y, C=10.0, max_iter=500)
