"""How far back `auto` tries to edit, deepest first."""

from functools import partial

import numpy as np

from onnxunlearn.choices import DEEP, LAST_BLOCK
from onnxunlearn.graph import Model
from onnxunlearn.graph.places import PLACE
from onnxunlearn.methods.erase.erase import RESISTS, Erasure
from onnxunlearn.methods.erase.matching import Settings
from onnxunlearn.methods.erase.scope import in_front
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.tasks import independent

#: share of the weights in front of the last block beyond which that is too little: with 0.84 whoever trained
#: brought a class back much sooner than one never seen, with 0 to 0.43, in six networks, hardly
_FRONT = 0.5
#: probes of each class from which on: it was measured with 24
_MANY = 20


def asked(bench: Workbench, depth: str) -> list[Erasure]:
    """To this depth, against an attacker who trains along or not, then in the last block."""
    reaches = dict.fromkeys((depth, LAST_BLOCK))
    return [Erasure(bench, depth=d, settings=Settings(resist=r)) for d in reaches for r in RESISTS[d]]


def unasked(bench: Workbench, reasons: list[str]) -> list[Erasure]:
    """Deep, firmly, then gently, where most weights lie in front of the last block; else nothing, nor where
    that was not measured or is more work than an edit may take. Of too few probes it is said among `reasons`.

    An attacker who trains along would double the time, and hold off nobody there who trains long. Where words
    are looked up in a table, it was measured, and does not pay: a class sits in the table, and who changes
    that, too, takes up to six points from another.
    """
    if PLACE in bench.probes.feeds or independent(bench.logits):
        return []
    if any(layer.kind == "embedding" for layer in bench.every_layer) or _looks_up(bench.model):
        return []
    deep = partial(Erasure, bench, depth=DEEP)
    firm = deep(share=1.0, rate=0.1, settings=Settings(pull=5.0, pinned=30.0), manner="firm")
    gentle = deep(rate=0.05, settings=Settings(pull=2.0, pinned=30.0), manner="gentle")
    if in_front(bench, firm.layers) <= _FRONT or not firm.in_full():
        return []
    if (fewest := int(np.unique(bench.y, return_counts=True)[1].min())) < _MANY:
        reasons.append(
            f"most weights lie in front of the last block, but {fewest} probes of a class choose (for every "
            f"layer {_MANY}, or --depth deep)"
        )
        return []
    return [firm, gentle]


def _looks_up(model: Model) -> bool:
    """Whether what is given is looked up in a table that is no layer: of integers, or computed."""
    given = model.activations
    return any(
        node.kind == "Gather"
        and node.inputs[0] not in given
        and node.inputs[1] in given
        and node.inputs[1] not in model.by_shape
        for node in model.nodes
    )
