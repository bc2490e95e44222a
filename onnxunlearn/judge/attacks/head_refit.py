"""A new head on a few samples: whether a class that was hidden can be had back from the features.

A head that was edited and nothing else gives the class back here: few-shot refits recover what head-only
unlearning hid (Lee et al., CVPR 2025, "ESC: Erasing Space Concept for Knowledge Deletion").
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import MODELS, Row


@attack("head-refit")
def head_refit(evidence: Evidence) -> Iterator[Row]:
    """What a new linear head recovers of the forgotten classes, fitted on 20 samples of each."""
    yield from probing.rows(
        evidence, "relearn", lambda n: f"to forget, relearned from {n} a class", table=MODELS
    )
