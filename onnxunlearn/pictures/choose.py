"""Which class each sample is explained for, and which samples are drawn."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes import Probes, parse_classes


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
    classes: int,
    labels: Sequence[str] | None,
    predict: Callable[[], np.ndarray],
) -> Chosen:
    """The first `count` samples of each class that `target` means.

    target: "label", "predicted" or one class, whose samples are those with that y, or predicted so without
    y; if there are none, any samples. predict: the classes the model gives all probes, int [N]; asked only
    where it matters, since it takes a run over all of them.
    Raises InputError if the target names no class, or several, or needs a y that is missing.
    """
    if target == "label":
        if probes.y is None:
            raise InputError(f"target 'label' needs each sample's class, but {probes.source} has no y")
        return _first_of_each(probes, probes.y, count, "by their label")
    if target == "predicted":
        return _first_of_each(probes, predict(), count, "by the model's prediction")
    wanted = parse_classes(str(target), classes, list(labels) if labels else None)
    if len(wanted) != 1:
        raise InputError(f"target {target!r} names {len(wanted)} classes; give one, 'label' or 'predicted'")
    given = predict() if probes.y is None else probes.y
    which = np.flatnonzero(given == wanted[0])[:count]
    note = (
        "of the class, by their label" if probes.y is not None else "of the class, by the model's prediction"
    )
    if not len(which):
        which, note = np.arange(len(probes))[:count], "of other classes, since none is of the class"
    return Chosen(probes.select(which), np.full(len(which), wanted[0]), f"the first {len(which)} {note}")


def _first_of_each(probes: Probes, targets: np.ndarray, count: int, note: str) -> Chosen:
    which = np.concatenate([np.flatnonzero(targets == c)[:count] for c in np.unique(targets)])
    return Chosen(probes.select(which), targets[which], f"the first {count} of each class, {note}")
