"""Some of the probes choose, the others judge: a result is never measured on what it was chosen by."""

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.probes import Probes


def split(probes: Probes, seed: int) -> tuple[Probes, Probes]:
    """The probes in a choosing and a judging part, stratified by class; samples keep their order.

    A third of each class judges, but at least one sample of two or more; a lone sample chooses. Forgetting
    gets deeper and costs less with every probe that chooses; to judge, fewer will do. Which ones depends on
    `seed` and on that class alone: other classes do not disturb it.
    Raises InputError if the probes have no y.
    """
    if probes.y is None:
        raise InputError(f"{probes.source}: has no y, and a split needs each sample's class; give y")
    choosing = np.zeros(len(probes), dtype=bool)
    for label in np.unique(probes.y):
        members = np.flatnonzero(probes.y == label)
        shuffled = np.random.default_rng([seed, int(label)]).permutation(members)
        judging = min(max(1, len(members) // 3), len(members) - 1)
        choosing[shuffled[judging:]] = True
    return probes.select(choosing), probes.select(~choosing)
