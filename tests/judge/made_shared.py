"""Evidence on what samples share, from arrays."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np

from onnxunlearn.graph import Logits
from onnxunlearn.judge import Evidence, Subject
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import Concept

from .made_evidence import Given, decided


def shared_evidence(
    probes: Probes,
    said: Mapping[str, np.ndarray],
    classes: int,
    features: Mapping[str, np.ndarray] | None = None,
    **settings: Any,
) -> Evidence:
    """said: the class that each model gives each sample, int [N]."""
    logits, inner = Logits("z", "z", classes, None), features or {}
    subjects = {n: cast(Subject, Given(decided(c, classes), inner.get(n), logits)) for n, c in said.items()}
    return Evidence(Concept(logits, ()), subjects, probes, probes, **settings)
