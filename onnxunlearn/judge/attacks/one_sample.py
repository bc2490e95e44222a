"""One sample a class: what the least that an attacker can have brings back.

On 20 a class a network that never saw a class tells it from the others nearly as well as one that did, where
its features are good; on one it does not. See `prototypes`, which has five.
"""

from collections.abc import Iterator

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.attacks.prototypes import means
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

_DRAWS = 40


@attack("one-sample")
def one_sample(evidence: Evidence) -> Iterator[Row]:
    """What the nearest of one sample a class says, by standardised features and what enters the last
    activation."""
    if not evidence.thorough:
        return
    yield from probing.rows(
        evidence,
        "one-sample",
        lambda n: f"found by the nearest of {n} a class",
        means,
        per_class=1,
        draws=_DRAWS,
        of=lambda subject, probes: subject.each_units(probes),
        doing="taking one sample a class of",
    )
