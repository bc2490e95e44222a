"""What an attacker could still get out of a model: a class that was hidden, samples it was trained on."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxunlearn.numerics import entropy

#: features whose squares, summed, could be beyond float32
_LARGE = 1e15


@dataclass(frozen=True)
class Relearned:
    """What a linear head fitted on few samples recovers.

    accuracy: in percent, on samples of the forgotten classes that it was not fitted on. per_class: how many
    samples of each class it was fitted on, at most. judged: on how many of the forgotten classes, per draw.
    """

    accuracy: float
    per_class: int
    judged: int

    def to_json(self) -> dict[str, Any]:
        """Rounded to what so few samples can tell."""
        return {"accuracy": round(self.accuracy, 4), "per_class": self.per_class, "judged": self.judged}


def relearn(
    features: np.ndarray,
    y: np.ndarray,
    forget: Sequence[int],
    *,
    per_class: int = 20,
    draws: int = 5,
    seed: int = 0,
    judging: np.ndarray | None = None,
) -> Relearned | None:
    """Fit a new linear head on a few samples of every class; how well it knows the forgotten ones.

    features: [N, d], see `judge.features`; any layer's will do, then this is a linear probe. y: int [N].
    per_class: samples of each class that one head is fitted on; where a forgotten class has no more than
    that, half of it, but at least 2. draws: how many heads, each on samples drawn anew; the result is their
    mean. judging: bool [N], samples that only judge, while the others only fit; by default whatever a draw
    leaves over judges. None where there is nothing to fit or to judge on, or a feature is not finite.

    A head that was edited and nothing else gives the class back here: few-shot refits recover what
    head-only unlearning hid (Lee et al., CVPR 2025, "ESC: Erasing Space Concept for Knowledge Deletion").
    """
    fitting = np.ones(len(y), dtype=bool) if judging is None else ~judging
    classes, counts = np.unique(y[fitting], return_counts=True)
    few = int(counts[np.isin(classes, forget)].min(initial=len(y)))
    if judging is not None:
        per_class = min(per_class, few)
    elif few <= per_class:
        per_class = max(2, few // 2)
    forgotten, known = np.isin(y, forget), np.isin(classes, forget)
    if not known.any() or known.all() or not np.isfinite(features).all():
        return None
    if np.abs(features).max(initial=0) > _LARGE:
        features = features.astype(np.float64)
    rng = np.random.default_rng(seed)
    accuracies = []
    for _ in range(draws):
        drawn = [rng.permutation(np.flatnonzero(fitting & (y == c)))[:per_class] for c in classes]
        fit = np.concatenate(drawn)
        judged = forgotten.copy() if judging is None else forgotten & judging
        judged[fit] = False
        if not judged.any():
            return None
        mean, std = features[fit].mean(axis=0), features[fit].std(axis=0)
        std = std + 1e-6 * features[fit].std() + 1e-12
        head = _classifier((features[fit] - mean) / std, y[fit], C=1.0, max_iter=300)
        accuracies.append(100 * float((head.predict((features[judged] - mean) / std) == y[judged]).mean()))
    return Relearned(float(np.mean(accuracies)), per_class, int(judged.sum()))


def membership_inference(members: np.ndarray, others: np.ndarray, asked: np.ndarray) -> float | None:
    """How many samples an attacker takes for training data, in percent, by the model's confidence alone.

    members: probabilities [N, classes] of retained training samples. others: of samples that training never
    saw. asked: of the forgotten classes' training samples. The attacker is a logistic regression on entropy
    and highest probability, fitted to tell members from others. The aim is not 0 but what a model retrained
    without the class gives. None where one of the three is empty, or holds what is not finite.

    Source: Chundawat et al., AAAI 2023, "Can bad teaching induce forgetting?", whose attack uses the entropy
    alone; that of Foster et al. (AAAI 2024, SSD) is the same.
    """
    if not all(len(p) and np.isfinite(p).all() for p in (members, others, asked)):
        return None
    seen = _confidence(np.concatenate([members, others]))
    mean, std = seen.mean(axis=0), seen.std(axis=0) + 1e-12
    member = np.repeat([True, False], [len(members), len(others)])
    attacker = _classifier((seen - mean) / std, member, class_weight="balanced")
    return 100 * float(attacker.predict((_confidence(asked) - mean) / std).mean())


def _confidence(probabilities: np.ndarray) -> np.ndarray:
    """Entropy and highest probability of each row, [N, 2]."""
    return np.stack([entropy(probabilities), probabilities.max(axis=1)], axis=1)


def _classifier(x: np.ndarray, y: np.ndarray, **settings: Any) -> Any:
    """A logistic regression. Its library takes a second to import, and few commands need it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # not converged; a system without semaphores
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(**settings).fit(x, y)
