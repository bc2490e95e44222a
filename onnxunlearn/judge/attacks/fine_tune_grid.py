"""Fine-tuning from 5, 20 and 100 samples a class, at two rates, of everything and of the last block alone.

Six times what `fine_tune` and `fine_tune_block` cost together, so only when asked for by name. What needs
more samples than there are is listed.
"""

from collections.abc import Iterator
from itertools import product

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.training import Scope
from onnxunlearn.judge.attacks.attackers.tuning import Tuning, curves
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

SCOPES: tuple[Scope, ...] = ("everything", "the last block")
SAMPLES: tuple[int, ...] = (5, 20, 100)
RATES = (1e-3, 3e-3)


@attack("fine-tune-grid")
def fine_tune_grid(evidence: Evidence) -> Iterator[Row]:
    """Samples of the class that are given it after 20, 30 and 100 steps, each way."""
    if evidence.attacks is None:
        return
    for scope, per_class, rate in product(SCOPES, SAMPLES, RATES):
        name = f"fine-tune-grid {scope.removeprefix('the ')} {per_class} {rate:g}"
        yield from curves(evidence, name, Tuning(scope, per_class, rate, strict=True))
