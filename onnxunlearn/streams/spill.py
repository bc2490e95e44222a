"""What models say of very many samples, or make of them: on disk where it would take too much memory."""

import logging
import os
import tempfile
from typing import IO, cast

import numpy as np

from onnxunlearn.errors import one_line
from onnxunlearn.probes import Unread
from onnxunlearn.streams.rows import Rows

#: numbers that are held of what one model says of a stream, samples × classes; figures need them in float64
#: and several times
KEPT = 2**22

log = logging.getLogger(__name__)


class Spill:
    """An array that grows at its end; on disk in a file without a name, gone with its last reader; from where
    the disk is full on in memory.

    kind: what stands for an array on disk.
    """

    def __init__(self, on_disk: bool, kind: type[Unread] = Unread) -> None:
        self._kind = kind
        self._parts: list[np.ndarray] = []
        self._count = 0
        self._file: IO[bytes] | None = None
        if on_disk:
            try:
                self._file = cast(IO[bytes], tempfile.TemporaryFile(buffering=0))  # noqa: SIM115
            except OSError as error:
                log.info("kept in memory: %s", one_line(error))

    def add(self, part: np.ndarray) -> None:
        """More samples, [n, ...]; at least one part is added."""
        if self._file is not None:
            try:
                _write(self._file, np.ascontiguousarray(part).reshape(-1).view(np.uint8).data)
            except OSError as error:
                log.info("kept in memory: %s", one_line(error))
                self._parts, self._file = [self.whole()[:]] if self._count else [], None
        self._count += len(part)
        if self._file is None:
            self._parts.append(part)
        else:
            self._parts = [part[:0]]

    def whole(self) -> np.ndarray:
        """All of them; unread if they are on disk."""
        if self._file is None:
            return np.concatenate(self._parts)
        [last] = self._parts
        reader = cast(IO[bytes], os.fdopen(os.dup(self._file.fileno()), "rb", buffering=0))
        rows = Rows(reader, 0, (self._count, *last.shape[1:]), last.dtype)
        return cast(np.ndarray, self._kind.of(rows))


def _write(file: IO[bytes], data: memoryview) -> None:
    """All of it: without a buffer a write may end early."""
    while len(data):
        data = data[file.write(data) :]
