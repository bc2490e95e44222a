"""Membership inference: whether the forgotten classes' training samples are still taken for such.

Source: Chundawat et al., AAAI 2023, "Can bad teaching induce forgetting?", whose attack uses the entropy
alone; that of Foster et al. (AAAI 2024, SSD) is the same.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers.classifier import classifier
from onnxunlearn.judge.evidence import Evidence, Turned
from onnxunlearn.judge.intervals import UNKNOWN, share
from onnxunlearn.judge.row import Row
from onnxunlearn.numerics import entropy


@attack("membership")
def membership(evidence: Evidence) -> Iterator[Row]:
    """How many training samples of the forgotten classes are taken for training data; retained ones are the
    members that the attacker learns from, retained samples that judge are what training never saw."""
    training = evidence.training
    if training is None or not evidence.forget:
        return
    assert training.y is not None
    asked = np.isin(training.y, evidence.forget)
    taken = {}
    for name in evidence.names:
        subject = evidence.subjects[name]
        seen = subject.probabilities(training)
        unseen = subject.probabilities(evidence.probes)[~evidence.forgotten]
        taken[name] = taken_for_members(seen[~asked], unseen, seen[asked])
    values = {n: UNKNOWN if t is None else share(int(t.sum()), len(t)) for n, t in taken.items()}
    yield Row("membership", "taken for training data", "percent", values)
    ours, values = taken["edited"], {}
    for name in evidence.references:
        if ours is not None and (theirs := taken[name]) is not None:
            turned = Turned(int((ours & ~theirs).sum()), int((theirs & ~ours).sum()), len(ours))
            values[name] = turned.measured()
    if values:
        yield Row("membership-over", "taken for training data, points above", "points", values, table="")


def membership_inference(members: np.ndarray, others: np.ndarray, asked: np.ndarray) -> float | None:
    """How many samples an attacker takes for training data, in percent; see `taken_for_members`."""
    taken = taken_for_members(members, others, asked)
    return None if taken is None else 100 * float(taken.mean())


def taken_for_members(members: np.ndarray, others: np.ndarray, asked: np.ndarray) -> np.ndarray | None:
    """Which samples an attacker takes for training data by the model's confidence alone, bool [N].

    members: probabilities [N, classes] of retained training samples. others: of samples that training never
    saw. asked: of the forgotten classes' training samples. The attacker is a logistic regression on entropy
    and highest probability, fitted to tell members from others. The aim is not none but what a model
    retrained without the class gives. None where one of the three is empty, or holds what is not finite.
    """
    if not all(len(p) and np.isfinite(p).all() for p in (members, others, asked)):
        return None
    seen = _confidence(np.concatenate([members, others]))
    mean, std = seen.mean(axis=0), seen.std(axis=0) + 1e-12
    member = np.repeat([True, False], [len(members), len(others)])
    attacker = classifier((seen - mean) / std, member, class_weight="balanced")
    return np.asarray(attacker.predict((_confidence(asked) - mean) / std), dtype=bool)


def _confidence(probabilities: np.ndarray) -> np.ndarray:
    """Entropy and highest probability of each row, [N, 2]."""
    return np.stack([entropy(probabilities), probabilities.max(axis=1)], axis=1)
