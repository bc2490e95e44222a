"""Arrays in files, read row by row: where each begins is known, and nothing else is touched."""

from dataclasses import dataclass
from typing import IO, Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Rows:
    """Samples that lie one behind the other, row-major, from `start` on in a file that can be wound.

    Not mapped into memory: pages of a mapped file count as the process's own. Through a compressed file the
    way back is from its beginning, so samples are best asked for in their order.
    """

    file: IO[bytes]
    start: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def read(self, which: np.ndarray) -> np.ndarray:
        """The samples at these indices. Raises EOFError if the file ends before."""
        found = np.empty((len(which), *self.shape[1:]), self.dtype)
        size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        ends = np.flatnonzero(np.diff(which) != 1) + 1
        done = 0
        for run in np.split(which, ends):  # neighbours at once
            if not len(run):
                continue
            self.file.seek(self.start + int(run[0]) * size)
            data = self.file.read(len(run) * size)
            if len(data) != len(run) * size:
                raise EOFError("it ends too early")
            values = np.frombuffer(data, self.dtype).reshape(len(run), *self.shape[1:])
            found[done : done + len(run)] = values
            done += len(run)
        return found
