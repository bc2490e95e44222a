"""A file's bytes in pieces, which other files may share: an edited model's are its original's but for a few.

Nothing is copied where bytes are cut out or put together, so that a model and its edited copies take the room
of one.
"""

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

import numpy as np


class FileBytes:
    """Bytes that nobody changes. pieces: one behind the other."""

    def __init__(self, *pieces: bytes | memoryview) -> None:
        self.pieces = tuple(memoryview(piece) for piece in pieces if len(piece))
        self._ends = tuple(accumulate(map(len, self.pieces)))

    @classmethod
    def joined(cls, *parts: "FileBytes | bytes") -> "FileBytes":
        """One behind the other."""
        views = (part.pieces if isinstance(part, FileBytes) else [memoryview(part)] for part in parts)
        return cls(*(view for several in views for view in several))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, place: int) -> int:
        """The byte at a place, counted from 0. Raises IndexError behind the end."""
        index = bisect_right(self._ends, place)
        if place < 0 or index == len(self.pieces):
            raise IndexError(f"byte {place} of {len(self)}")
        return self.pieces[index][place - self._ends[index]]  # negative: from the piece's end

    def __bytes__(self) -> bytes:
        """All of them as one, copied unless they are that already."""
        whole = self.pieces[0].obj if len(self.pieces) == 1 else None
        return whole if isinstance(whole, bytes) and len(whole) == len(self) else b"".join(self.pieces)

    def __eq__(self, other: object) -> bool:
        """Whether bytes, or the bytes of another, are the same."""
        other = FileBytes(other) if isinstance(other, bytes) else other
        if not isinstance(other, FileBytes):
            return NotImplemented
        return len(self) == len(other) and all(np.array_equal(a, b) for a, b in self.beside(other))

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[type["FileBytes"], tuple[bytes]]:
        return FileBytes, (bytes(self),)

    def part(self, start: int, end: int) -> "FileBytes":
        """The bytes from start to end, as far as there are any."""
        found = []
        for piece, behind in zip(self.pieces, self._ends, strict=True):
            begin = behind - len(piece)
            if begin < end and start < behind:
                found.append(piece[max(start - begin, 0) : end - begin])
        return FileBytes(*found)

    def array(self, start: int, end: int) -> np.ndarray:
        """The bytes from start to end, uint8, not to be written to: where they lie if it is in one piece."""
        found = self.part(start, end)
        whole = found.pieces[0] if len(found.pieces) == 1 else bytes(found)
        array = np.frombuffer(whole, np.uint8)
        array.flags.writeable = False
        return array

    def beside(self, other: "FileBytes") -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What lies at the same places in both, as far as both reach, uint8; without what they share."""
        ends = sorted({e for e in (*self._ends, *other._ends) if e <= min(len(self), len(other))})
        for start, end in zip([0, *ends], ends, strict=False):
            ours, theirs = self.array(start, end), other.array(start, end)
            if ours.ctypes.data != theirs.ctypes.data:
                yield ours, theirs
