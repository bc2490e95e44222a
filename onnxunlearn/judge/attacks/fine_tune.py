"""Fine-tuning of all weights on 20 samples of every class: how many steps bring the class back.

The head's row of the class starts as the mean of the others', in every model: what a hidden logit still has
of its own is not given back for nothing. Source: "Dormant to Deleted" (2025, arXiv 2505.22310).
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.tuning import curves
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row


@attack("fine-tune")
def fine_tune(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps."""
    yield from curves(evidence, "fine-tune")
