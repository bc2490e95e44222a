"""Who has a few samples of the forgotten identity enrols it again: by their mean, or by a classifier.

Both accept a sample whose score is above that of 99 % of the others' samples. A model that never saw the
identity lets it be enrolled, too, as it does anybody: what counts is how much more is found than there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from onnxunlearn.judge.attacks.attackers.classifier import classifier, standardised
from onnxunlearn.judge.intervals import UNKNOWN, Measured, share
from onnxunlearn.judge.pairs import FALSE_ACCEPTS, Faces
from onnxunlearn.judge.row import ATTACKS, Row
from onnxunlearn.numerics import unit_rows

#: samples of each identity that an attacker has
FEW = 20
#: how names of rows begin
ENROLLED = "identity enrolled "


@dataclass(frozen=True, eq=False)
class Held:
    """What an attacker has, and what he is asked about, as places among all samples: int [n] each."""

    own: np.ndarray
    others: np.ndarray
    asked: np.ndarray
    strangers: np.ndarray

    @classmethod
    def of(cls, faces: Faces, fitting: np.ndarray | None, which: int = 0) -> "Held | None":
        """fitting: which samples an attacker may have, bool [N], all others are asked about; None: some of
        them, and no more than half of an identity. which: of the identities to forget. None where there are
        too few."""
        rng = np.random.default_rng(faces.seed)
        kinds = [faces.forgotten[which]]
        kinds += [np.flatnonzero(~faces.own & (faces.who == w)) for w in np.unique(faces.who[~faces.own])]
        held, asked = [], []
        for members in kinds:
            if fitting is None:
                order = rng.permutation(members)
                few = min(FEW, len(members) // 2)
                held.append(order[:few])
                asked.append(order[few:])
            else:
                held.append(rng.permutation(members[fitting[members]])[:FEW])
                asked.append(members[~fitting[members]])
        found = cls(held[0], np.concatenate(held[1:]), asked[0], np.concatenate(asked[1:]))
        enough = len(found.own) > 1 and len(found.others) > 1 and len(found.asked) and len(found.strangers)
        return found if enough else None


def enrolled(
    held: Mapping[str, Held],
    embeddings: Mapping[str, np.ndarray],
    features: Mapping[str, np.ndarray | None],
) -> Iterator[Row]:
    """Samples of the identity that are accepted, by model; of several of all together, and of each. held: by
    what an identity is called. embeddings, features: [N, d], what enters the layer that makes the
    embedding."""
    if not held:
        return
    by = f"{max(len(one.own) for one in held.values())} of its samples"
    ways = (
        ("prototype", f"enrolled by the mean of {by}", embeddings, _by_mean),
        ("classifier", f"enrolled by a linear classifier from {by}", embeddings, _by_classifier),
        ("features", f"the same, of the features before the embedding, from {by}", features, _by_classifier),
    )
    for name, title, values, way in ways:
        table = ATTACKS.replace("class", "identity")
        hits = {model: {n: _hits(way, v, one) for n, one in held.items()} for model, v in values.items()}
        every = {model: _share(*each.values()) for model, each in hits.items()}
        yield Row(ENROLLED + name, title, "percent", every, table)
        for n in held if len(held) > 1 else ():
            alone = {model: _share(each[n]) for model, each in hits.items()}
            yield Row(f"{ENROLLED}{name} {n}", f"{title}: {n}", "percent", alone, table)


def _hits(way, values: np.ndarray | None, held: Held) -> tuple[int, int] | None:  # type: ignore[no-untyped-def]
    """How many are accepted, of how many."""
    if values is None or not np.isfinite(values).all():
        return None
    own, theirs = way(values, held)
    return int((own > np.quantile(theirs, 1 - FALSE_ACCEPTS)).sum()), len(own)


def _share(*hits: tuple[int, int] | None) -> Measured:
    known = [each for each in hits if each is not None]
    if len(known) < len(hits):
        return UNKNOWN
    return share(sum(hit for hit, _ in known), sum(count for _, count in known))


def _by_mean(values: np.ndarray, held: Held) -> tuple[np.ndarray, np.ndarray]:
    template = unit_rows(values[held.own]).mean(axis=0)
    return unit_rows(values[held.asked]) @ template, unit_rows(values[held.strangers]) @ template


def _by_classifier(values: np.ndarray, held: Held) -> tuple[np.ndarray, np.ndarray]:
    fits = np.concatenate([held.own, held.others])
    scale = standardised(values[fits])
    y = np.arange(len(fits)) < len(held.own)
    fitted = classifier(scale(values[fits]), y, C=1.0, max_iter=300, class_weight="balanced")
    column = fitted.classes_.tolist().index(True)
    own, theirs = (fitted.predict_proba(scale(values[p]))[:, column] for p in (held.asked, held.strangers))
    return own, theirs
