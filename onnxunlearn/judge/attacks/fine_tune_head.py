"""Fine-tuning of the head alone, step by step: `head_refit` is where it ends. Only when asked for by name."""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.tuning import Tuning, curves
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row


@attack("fine-tune-head")
def fine_tune_head(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps."""
    if evidence.attacks is not None:
        yield from curves(evidence, "fine-tune-head", Tuning("the head"))
