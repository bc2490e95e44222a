"""The bytes of a file, and of a file that is made of stretches of it."""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path

from onnxunlearn.patches.align import Copy

#: bytes that are read at a time
CHUNK = 1 << 24


class Content:
    """A file that is read where it lies, or one that is in memory."""

    def __init__(self, source: Path | bytes) -> None:
        self._source = source
        self.size = len(source) if isinstance(source, bytes) else os.stat(source).st_size

    def read(self, start: int, length: int) -> bytes:
        """Raises OSError, also if there are fewer."""
        if isinstance(self._source, bytes):
            return self._source[start : start + length]
        with open(self._source, "rb") as file:
            file.seek(start)
            data = file.read(length)
        if len(data) != length:
            raise OSError(0, "it became shorter while it was read")
        return data

    def whole(self) -> bytes:
        return self.read(0, self.size)

    def sha256(self) -> str:
        """Raises OSError."""
        found = hashlib.sha256()
        for start in range(0, self.size, CHUNK):
            found.update(self.read(start, min(CHUNK, self.size - start)))
        return found.hexdigest()


class Base:
    """What the result has before numbers change: stretches of a source, and zeros."""

    def __init__(self, source: Content, copies: Sequence[Copy]) -> None:
        self._source, self._copies = source, list(copies)
        self._ends = list(accumulate(copy.length for copy in copies))
        self.size = self._ends[-1] if copies else 0

    @property
    def stays(self) -> bool:
        """Whether every byte stays where it is."""
        return self.size == self._source.size and self._copies in ([], [Copy(0, self.size)])

    def pieces(self, start: int, length: int) -> Iterator[bytes]:
        """The bytes from there on, no more than CHUNK at once. Raises OSError."""
        index = bisect_right(self._ends, start)
        while length:
            copy, end = self._copies[index], self._ends[index]
            size = min(length, end - start, CHUNK)
            if copy.start is None:
                yield bytes(size)
            else:
                yield self._source.read(copy.start + start - (end - copy.length), size)
            start, length = start + size, length - size
            index += start == end

    def read(self, start: int, length: int) -> bytes:
        return b"".join(self.pieces(start, length))
