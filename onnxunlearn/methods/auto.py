"""The default: the deepest edit that the retain budget allows."""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.erase import erase, silence
from onnxunlearn.methods.lra_npp import lra_npp
from onnxunlearn.methods.mask import mask
from onnxunlearn.methods.workbench import Outcome, Workbench, method

#: shares of the way from the original's weights to those of `erase`, tried in this order
_SHARES = (1.0, 0.75, 0.5, 0.25)


@method("auto")
def auto(bench: Workbench) -> Outcome:
    """Takes the deepest edit that the budget allows: erase, as much of it as is affordable, lra-npp, mask."""
    last: Outcome | None = None
    for name, outcome in _candidates(bench):
        trial = bench.trial(outcome.edits)
        last = Outcome(outcome.edits, {"chosen": name, **outcome.details})
        if trial.reach <= 0 and bench.affordable(trial):
            return last
    if last is None:
        raise UnsupportedError(f"no method can edit this model: {bench.head.node} is all there is")
    return last


def _candidates(bench: Workbench) -> Iterator[tuple[str, Outcome]]:
    """What may be taken, deepest first; methods that cannot work on this model or probes are left out."""
    if bench.forgotten.any() and not bench.forgotten.all():
        try:
            whole = erase(bench)
        except UnsupportedError as error:
            bench.progress(f"erase: {error}")
        else:
            for share in _SHARES:
                details = {**whole.details, **({} if share == 1 else {"share": share})}
                yield "erase", Outcome(part_of(bench, whole.edits, share), details)
    for name, fallback in (("lra-npp", lra_npp), ("mask", mask)):
        try:
            yield name, fallback(bench)
        except UnsupportedError as error:
            bench.progress(f"{name}: {error}")


def part_of(bench: Workbench, edits: Edits, share: float) -> Edits:
    """Go only a share of the way from the original's weights; the head is silenced all the same."""
    if share == 1:
        return edits
    result, start = Edits(bench.model), Edits(bench.model)
    for layer in bench.editable:
        if layer.output == bench.head.output:
            continue
        before, after = start.weight(layer), edits.weight(layer)
        if not np.array_equal(before, after):
            result.set_weight(layer, before + share * (after - before))
        old, new = start.bias(layer), edits.bias(layer)
        if old is not None and new is not None and not np.array_equal(old, new):
            result.set_bias(layer, old + share * (new - old))
    silence(bench, result)
    return result
