"""Samples that a run holds, on disk: each is looked at a few times, a batch at a time, and room is short."""

import logging
import tempfile
from dataclasses import replace
from typing import IO, cast

import numpy as np

from onnxunlearn.errors import one_line
from onnxunlearn.probes import Probes, Shelved, Unread
from onnxunlearn.streams.rows import Rows

#: bytes up to which samples stay in memory
IN_MEMORY = 2**25

log = logging.getLogger(__name__)


def shelved(probes: Probes) -> Probes:
    """The same, the samples in a file without a name, which is gone with them; as they are if they are few,
    or not held, or the disk is full."""
    held = not any(isinstance(value, Unread) for value in probes.feeds.values())
    if not held or sum(value.nbytes for value in probes.feeds.values()) <= IN_MEMORY:
        return probes
    try:
        return replace(probes, feeds={name: _on_disk(value) for name, value in probes.feeds.items()})
    except OSError as error:
        log.info("%s stay in memory: %s", probes.called, one_line(error))
        return probes


def _on_disk(array: np.ndarray) -> np.ndarray:
    file = cast(IO[bytes], tempfile.TemporaryFile())  # noqa: SIM115  # closed with its reader
    size = max(1, IN_MEMORY * len(array) // max(array.nbytes, 1))
    for start in range(0, len(array), size):
        file.write(array[start : start + size].tobytes())
    file.flush()
    return cast(np.ndarray, Shelved.of(Rows(file, 0, array.shape, array.dtype)))
