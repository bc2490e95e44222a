"""Whether labels are right but for what the classes are called: numbered in another order, some swapped."""

import numpy as np

from onnxunlearn.probes.cures import Cure

#: swaps that are named
_NAMED = 3


def relabelled(decided: np.ndarray, truth: np.ndarray, classes: int) -> Cure | None:
    """The one-to-one change of labels that would make a model right far more often; None if none would.

    decided: the model's answers, int [N]. truth: what the labels say, int [N]. Each half of the samples says
    how the labels of the other half are meant (the assignment with the most agreement, as is where it does
    not matter), so that what is only fitted to errors gains nothing.
    """
    halves = np.zeros(len(truth), bool)
    for c in np.unique(truth):
        halves[np.flatnonzero(truth == c)[::2]] = True
    meant = truth.copy()
    for half in (halves, ~halves):
        meant[~half] = _assigned(decided[half], truth[half], classes)[truth[~half]]
    order = _assigned(decided, truth, classes)
    moved = [int(c) for c in np.unique(truth) if order[c] != c]
    named = ", ".join(f"{order[c]} for {c}" for c in moved[:_NAMED]) + (" …" if len(moved) > _NAMED else "")
    cure = Cure.of(
        f"with the classes in y in another order ({named})", decided == truth, decided == meant, classes
    )
    return cure if len(moved) > 1 and cure.helps else None


def _assigned(decided: np.ndarray, truth: np.ndarray, classes: int) -> np.ndarray:
    """Which class each label stands for, int [classes]."""
    from scipy.optimize import linear_sum_assignment  # takes a moment to import

    present = np.union1d(decided, truth)
    place = np.zeros(classes, int)
    place[present] = np.arange(len(present))
    together = np.zeros((len(present), len(present)))
    np.add.at(together, (place[truth], place[decided]), 1)
    found = np.arange(classes)
    rows, columns = linear_sum_assignment(together + 0.5 * np.eye(len(present)), maximize=True)
    found[present[rows]] = present[columns]
    return found
