"""Some of the probes choose, the others judge: a result is never measured on what it was chosen by."""

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.probes.copies import copy_groups, one_of_each
from onnxunlearn.probes.probes import Probes

#: classes of one sample each from which on some of these judge
MANY_ALONE = 30


def split(probes: Probes, seed: int) -> tuple[Probes, Probes]:
    """The probes in a choosing and a judging part, stratified by class; samples keep their order.

    A third of each class judges, but at least one sample of two or more; a lone sample chooses. Forgetting
    gets deeper and costs less with every probe that chooses; to judge, fewer will do. Which ones depends on
    `seed` and on that class alone: other classes do not disturb it. Where MANY_ALONE classes or more have one
    sample each, a third of these judges, too: else nobody would of most classes. Copies of each other
    (`copy_groups`) are on one side, whatever classes they are said to have, and count as one; of those that
    judge only one does. Raises InputError if the probes have no y.
    """
    if probes.y is None:
        raise InputError(f"{probes.source}: has no y, and a split needs each sample's class; give y")
    groups = np.arange(len(probes)) if probes.made is not None else copy_groups(probes)
    judging = split_mask(probes, seed, groups)
    return probes.select(~judging), probes.select(judging & one_of_each(probes, groups))


def split_mask(probes: Probes, seed: int, groups: np.ndarray) -> np.ndarray:
    """Which of them may judge, bool [N], copies included. groups: of `copy_groups`; probes have y."""
    assert probes.y is not None
    judges: dict[int, bool] = {}  # by group
    alone: list[int] = []
    strata = probes.strata
    for label in np.unique(strata):
        members = np.flatnonzero(strata == label)
        shuffled = groups[np.random.default_rng([seed, int(label)]).permutation(members)]
        different = [group for group in dict.fromkeys(shuffled.tolist()) if group not in judges]
        judging = min(max(1, len(different) // 3), len(different) - 1)
        judges |= {group: place < judging for place, group in enumerate(different)}
        alone += different if len(different) == 1 else []
    if len(alone) >= MANY_ALONE:
        shuffled = np.random.default_rng(seed).permutation(alone)
        judges |= dict.fromkeys(shuffled[: len(alone) // 3].tolist(), True)
    return np.array([judges[group] for group in groups.tolist()], dtype=bool)
