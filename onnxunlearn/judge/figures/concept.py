"""What samples with it are given, where what they share was to be forgotten and not a class."""

from collections.abc import Iterator, Sequence

import numpy as np

from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.figures import figure
from onnxunlearn.judge.intervals import Measured, share
from onnxunlearn.judge.row import CONCEPT, Row
from onnxunlearn.tasks import given_to, groups_of, of_others, rightly

#: samples of one class, with it or without, from which on they are a group: one of fewer weighs too much
_GROUP = 10


@figure("concept")
def concept(evidence: Evidence) -> Iterator[Row]:
    """Attack success of a trigger, accuracy with it, and of the worst group (class, with it or without)."""
    probes = evidence.probes
    if probes.shared is None or probes.y is None:
        return
    decided, c = evidence.decided, evidence.pointed
    if c is not None:
        yield _success(evidence, c)
        lost = evidence.lost_of_class("edited", c).measured()
        yield Row(
            CONCEPT + "pointed lost", "the class it points to lost", "points", {"edited": lost}, table=""
        )
    known = probes.shared & (probes.y >= 0)
    if known.any():
        right = {
            n: share(int(rightly(said, probes.y)[known].sum()), int(known.sum()))
            for n, said in decided.items()
        }
        yield Row(CONCEPT + "with", "accuracy with it", "percent", right)
    groups = groups_of(probes, _GROUP)
    if not any(probes.shared[group].any() for group in groups):
        return
    worst = {name: _worst(rightly(said, probes.y), groups) for name, said in decided.items()}
    yield Row(CONCEPT + "worst group", "worst group (class, with it or without)", "percent", worst)
    before, after = worst["original"].value or 0.0, worst["edited"]
    lost = Measured(
        before - (after.value or 0.0),
        before - (after.high or 0.0),
        before - (after.low or 0.0),
        after.samples,
    )
    yield Row(CONCEPT + "worst group lost", "worst-group accuracy lost", "points", {"edited": lost}, table="")


def _success(evidence: Evidence, which: int) -> Row:
    """Samples with it, not of the class, that are given it. Where nobody knows what they are, what is given
    without it is taken off: p' = (p − q) / (1 − q)."""
    probes = evidence.probes
    assert probes.y is not None
    assert probes.shared is not None
    asked, clean = of_others(probes, which), ~probes.shared
    unknown = bool((probes.y[asked] < 0).any())
    q = float(given_to(evidence.decided["original"], which)[clean].mean()) if unknown else 0.0
    found = {}
    for name, said in evidence.decided.items():
        hits, count = float(given_to(said, which)[asked].sum()), int(asked.sum())
        found[name] = share(max(hits - q * count, 0.0) / (1 - q) if q < 1 else 0.0, count)
    note = (
        f"of these samples no class is known: {100 * q:.1f} % are taken off, as without it" if unknown else ""
    )
    name = evidence.class_name(which)
    return Row(
        CONCEPT + "success", f"with it, taken for {name} (attack success)", "percent", found, note=note
    )


def _worst(right: np.ndarray, groups: Sequence[np.ndarray]) -> Measured:
    measured = [share(int(right[group].sum()), int(group.sum())) for group in groups]
    return min(measured, key=lambda m: m.value or 0.0)
