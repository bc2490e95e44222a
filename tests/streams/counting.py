"""A reader that counts what is held of it."""

import threading
import weakref
from typing import Any

import numpy as np

from onnxunlearn.probes.unread import Reader


class Counting:
    """Counts how many samples that were read are still held by anybody."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.now, self.most, self.total = reader, 0, 0, 0
        self._lock = threading.Lock()

    @property
    def shape(self) -> tuple[int, ...]:
        return self.reader.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.reader.dtype

    def read(self, which: np.ndarray) -> np.ndarray:
        found = self.reader.read(which)
        with self._lock:
            self.now += len(found)
            self.total += len(found)
            self.most = max(self.most, self.now)
        weakref.finalize(found, self._gone, len(found))
        return found

    def _gone(self, count: int) -> None:
        with self._lock:
            self.now -= count
