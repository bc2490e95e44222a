"""Weights rounded to 8 and to 4 bits, as on the way to a device: whether the class comes back by it.

Source: Zhang et al., ICLR 2025, "Catastrophic Failure of LLM Unlearning via Quantization": small changes of
weights are rounded away again.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_layers
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.answering import still_given
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.intervals import UNKNOWN, Measured
from onnxunlearn.judge.row import ATTACKS, BROUGHT_BACK, Row
from onnxunlearn.judge.subject import Subject

_BITS = (8, 4)


@attack("rounded")
def rounded(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it once every weight is rounded, a scale for each neuron."""
    if not evidence.thorough or not evidence.forget or not evidence.forgotten.any():
        return
    for bits in _BITS:
        evidence.progress(f"rounding weights to {bits} bits")
        values = {name: _of(evidence, evidence.subjects[name], bits) for name in evidence.names}
        yield Row(
            f"{BROUGHT_BACK}rounding to {bits} bits",
            f"weights rounded to {bits} bits",
            "percent",
            values,
            ATTACKS,
        )


def _of(evidence: Evidence, subject: Subject, bits: int) -> Measured:
    try:
        edits = Edits(subject.logits.within(subject.lowered))
        for layer in find_layers(edits.model):
            if not layer.weight.shared:
                edits.set_weight(layer, _rounded(edits.weight(layer), bits))
        other = Subject(edits.applied(), subject.logits, subject.engine, subject.batch_size, subject.hide)
        return still_given(evidence, other, evidence.probes.select(evidence.forgotten)).measured()
    except UnsupportedError:
        return UNKNOWN


def _rounded(weight: np.ndarray, bits: int) -> np.ndarray:
    """Symmetric, a scale for each row."""
    rows = weight.reshape(len(weight), -1)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    step = np.where(largest > 0, largest, 1) / (2 ** (bits - 1) - 1)
    return np.asarray((np.round(rows / step) * step).reshape(weight.shape), weight.dtype)
