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

    @property
    def row(self) -> int:
        """Bytes of one sample."""
        return self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))

    @property
    def end(self) -> int:
        """Behind the last sample."""
        return self.start + self.shape[0] * self.row

    def read(self, which: np.ndarray) -> np.ndarray:
        """The samples at these indices. Raises EOFError if the file ends before."""
        found = np.empty((len(which), *self.shape[1:]), self.dtype)
        starts = np.flatnonzero(np.diff(which, prepend=-2) != 1)  # of neighbours, which are read at once
        for start, end in zip(starts, [*starts[1:], len(which)], strict=True):
            self.file.seek(self.start + int(which[start]) * self.row)
            left = found[start:end].reshape(-1).view(np.uint8).data
            while len(left):  # what no buffer stands before may come in parts
                if not (count := self.file.readinto(left)):  # type: ignore[attr-defined]
                    raise EOFError("it ends too early")
                left = left[count:]
        return found
