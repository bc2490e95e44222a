"""What a patch makes of the original's files, piece by piece: memory holds the patch and a chunk."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.patches.align import Copy
from onnxunlearn.patches.content import CHUNK, Base, Content
from onnxunlearn.patches.format import File, Patch
from onnxunlearn.patches.numbers import NumberReader, VarintReader, unfold


@dataclass(frozen=True)
class Made:
    """One file of the result. Its changes, or its pieces, must be read to the end before the next one's."""

    file: File
    base: Base
    _runs: VarintReader
    _numbers: NumberReader

    def changes(self) -> Iterator[tuple[int, bytes]]:
        """(place, bytes), rising, of all that differs from the base. Raises ValueError for a patch that says
        what cannot be, and OSError."""
        end = 0
        for _ in range(self._runs()):
            start = end + self._runs()
            head = self._runs()
            count, alone, width = head >> 4, head & 4, 1 << (head & 3)
            shift = self._runs() if head & 8 else 0
            end = start + count * width
            if not 0 < count * width <= CHUNK or end > self.file.size:
                raise ValueError("it changes what lies beyond the file")
            if shift >= 8 * width:
                raise ValueError("it moves bits out of a number")
            steps = unfold(self._numbers.read(count, width))
            steps = steps << steps.dtype.type(shift)
            if alone:
                yield start, np.cumsum(steps, dtype=steps.dtype).tobytes()
            else:
                old = np.frombuffer(self.base.read(start, end - start), f"<u{width}")
                yield start, (old + steps).tobytes()

    def pieces(self) -> Iterator[bytes]:
        """Its content. Raises as `changes` does."""
        end = 0
        for start, data in self.changes():
            yield from self.base.pieces(end, start - end)
            yield data
            end = start + len(data)
        yield from self.base.pieces(end, self.file.size - end)


def made(patch: Patch, sources: Sequence[Content]) -> Iterator[Made]:
    """The files of the result, in the order in which the patch has them. sources: those that it is for."""
    copies, runs = VarintReader(patch.copies), VarintReader(patch.runs)
    numbers = NumberReader(patch.symbols, patch.bits)
    for file, source in zip(patch.after, patch.sources, strict=True):
        stretches = list(_copies(copies, sources[source].size, file.size))
        yield Made(file, Base(sources[source], stretches), runs, numbers)
    if not (copies.done and runs.done and numbers.done):
        raise ValueError("it holds more than it uses")


def _copies(reader: VarintReader, source: int, size: int) -> Iterator[Copy]:
    """source, size: bytes of both files."""
    end = total = 0
    for _ in range(reader()):
        length, code = reader(), reader()
        total += length
        if not length or total > size:
            raise ValueError("it makes a file of another size than it says")
        if code & 1:
            yield Copy(None, length)
            continue
        jump = code >> 1
        start = end + (-(jump >> 1) - 1 if jump & 1 else jump >> 1)
        end = start + length
        if not 0 <= start <= end <= source:
            raise ValueError("it copies what lies beyond the file")
        yield Copy(start, length)
    if total != size:
        raise ValueError("it makes a file of another size than it says")
