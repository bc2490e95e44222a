"""Fine-tuning whose steps are shares of each weight's own size: no scale of a layer or a neuron slows it.

A layer that makes all ten thousand times as small, where the next reads it as much larger, answers as
before, and Adam with steps of one size gets nowhere in it, or breaks it at once. Here both are trained alike,
step for step. In a network as it was trained it goes as `fine_tune` does; a weight of 0 stays so. Source of
such steps: Bernstein et al., NeurIPS 2020, "Learning compositional functions via multiplicative weight
updates".
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.tuning import Tuning, curves
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_SHARE = 0.02


@attack("fine-tune-relative")
def fine_tune_relative(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps."""
    yield from curves(evidence, "fine-tune-relative", Tuning(rate=_SHARE, relative=True))
