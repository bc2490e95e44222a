"""Samples that a run holds, on disk: each is looked at a few times, a batch at a time, and room is short."""

from dataclasses import replace

import numpy as np

from onnxunlearn.probes import Probes, Shelved, Unread
from onnxunlearn.streams.spill import Spill

#: bytes up to which samples stay in memory
_IN_MEMORY = 2**25
#: and that are written at once
_WRITTEN = 2**23


def shelved(probes: Probes) -> Probes:
    """The same, as a run holds samples: few in memory, others in a file without a name, which is gone with
    them."""
    feeds = probes.feeds
    if any(isinstance(value, Shelved) for value in feeds.values()):
        return probes
    if sum(value.nbytes for value in feeds.values()) > _IN_MEMORY:
        return replace(probes, feeds={name: _on_disk(value) for name, value in feeds.items()})
    unread = any(isinstance(value, Unread) for value in feeds.values())
    return replace(probes, feeds={n: value[:] for n, value in feeds.items()}) if unread else probes


def _on_disk(array: np.ndarray) -> np.ndarray:
    spill = Spill(True, Shelved)
    size = max(1, _WRITTEN * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), size):
        spill.add(array[start : start + size])
    return spill.whole()
