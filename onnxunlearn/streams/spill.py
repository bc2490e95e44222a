"""What models say of very many samples, or make of them: on disk where it would take too much memory."""

import os
import tempfile
from typing import IO, cast

import numpy as np

from onnxunlearn.probes import Unread
from onnxunlearn.streams.rows import Rows

#: numbers that are held of what one model says of a stream, samples × classes; figures need them in float64
#: and several times
KEPT = 2**22


class Spill:
    """An array that grows at its end; on disk in a file without a name, gone with its last reader.

    kind: what stands for an array on disk.
    """

    def __init__(self, on_disk: bool, kind: type[Unread] = Unread) -> None:
        self._kind = kind
        self._parts: list[np.ndarray] = []
        self._count = 0
        self._file = tempfile.TemporaryFile() if on_disk else None  # noqa: SIM115  # closed with its reader

    def add(self, part: np.ndarray) -> None:
        """More samples, [n, ...]; at least one part is added."""
        self._count += len(part)
        if self._file is None:
            self._parts.append(part)
        else:
            self._file.write(np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
            self._parts = [part[:0]]

    def whole(self) -> np.ndarray:
        """All of them; unread if they are on disk."""
        if self._file is None:
            return np.concatenate(self._parts)
        self._file.flush()
        [last] = self._parts
        file = os.fdopen(os.dup(self._file.fileno()), "rb", buffering=0)  # whole samples are read: no buffer
        rows = Rows(cast(IO[bytes], file), 0, (self._count, *last.shape[1:]), last.dtype)
        return cast(np.ndarray, self._kind.of(rows))
