"""Where a forgotten class's samples would go if the model had never known the class."""

import numpy as np

from onnxunlearn.numerics import logsumexp

#: retained samples that have a say
_VOTERS = 15


def neighbouring_class(
    features: np.ndarray,
    scores: np.ndarray,
    others: np.ndarray,
    y: np.ndarray,
    voters: int = _VOTERS,
) -> np.ndarray:
    """The retained class that each sample is closest to, int [n].

    features [n, d] and scores [n, classes] of the samples to forget; features `others` [m, d] and labels y of
    the retained ones. The nearest retained samples vote; to each class's share of the votes its probability
    among the classes of y is added. Against models retrained without the class, the sum came
    closer on the whole than either part alone.
    """
    classes = scores.shape[1]
    distance = (features**2).sum(axis=1)[:, None] + (others**2).sum(axis=1) - 2 * features @ others.T
    nearest = y[np.argsort(distance, axis=1, kind="stable")[:, :voters]]
    votes = (nearest[:, :, None] == np.arange(classes)).mean(axis=1)
    left = scores.astype(np.float64)
    left[:, np.setdiff1d(np.arange(classes), y)] = -np.inf
    return np.asarray((votes + np.exp(left - logsumexp(left)[:, None])).argmax(axis=1))
