"""What an edit costs the retained classes, as probes tell that it was not fitted to.

How often few samples turn says little: one of 36 is 2.8 points. How far their margins move says more. The
margin m of a sample is that of its best retained class above the second best; an edit moves it by d. Any
sample may meet any move, so of all pairs of a margin (of every retained probe: the original was fitted to
none) and a move (of those alone that the edit was not fitted to)

    turned = P(m + d < 0)        lost = E[1(m + d < 0) · (p_first − p_second)]

`lost` is what accuracy falls by, if the original's own probabilities are right, with the forgotten classes
left out: a sample that it was unsure of is half a loss and half a gain. Both are means over pairs, whose
variance has a part from either side (Hoeffding 1948, two-sample U-statistics).

Source: this project (docs/method.md).
"""

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from onnxunlearn.numerics import hidden, logsumexp


class Estimate(NamedTuple):
    """Points, and the standard deviation of chance in them."""

    points: float
    deviation: float

    def beyond(self, budget: float) -> bool:
        """More than the budget, and by more than chance: half of it is exceeded by one deviation less, too.

        Nine probes, of which one stands where it happens to be moved, are no evidence.
        """
        return self.points > budget and self.points - self.deviation > budget / 2


class Cost(NamedTuple):
    """lost: expected points of accuracy. turned: points of samples that change class. samples: how many
    moves these rest on. gained: points that the others win as the classes are no answer, see `given_back`."""

    lost: Estimate
    turned: Estimate
    samples: int
    gained: Estimate = Estimate(0.0, 0.0)

    @property
    def against_original(self) -> Estimate:
        """What accuracy falls by from the original's, which is what a user allows: `lost` is from that of the
        original without the classes to forget. Of what is gained a deviation is left out, for it is to be
        spent."""
        sure = max(0.0, self.gained.points - self.gained.deviation)
        return Estimate(self.lost.points - sure, math.hypot(self.lost.deviation, self.gained.deviation))


def given_back(before: np.ndarray, y: np.ndarray, forget: tuple[int, ...]) -> Estimate:
    """Points of retained samples that the original takes for a class to forget, and gets right as soon as
    that is no answer: shirts hidden, T-shirts are known better.

    before: logits [N, classes] of retained probes; y: their classes [N].
    """
    back = np.isin(before.argmax(axis=1), forget) & (hidden(before, forget).argmax(axis=1) == y)
    share = float(back.mean()) if len(back) else 0.0
    return Estimate(100 * share, 100 * math.sqrt(share * (1 - share) / max(1, len(back))))


def cost(
    before: np.ndarray, after: np.ndarray, forget: tuple[int, ...], unfitted: np.ndarray, *, several: bool
) -> Cost | None:
    """What retained probes tell; None where no one is left that the edit was not fitted to.

    before, after: logits [N, classes] of retained probes. unfitted: bool [N]. several: whether each output
    decides for itself; then its margin is the logit's distance from 0.
    """
    if not unfitted.any():
        return None
    kept = np.delete(np.arange(before.shape[1]), list(forget))
    if len(kept) == 1 and not several:  # nothing that it could be taken for
        return Cost(Estimate(0.0, 0.0), Estimate(0.0, 0.0), int(unfitted.sum()))
    x, y = (scores[:, kept].astype(np.float64) for scores in (before, after))
    margins, moved, sure = (_of_each if several else _of_the_best)(x, y)
    moves = (moved - margins)[unfitted].reshape(-1)
    margins, sure = margins.reshape(-1), sure.reshape(-1)
    estimate = partial(_over_pairs, margins, moves)
    return Cost(estimate(sure), estimate(np.ones_like(sure)), int(unfitted.sum()))


def _of_the_best(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Margins before and after, and p_first − p_second before."""
    rows = np.arange(len(x))
    first = x.argmax(axis=1)
    others = [np.where(np.arange(x.shape[1]) == first[:, None], -np.inf, z) for z in (x, y)]
    before, after = (z[rows, first] - o.max(axis=1) for z, o in zip((x, y), others, strict=True))
    p = np.exp(x[rows, first] - logsumexp(x)), np.exp(others[0].max(axis=1) - logsumexp(x))
    return before, after, p[0] - p[1]


def _of_each(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.abs(x), np.where(x < 0, -y, y), np.tanh(np.abs(x) / 2)


def _over_pairs(margins: np.ndarray, moves: np.ndarray, weight: np.ndarray) -> Estimate:
    """100·E[1(m + d < 0)·weight] over all pairs, by counting how many moves lie below −m."""
    by_margin = 100 * weight * np.searchsorted(np.sort(moves), -margins) / len(moves)
    order = np.argsort(margins, kind="stable")
    up_to = np.concatenate([[0.0], np.cumsum(weight[order])])  # a move d turns the margins below −d
    by_move = 100 * up_to[np.searchsorted(margins[order], -moves)] / len(margins)
    variance = by_margin.var() / len(margins) + by_move.var() / len(moves)
    return Estimate(float(by_margin.mean()), math.sqrt(variance))
