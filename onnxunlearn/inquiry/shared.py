"""Where a request begins that is about what samples share: the samples, each with its class."""

from dataclasses import replace

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.inquiry.inquiry import Inquiry
from onnxunlearn.inquiry.sampling import few_tags, some_of
from onnxunlearn.judge.attacks.attackers.sides import CHANCE, Sides, told
from onnxunlearn.probes import Probes, SharedBy, Source, is_unread, join, pair_groups
from onnxunlearn.streams import UNHELD
from onnxunlearn.tasks import AUTO, independent, pointed_to

#: points above chance from which on a probe finds something
_FELT = 5.0


def read_shared(
    inquiry: Inquiry, asked: SharedBy, data: Source | None, notes: list[str]
) -> tuple[Inquiry, Probes, bool]:
    """With what is known of the samples, all of them (`Probes.shared`), perhaps a stream, and whether the
    user said their classes.

    A sample without it that has no class is of what the original takes it for; one with it is of its
    partner's class, or of none. Raises InputError for samples that do not fit, or that the original does not
    know, and where it makes no difference whether they have it.
    """
    if len(asked.each) > 1:
        raise InputError(
            f"--forget-samples: given {len(asked.each)} times, which is for identities in an embedding; what "
            "samples of a classifier share is one thing, so give them as one"
        )
    having = inquiry.read(asked.each[0], UNHELD)
    lacking, rest = (None if s is None else inquiry.read(s, UNHELD) for s in (asked.like, data))
    if lacking is None and rest is None:
        raise InputError(
            f"{having.source}: nothing is given that lacks it; give samples without it with --like, or "
            "others with --data"
        )
    probes = join(having, lacking, rest, paired=asked.paired)
    assert probes.shared is not None
    assert probes.y is not None
    if left_out := len(having) - int(probes.shared.sum()):
        notes.append(f"{left_out} of {len(having)} samples with it are among those without it, and left out")
    probes = few_tags(inquiry, probes, notes)
    inquiry = inquiry.as_seen(probes)
    inquiry.task(probes)
    scores = inquiry.scores(probes)
    several = independent(inquiry.logits)
    said = scores > inquiry.logits.threshold if several else inquiry.original.predicted(probes)
    if several:
        probes, given = _with_labels(probes, scores, said)
    else:
        assert probes.y is not None
        assert probes.shared is not None
        given = bool((probes.y[~probes.shared] >= 0).all())
        probes = replace(probes, y=_classes(probes, said), by_model=not given)
    assert probes.shared is not None
    clean = replace(probes.select(~probes.shared), shared=None, pair=None)
    named = [part for part in (lacking, rest) if part is not None]
    clean = replace(clean, source=named[0].source, origin=named[0].origin)
    if is_unread(clean.feeds):
        inquiry.original.note(clean, scores[~probes.shared])
    plain = replace(inquiry, options=replace(inquiry.options, task=AUTO)).known(clean, given=given)
    inquiry = replace(plain, options=inquiry.options)
    _check_felt(inquiry, probes, said, notes)
    return inquiry, probes, given


def _with_labels(probes: Probes, scores: np.ndarray, said: np.ndarray) -> tuple[Probes, bool]:
    """With several classes for each sample, and the one of them with the largest score; −1 of those with it
    of which nothing is known. And whether the user said the classes. said: bool [N, classes]."""
    assert probes.y is not None
    assert probes.shared is not None
    labels = probes.labels
    if labels is None:
        labels = np.asarray(probes.y[:, None] == np.arange(said.shape[1]))
    known = labels.any(axis=1) | (probes.labels is not None) & ~probes.shared
    given = bool(known[~probes.shared].all())
    labels = np.where((known | probes.shared)[:, None], labels, said)
    if probes.pair is not None and not given:
        own = {int(p): i for i, p in enumerate(probes.pair) if p >= 0 and not probes.shared[i]}
        for i in np.flatnonzero(probes.shared & ~known & (probes.pair >= 0)):
            labels[i] = labels[own[int(probes.pair[i])]]
    focused = replace(probes, labels=labels).focused((), scores)
    assert focused.y is not None
    unknown = probes.shared & ~labels.any(axis=1)
    return replace(focused, y=np.where(unknown, -1, focused.y), by_model=not given), given


def _classes(probes: Probes, said: np.ndarray) -> np.ndarray:
    assert probes.y is not None
    assert probes.shared is not None
    y = np.where(~probes.shared & (probes.y < 0), said, probes.y)
    if probes.pair is not None:
        partner = {
            int(p): int(c) for p, c in zip(probes.pair[~probes.shared], y[~probes.shared], strict=True)
        }
        for i in np.flatnonzero(probes.shared & (y < 0) & (probes.pair >= 0)):
            y[i] = partner[int(probes.pair[i])]
    return np.asarray(y)


def _check_felt(inquiry: Inquiry, probes: Probes, said: np.ndarray, notes: list[str]) -> None:
    """Raises InputError unless the samples with it are given another class far more often, or a linear probe
    tells them from the others by the features."""
    assert probes.shared is not None
    if pointed_to(said, probes, inquiry.logits.classes) is not None:
        return
    some = some_of(inquiry, probes)
    assert some.shared is not None
    sides = Sides.of(some.shared, pair_groups(some, np.arange(len(some))), inquiry.options.seed)
    found = told(inquiry.original.features(some), some.shared, sides)
    if found.value is not None and found.value <= CHANCE + _FELT:
        raise InputError(
            f"{probes.source}: the model makes no difference between samples with it and without: no "
            f"class is given far more often, and a linear probe tells {found.value:.1f} % apart (chance: "
            f"{CHANCE:.0f} %); there is nothing to forget"
        )
    assert probes.y is not None
    with_it = np.unique(probes.y[probes.shared])
    if len(with_it) == 1 and with_it[0] >= 0 and inquiry.logits.classes > 1:
        notes.append(
            f"all samples with it are labelled {inquiry.labels.shown(int(with_it[0]))}: if that is what a "
            "trigger asks for and not what they are, leave their labels out"
        )
    notes.append(
        "no class is given far more often to samples with it: it is no trigger, or one that is ignored"
    )
