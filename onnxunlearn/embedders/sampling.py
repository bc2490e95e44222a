"""Of very many samples of identities some: as many as a method holds, or as there is room for embeddings."""

import numpy as np

from onnxunlearn.inquiry.sampling import read, room_for
from onnxunlearn.probes import Probes, is_unread
from onnxunlearn.streams import KEPT, RESERVOIR, drawn

#: samples of an identity that are drawn where there is room for them; then as many identities as there is
#: room for, and of each as many
_EACH = 6


def held(probes: Probes, seed: int) -> Probes:
    """As many as a method works with, in memory."""
    if not is_unread(probes.feeds):
        return probes
    return read(probes.select(of_each(probes, min(RESERVOIR, max(room_for(probes), 1)), seed)))


def to_judge(probes: Probes, width: int, seed: int) -> Probes:
    """As many as have room for their embeddings. width: of one."""
    if not is_unread(probes.feeds):
        return probes
    return probes.select(of_each(probes, max(KEPT // width, 1), seed))


def of_each(probes: Probes, size: int, seed: int) -> np.ndarray:
    """`size` samples at most, sorted: half of them of the identities to forget, of each alike, the others of
    as many identities as can be had with _EACH of each, and of these alike."""
    assert probes.shared is not None
    assert probes.y is not None
    if len(probes) <= size:
        return np.arange(len(probes))
    rng, chosen = np.random.default_rng(seed), list[np.ndarray]()
    for side, room in ((probes.shared, size // 2), (~probes.shared, size - size // 2)):
        who = np.unique(probes.y[side])
        who = rng.permutation(who)[: max(room // _EACH, 1)]
        for w in who:
            members = np.flatnonzero(side & (probes.y == w))
            chosen.append(members[drawn(len(members), seed, max(room // len(who), 2))])
    return np.sort(np.concatenate(chosen))
