"""Whether a decision still looks at the place of what samples share: layer-wise relevance propagation.

The place is known of pairs alone: where the two differ. Of the relevance for the class that the original
gives the sample with it, in absolute values, the share that lies there; and in the edited model beside it the
same of the partner, which has nothing at that place. Source: the rule is epsilon-plus (Montavon et al. 2019).
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import IN_PERCENT, Measured, resampled
from onnxunlearn.judge.row import CONCEPT, Row
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import Propagator, parse_composite

#: pairs that are asked, and the share of the input that a place may be: of more there is nothing beside it
_PAIRS, _PLACE = 200, 0.5
_TITLE = "relevance at its place"


@figure("relevance-place")
def relevance_place(evidence: Evidence) -> Iterator[Row]:
    """The share of relevance at the place where pairs differ, of samples with it and of their partners."""
    pairs = _pairs(evidence.probes)
    floats = [name for name, values in evidence.probes.feeds.items() if values.dtype.kind == "f"]
    if not len(pairs) or len(floats) != 1:
        return
    name = floats[0]
    having, lacking = (evidence.probes.select(side) for side in pairs.T)
    place = having.feeds[name][:] != lacking.feeds[name][:]
    if place.mean() > _PLACE:
        return
    target = evidence.decided["original"][pairs[:, 0]]
    if target.ndim > 1:  # of several classes the one with the largest score
        scores = np.asarray(evidence.subjects["original"].scores(evidence.probes))
        target = scores.argmax(axis=1)[pairs[:, 0]]
    shares, rules = {}, parse_composite("epsilon_plus")
    for model in [n for n in evidence.names if n != "mask"]:
        try:
            subject = evidence.subjects[model]
            own = subject.logits.within(subject.lowered)
            propagator = Propagator(own, subject.logits, subject.engine, rules, [name])
            sides = [
                _share(propagator, side, place, target, subject.batch_size) for side in (having, lacking)
            ]
        except OnnxUnlearnError:
            continue
        shares[model] = sides
    if "edited" not in shares or "original" not in shares:
        return
    seed = evidence.seed
    for row, title, side in (("relevance", _TITLE, 0), ("relevance without", f"{_TITLE}, without it", 1)):
        values = {model: _mean(sides[side], seed) for model, sides in shares.items()}
        yield Row(CONCEPT + row, title, "percent", values)
    over = {"edited": _mean(shares["edited"][0] - shares["edited"][1], seed)}
    yield Row(CONCEPT + "relevance over", f"{_TITLE}, more than without it", "points", over, table="")


def _pairs(probes: Probes) -> np.ndarray:
    """Places of (with, without), int [pairs, 2]."""
    if probes.shared is None or probes.pair is None:
        return np.zeros((0, 2), int)
    own = {int(p): i for i, p in enumerate(probes.pair) if p >= 0 and not probes.shared[i]}
    found = [(i, own[int(p)]) for i, p in enumerate(probes.pair) if probes.shared[i] and int(p) in own]
    return np.array(found[:_PAIRS], int).reshape(-1, 2)


def _share(
    propagator: Propagator, probes: Probes, place: np.ndarray, target: np.ndarray, size: int
) -> np.ndarray:
    """Of each sample, float [N]; 0 where nothing is relevant. size: of a batch."""
    (name,) = propagator.tensors
    batches = propagator.run(probes.feeds, target, size)
    relevance = np.abs(np.concatenate([batch.relevance[name][: batch.count] for batch in batches]))
    within = np.where(place, relevance, 0).reshape(len(place), -1).sum(axis=1)
    return np.asarray(within / np.maximum(relevance.reshape(len(place), -1).sum(axis=1), 1e-30))


def _mean(shares: np.ndarray, seed: int) -> Measured:
    def percent(times: np.ndarray) -> float:
        return 100 * float(np.average(shares, weights=times))

    return resampled(percent, len(shares), seed, within=IN_PERCENT)
