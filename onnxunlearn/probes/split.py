"""One half of the probes chooses, the other judges: a result is never measured on what it was chosen by."""

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.probes import Probes


def split(probes: Probes, seed: int) -> tuple[Probes, Probes]:
    """The probes in a choosing and a judging half, stratified by class; samples keep their order.

    A class of n samples gives ceil(n / 2) to choosing and floor(n / 2) to judging, so a lone sample
    chooses. Which ones depends on `seed` and on that class alone: other classes do not disturb it.
    Raises InputError if the probes have no y.
    """
    if probes.y is None:
        raise InputError(f"{probes.source}: has no y, and a split needs each sample's class; give y")
    choosing = np.zeros(len(probes), dtype=bool)
    for label in np.unique(probes.y):
        members = np.flatnonzero(probes.y == label)
        shuffled = np.random.default_rng([seed, int(label)]).permutation(members)
        choosing[shuffled[: (len(members) + 1) // 2]] = True
    return probes.select(choosing), probes.select(~choosing)
