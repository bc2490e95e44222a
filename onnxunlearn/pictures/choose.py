"""Which class each sample is explained for, and which samples are drawn."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from onnxunlearn.explain import target_classes
from onnxunlearn.probes import Labels, Probes


@dataclass(frozen=True, eq=False)
class Chosen:
    """The samples to draw, those of one class side by side, classes in ascending order.

    probes: N samples. targets: int [N], the class whose logit is explained. note: how they were chosen.
    """

    probes: Probes
    targets: np.ndarray
    note: str

    @property
    def classes(self) -> list[int]:
        """The classes that get a sheet."""
        return [int(c) for c in np.unique(self.targets)]

    def of(self, c: int) -> np.ndarray:
        """Indices of the samples on the sheet of class `c`."""
        return np.flatnonzero(self.targets == c)


def choose(
    probes: Probes,
    target: int | str,
    count: int,
    labels: Labels,
    predict: Callable[[], np.ndarray],
) -> Chosen:
    """The first `count` samples of each class that `target` means.

    target: "label", "predicted" or one class, whose samples are those with that y, or predicted so without
    y; if there are none, any samples. predict: the classes the model gives all probes, int [N]; asked only
    where it matters, since it takes a run over all of them.
    Raises InputError if the target names no class, or several, or needs a y that is missing.
    """
    targets = target_classes(target, probes, labels, predict)
    if target in ("label", "predicted"):
        how = "by their label" if target == "label" else "by the model's prediction"
        return _first_of_each(probes, targets, count, how)
    given = predict() if probes.y is None else probes.y
    which = np.flatnonzero(given == targets)[:count]
    note = (
        "of the class, by their label" if probes.y is not None else "of the class, by the model's prediction"
    )
    if not len(which):
        which, note = np.arange(len(probes))[:count], "of other classes, since none is of the class"
    return Chosen(probes.select(which), targets[which], f"the first {len(which)} {note}")


def _first_of_each(probes: Probes, targets: np.ndarray, count: int, note: str) -> Chosen:
    which = np.concatenate([np.flatnonzero(targets == c)[:count] for c in np.unique(targets)])
    return Chosen(probes.select(which), targets[which], f"the first {count} of each class, {note}")
