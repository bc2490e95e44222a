"""Fine-tuning of the last block and the head alone: what an attacker does who takes the rest as it is.

What lies before the last block is where an edit of the last block has forgotten nothing; see `fine_tune`.
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.tuning import Tuning, curves
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row


@attack("fine-tune-block")
def fine_tune_block(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps."""
    yield from curves(evidence, "fine-tune-block", Tuning("the last block"))
