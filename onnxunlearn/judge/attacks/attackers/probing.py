"""Classifiers fitted anew on features: what they find of the forgotten classes, model by model.

Attacks of this kind differ in the classifier alone, and in how many samples it is fitted on.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxunlearn.judge.attacks.attackers.classifier import classifier, standardised
from onnxunlearn.judge.evidence import Evidence, Turned
from onnxunlearn.judge.intervals import UNKNOWN, Measured, share
from onnxunlearn.judge.row import ATTACKS, BELOW, Row
from onnxunlearn.judge.subject import REFERENCE, Subject
from onnxunlearn.probes import Probes

#: forgotten classes, and others, that one head has to tell apart at most; of the others so many are the
#: nearest
_CLASSES, _NEAREST = 32, 24
#: how far apart the same features may be, as a share of the largest of their column
_ROUNDING = 1e-5

#: standardised features [N, d], classes [N], a seed: what has a method `predict`
Fit = Callable[[np.ndarray, np.ndarray, int], Any]
#: features of all samples, [N, d], to others of theirs
Prepare = Callable[[np.ndarray], np.ndarray]
#: a model and samples -> all that a classifier may be fitted on, [N, d] each
Inner = Callable[[Subject, Probes], list[np.ndarray]]


def linear(x: np.ndarray, y: np.ndarray, seed: int) -> Any:
    """A linear head."""
    return classifier(x, y, C=1.0, max_iter=300)


@dataclass(frozen=True)
class Relearned:
    """What linear heads fitted on few samples recover.

    accuracy: in percent, on samples of the forgotten classes that were not fitted on, mean over the heads.
    per_class: how many samples of each class one was fitted on, at most. judged: on how many of the forgotten
    classes it was judged. right: int8 [heads, N], 1 where a sample was told right, 0 where not, -1 where it
    did not judge.
    """

    accuracy: float
    per_class: int
    judged: int
    right: np.ndarray = field(repr=False, compare=False)

    def below(self, other: "Relearned") -> Turned:
        """What the other tells right and this does not, and the other way round; a mean over the heads, each
        fitted and judged on the same samples."""
        heads = len(self.right)
        lost, gained = ((other.right == a) & (self.right == 1 - a) for a in (1, 0))
        return Turned(float(lost.sum()) / heads, float(gained.sum()) / heads, self.judged)


def rows(
    evidence: Evidence,
    name: str,
    title: Callable[[int], str],
    fit: Fit = linear,
    *,
    per_class: int | None = 20,
    draws: int = 5,
    doing: str = "refitting the head of",
    table: str = ATTACKS,
    mask: bool = True,
    prepare: Prepare = lambda features: features,
    of: Inner = lambda subject, probes: subject.each_features(probes),
) -> Iterator[Row]:
    """What such a classifier finds in each model, and how much less that is in the edited one than in
    the mask and in references: rows `name` and `name-below`.

    title: by how many samples of a class it was fitted on. prepare: what is done to each model's features
    before. of: which. doing: for the line of progress. Fitted on made
    samples it would say nothing of what real ones bring back: no rows; nor where no class is forgotten.
    """
    if not evidence.forget or evidence.exposed.made is not None or evidence.made:
        return
    found = _of_models(evidence, doing, fit, per_class, draws, prepare, of)
    known = next((r for r in found.values() if r is not None), None)
    if known is not None:
        yield from compared(found, name, title(known.per_class), mask, table)


def compared(
    found: Mapping[str, Relearned | None],
    name: str,
    title: str,
    mask: bool = True,
    table: str = ATTACKS,
    note: str = "",
) -> Iterator[Row]:
    """What an attack found in each model, and how much less that is in the edited one than in the mask and
    in references: rows `name` and `name-below`. found: by model; None where nothing could be told. mask:
    whether that is to be compared with. note: why something is missing. A reference of which nothing could be
    told is unknown in both rows, never left out: a target hangs on it."""
    values = {n: UNKNOWN if r is None else share(_hits(r), r.judged) for n, r in found.items()}
    yield Row(name, title, "percent", values, table, note)
    ours, below = found["edited"], {}
    for other, theirs in found.items():
        if ours is not None and theirs is not None:
            if other.startswith(REFERENCE) or (mask and other == "mask"):
                below[other] = _below(ours, theirs)
        elif other.startswith(REFERENCE):
            below[other] = UNKNOWN
    if below:
        yield Row(name + BELOW, f"{title}, points below", "points", below, table="", note=note)


def relearn(
    features: np.ndarray,
    y: np.ndarray,
    forget: Sequence[int],
    *,
    per_class: int | None = 20,
    draws: int = 5,
    seed: int = 0,
    judging: np.ndarray | None = None,
    against: Sequence[int] | None = None,
    fit: Fit = linear,
) -> Relearned | None:
    """Fit a new head on a few samples of every class; how well it knows the forgotten ones.

    features: [N, d], see `judge.features`; any layer's will do, then this is a linear probe. y: int [N].
    per_class: samples of each class that one head is fitted on; where a forgotten class has no more than
    that, half of it, and where most others have fewer, as many as they have in the middle, but at least 2: a
    class with many samples among classes with one each is what a head says of anything; None for half of
    each class. draws: how many heads, each on samples
    drawn anew; the result is their mean. judging: bool [N], samples that only judge, while the others only
    fit; by default whatever a draw leaves over judges. against: the other classes that a head has to tell
    apart; by default those of `opponents`. fit: the classifier, by default a linear one. None where there is
    nothing to fit or to judge on, or a feature is not finite.
    """
    fitting = np.ones(len(y), dtype=bool) if judging is None else ~judging
    if against is None:
        against = opponents(features, y, forget, seed)
    known = some_of(forget, seed)
    classes, counts = np.unique(y[fitting & np.isin(y, [*known, *against])], return_counts=True)
    forgotten, own = np.isin(y, known), np.isin(classes, known)
    if not own.any() or own.all() or not np.isfinite(features).all():
        return None
    few = int(counts[own].min())
    if judging is not None:
        per_class = few if per_class is None else min(per_class, few)
    elif per_class is None or few <= per_class:
        per_class = max(2, few // 2)
    per_class = min(per_class, max(2, int(np.median(counts[~own]))))
    rng = np.random.default_rng(seed)
    right = np.full((draws, len(y)), -1, np.int8)
    for draw in range(draws):
        drawn = [rng.permutation(np.flatnonzero(fitting & (y == c)))[:per_class] for c in classes]
        chosen = np.concatenate(drawn)
        judged = forgotten.copy() if judging is None else forgotten & judging
        judged[chosen] = False
        if not judged.any():
            return None
        scale = standardised(features[chosen])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of classes of one sample, say: no news
            head = fit(scale(features[chosen]), y[chosen], seed + draw)
            right[draw, judged] = head.predict(scale(features[judged])) == y[judged]
    accuracy = np.mean([100 * (row[row >= 0]).mean() for row in right])
    return Relearned(float(accuracy), per_class, int(judged.sum()), right)


def opponents(features: np.ndarray, y: np.ndarray, forget: Sequence[int], seed: int) -> list[int]:
    """The retained classes that a head must tell the forgotten ones from: all, or where there are many the
    nearest, by the means of their features, and some of the rest. So fitting takes no longer with 1,000.

    features: of the original, [N, d]: every model must be asked for the same.
    """
    classes = [int(c) for c in np.unique(y) if c not in set(forget)]
    if len(classes) <= _CLASSES or not np.isin(y, forget).any():
        return classes
    x = standardised(features)(features)
    if not np.isfinite(x).all():
        return some_of(classes, seed)
    means = np.stack([x[y == c].mean(axis=0) for c in classes])
    asked = np.stack([x[y == c].mean(axis=0) for c in some_of(forget, seed) if (y == c).any()])
    apart = ((means[:, None] - asked[None]) ** 2).sum(axis=2).min(axis=1)
    order = [classes[i] for i in np.argsort(apart, kind="stable")]
    rest = np.random.default_rng(seed).choice(order[_NEAREST:], _CLASSES - _NEAREST, replace=False)
    return sorted([*order[:_NEAREST], *(int(c) for c in rest)])


def some_of(classes: Sequence[int], seed: int) -> list[int]:
    """All of them or, of many, some."""
    if len(classes) <= _CLASSES:
        return list(classes)
    return sorted(int(c) for c in np.random.default_rng(seed).choice(classes, _CLASSES, replace=False))


def _of_models(
    evidence: Evidence,
    doing: str,
    fit: Fit,
    per_class: int | None,
    draws: int,
    prepare: Prepare,
    of: Inner,
) -> Mapping[str, Relearned | None]:
    """By model. Where features are those of the original, so is the figure."""
    apart = evidence.exposed is not evidence.probes
    assert evidence.exposed.y is not None
    y = np.concatenate([evidence.exposed.y, evidence.y]) if apart else evidence.y
    judging = np.arange(len(y)) >= len(evidence.exposed) if apart else None
    inner: dict[str, list[np.ndarray]] = {}
    for name in evidence.names:
        parts = evidence.exposed, evidence.probes
        found = [of(evidence.subjects[name], probes) for probes in (parts if apart else parts[1:])]
        if features := [np.concatenate(some) for some in zip(*found, strict=True)]:
            inner[name] = features
    result: dict[str, Relearned | None] = dict.fromkeys(evidence.names)
    if "original" not in inner:
        return result
    (own,) = inner["original"]
    against = opponents(own, y, evidence.forget, evidence.seed)
    for name, several in inner.items():
        if name != "original" and any(_same(features, own) for features in several):
            result[name] = result["original"]
            continue
        evidence.progress(f"{doing} the {name}")
        tried = [
            relearn(
                prepare(features),
                y,
                evidence.forget,
                per_class=per_class,
                draws=draws,
                seed=evidence.seed,
                judging=judging,
                against=against,
                fit=fit,
            )
            for features in several
        ]
        # an attacker keeps what tells most
        told = [one for one in tried if one is not None]
        result[name] = max(told, key=lambda one: one.accuracy) if told else None
    return result


def _same(features: np.ndarray, others: np.ndarray) -> bool:
    """Whether two models make the same of the samples: but for rounding, which hangs on where in a batch a
    sample stood, on NumPy's engine for one."""
    if features.shape != others.shape:
        return False
    with np.errstate(invalid="ignore", over="ignore"):  # of what is not finite
        apart = np.abs(features - others).max(axis=0, initial=0)
    return bool((apart <= _ROUNDING * np.abs(others).max(axis=0, initial=0)).all())


def _hits(found: Relearned) -> float:
    return found.accuracy / 100 * found.judged


def _below(ours: Relearned, other: Relearned) -> Measured:
    """Points; where the features are the same there is nothing to estimate."""
    return Measured(0.0, 0.0, 0.0, ours.judged) if ours is other else ours.below(other).measured()
