"""The default: the deepest edit that the retain budget allows."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.erase import erase
from onnxunlearn.methods.head import head, silence
from onnxunlearn.methods.lra_npp import lra_npp
from onnxunlearn.methods.mask import mask
from onnxunlearn.methods.workbench import Outcome, Workbench, method

#: shares of the way from the original's weights to those of `erase`, tried where more costs too much
_SHARES = (1.0, 0.75, 0.5, 0.25)
#: the same where the retained probes were made from the model: these cannot show all that it costs
_CAREFUL = (0.5, 0.25)


@method("auto")
def auto(bench: Workbench) -> Outcome:
    """Takes the deepest edit that the budget allows: erase, as much of it as is affordable, lra-npp, mask.

    Where probes had to be made from the model: erase in part, if only the retained ones were made; else head.
    """
    if bench.made.all():
        return Outcome(head(bench).edits, {"chosen": "head"})
    last: Outcome | None = None
    why: UnsupportedError | None = None
    for name, attempt in _attempts(bench):
        try:
            for outcome in attempt():  # lazily: it may be here that a model turns out to be unsupported
                trial = bench.trial(outcome.edits)
                last = Outcome(outcome.edits, {"chosen": name, **outcome.details})
                if trial.reach <= 0 and bench.affordable(trial, deviations=1):
                    return last
        except UnsupportedError as error:
            bench.progress(f"{name}: {error}")
            why = error
    if last is None:
        assert why is not None
        raise why
    return last


def _attempts(bench: Workbench) -> Iterator[tuple[str, Callable[[], Iterable[Outcome]]]]:
    """Methods that may do, deepest first, each with the outcomes it offers."""
    if bench.forgotten.any() and not bench.forgotten.all():
        yield "erase", partial(_parts, bench)
    if bench.made.any():
        yield "head", lambda: [head(bench)]
        return
    yield "lra-npp", lambda: [lra_npp(bench)]
    yield "mask", lambda: [mask(bench)]


def _parts(bench: Workbench) -> Iterator[Outcome]:
    """Erase, and weaker versions of it."""
    whole = erase(bench)
    for share in _CAREFUL if bench.made.any() else _SHARES:
        edits = whole.edits if share == 1 else part_of(bench, whole.edits, share)
        yield Outcome(edits, {**whole.details, "share": share})


def part_of(bench: Workbench, edits: Edits, share: float) -> Edits:
    """Go only a share of the way from the original's weights; the head is silenced all the same."""
    result, start = Edits(bench.model), Edits(bench.model)
    for layer in bench.trainable:
        if layer in bench.heads or layer.weight.name not in edits.feeds:
            continue  # `erase` sets the weight of each layer that it changes
        before, after = start.weight(layer), edits.weight(layer)
        if not np.array_equal(before, after):
            result.set_weight(layer, before + share * (after - before))
        old, new = start.bias(layer), edits.bias(layer)
        if old is not None and new is not None and not np.array_equal(old, new):
            result.set_bias(layer, old + share * (new - old))
    silence(bench, result)
    return result
