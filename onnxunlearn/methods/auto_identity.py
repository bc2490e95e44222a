"""`auto` where an embedding is to forget an identity: the strongest scattering that others can bear."""

import math

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.outcome import Outcome
from onnxunlearn.methods.project import project
from onnxunlearn.methods.scatter import scattered, strangers
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import unit_rows

#: weights of what is to be forgotten, tried one after another
_BETAS = (3.0, 1.0, 0.3)
#: one in so many samples of an identity decides and is not fitted to; of fewer than that one of _FEWEST and
#: more
_ONE_IN, _FEWEST = 6, 3
#: share of the pairs of strangers that are accepted
_FALSE_ACCEPTS = 0.01


def of_identity(bench: Workbench) -> Outcome:
    """The first that costs others no more than allowed, by samples that it was not fitted to; the last resort
    is `project`."""
    held, reasons = _deciding(bench), list[str]()
    before = _verified(bench, Edits(bench.model), held)
    for beta in _BETAS:
        try:
            outcome = scattered(bench, ~bench.forgotten & ~held, beta=beta)
        except UnsupportedError as error:
            reasons.append(f"scatter: {error}")
            break
        lost = before - _verified(bench, outcome.edits, held)
        if not math.isfinite(lost) or lost <= bench.budget / 2:
            details = {"chosen": "scatter", "why": "; ".join(reasons), **outcome.details}
            expected = {"lost": round(lost, 4)} if math.isfinite(lost) else {}
            return Outcome(outcome.edits, details | {"expected cost": expected})
        reasons.append(f"beta {beta:g} would cost {lost:.2f} points ({bench.budget:g} may be lost)")
        bench.progress(reasons[-1])
    outcome = project(bench)
    return Outcome(outcome.edits, {"chosen": "project", "why": "; ".join(reasons), **outcome.details})


def _deciding(bench: Workbench) -> np.ndarray:
    """Which samples of others decide, bool [N]."""
    held, own = np.zeros(len(bench.y), bool), bench.forgotten
    for who in np.unique(bench.y[~own]):
        members = np.flatnonzero(~own & (bench.y == who))
        if len(members) >= _FEWEST:
            order = np.random.default_rng([bench.seed, int(who)]).permutation(members)
            held[order[: max(1, len(members) // _ONE_IN)]] = True
    return held


def _verified(bench: Workbench, edits: Edits, held: np.ndarray) -> float:
    """Percent of the pairs of others that are accepted at a threshold that 1 % of strangers pass, of pairs of
    which one sample decides at least; the mean over identities."""
    own, y = bench.forgotten, bench.y
    embeddings = unit_rows(bench.scores(edits))
    threshold = float(np.quantile(strangers(embeddings[~own], y[~own], bench.seed), 1 - _FALSE_ACCEPTS))
    rates = []
    for who in np.unique(y[~own]):
        members = np.flatnonzero(~own & (y == who))
        first, second = np.triu_indices(len(members), 1)
        asked = held[members][first] | held[members][second]
        if asked.any():
            cosines = (embeddings[members] @ embeddings[members].T)[first, second]
            rates.append(float((cosines[asked] > threshold).mean()))
    return 100 * float(np.mean(rates)) if rates else float("nan")
