"""Whether features still tell samples with it from those without: a linear probe at the head's input.

Fitted on half of the samples, and on 20 of each side: what was hidden from the head alone both find as
before.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.sides import Sides, told
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import CONCEPT, Row
from onnxunlearn.probes import pair_groups

_FEW = 20


@attack("concept-probe")
def concept_probe(evidence: Evidence) -> Iterator[Row]:
    """Samples that a linear probe puts on their side; chance is 50 %."""
    probes = evidence.probes
    if probes.shared is None:
        return
    groups = pair_groups(probes, np.arange(len(probes)))
    for name, few, by in (("probe", None, ""), ("few-shot probe", _FEW, f" from {_FEW} of each")):
        sides = Sides.of(probes.shared, groups, evidence.seed, few)
        if sides is not None:
            values = {
                n: told(evidence.subjects[n].features(probes), probes.shared, sides) for n in evidence.names
            }
            yield Row(CONCEPT + name, f"told by a linear probe{by}, chance 50 %", "percent", values)
