"""How like a model that never saw the classes, or else the original, the edited one is."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from onnxunlearn.judge.compare import divergences, mean_bits, redistribution
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import UNKNOWN, Measured, resampled, share
from onnxunlearn.judge.references import mean_of
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.subject import Subject
from onnxunlearn.probes import Probes, each
from onnxunlearn.tasks import probabilities


@figure("likeness")
def likeness(evidence: Evidence) -> Iterator[Row]:
    """Where the forgotten classes' samples go, and how far probabilities and decisions are apart, on samples
    of the forgotten classes and on all others."""
    if not evidence.compared or not evidence.forget:
        return
    others = evidence.references or ["original"]
    several = f" ({len(others)}, on the mean)" if len(others) > 1 else ""
    heading = f"edited, compared with the {others[0]}{several}"
    found = [_compared(evidence, other, heading) for other in others]
    for same in zip(*found, strict=True):
        columns = {c: mean_of([row.values[c] for row in same]) for c in same[0].values}
        yield same[0] if len(same) == 1 else replace(same[0], values=columns)


def _compared(evidence: Evidence, other: str, heading: str) -> Iterator[Row]:
    """With one of them."""
    pair = evidence.subjects["edited"], evidence.subjects[other]
    probes, halves = evidence.probes, (evidence.forgotten, ~evidence.forgotten)
    first, second = (subject.predicted(probes) for subject in pair)
    spread = {"forget": _redistribution(evidence, first, second)}
    yield Row("redistribution", "redistribution, total variation", "", spread, heading)
    bits = _divergences(*pair, probes)
    apart = [Measured(mean_bits(bits[half]), samples=int(half.sum())) for half in halves]
    values = dict(zip(("forget", "retain"), apart, strict=True))
    yield Row("divergence", "Jensen–Shannon divergence, bits", "bits", values, heading)
    same = [share((first == second)[half].sum(), int(half.sum())) for half in halves]
    values = dict(zip(("forget", "retain"), same, strict=True))
    yield Row("likeness", "the same class given", "percent", values, heading)


def _divergences(ours: Subject, theirs: Subject, probes: Probes) -> np.ndarray:
    """Of each sample's probabilities."""

    def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        normalisers = ours.logits.normaliser, theirs.logits.normaliser
        return divergences(*map(probabilities, (first, second), normalisers))

    return each(apart, ours.scores(probes), theirs.scores(probes))


def _redistribution(evidence: Evidence, first: np.ndarray, second: np.ndarray) -> Measured:
    """With bounds by drawing samples anew; at least as far up as what none of so many leaves open."""
    which = np.flatnonzero(evidence.forgotten)
    y, classes = evidence.y[which], evidence.task.classes
    a, b = first[which], second[which]

    def spread(times: np.ndarray) -> float:
        again = np.repeat(np.arange(len(which)), times)
        return redistribution(a[again], b[again], y[again], evidence.forget, classes) or 0.0

    if not len(which):
        return UNKNOWN
    found = resampled(spread, len(which), evidence.seed, within=(0.0, 1.0))
    return _opened(found, len(which))


def _opened(found: Measured, count: int) -> Measured:
    """Where all samples went the same way, drawing them anew says nothing; a share of none of them does."""
    if found.value is None or found.high is None or found.widened is None:
        return found
    widened, value = found.widened, found.value

    def both(times: float) -> tuple[float, float]:
        low, high = widened(times)
        none = share(0, max(round(count * times), 1)).high or 0.0
        return low, min(max(high, value + none / 100), 1.0)

    return Measured(value, *both(1), count, widened=both)
