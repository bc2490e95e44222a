"""Which parts of one file lie where in another of a different size."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

#: bytes that must be equal for a place to be recognised
_BLOCK = 24
_FACTORS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9)
#: places that are looked up at a time
_BATCH = 1 << 22


class Copy(NamedTuple):
    """The next `length` bytes of the new file: those of the old one from `start` on, or None: zeros."""

    start: int | None
    length: int


def aligned(old: bytes, new: bytes) -> list[Copy]:
    """Stretches that together have the new file's length. Its bytes may differ from them anywhere: what is
    between two stretches that fit is taken to be an edit of what is between them in the old file."""
    if len(old) == len(new):
        return [Copy(0, len(new))] if new else []
    found: list[Copy] = []
    at = source = 0  # of both files, what is behind the last match
    for begin, start, length in [*_matches(old, new), (len(new), len(old), 0)]:
        gap = begin - at
        kept = max(min(gap, start - source), 0)
        found += [Copy(source, kept), Copy(None, gap - kept), Copy(start, length)]
        at, source = begin + length, start + length
    return _joined(found)


def _joined(copies: list[Copy]) -> list[Copy]:
    found: list[Copy] = []
    for copy in copies:
        last = found[-1] if found else None
        if last and copy.length and last.start is not None and last.start + last.length == copy.start:
            found[-1] = Copy(last.start, last.length + copy.length)
        elif copy.length:
            found.append(copy)
    return found


def _matches(old: bytes, new: bytes) -> Iterator[tuple[int, int, int]]:
    """(place in the new file, place in the old one, length), rising, apart, of equal bytes."""
    if min(len(old), len(new)) < _BLOCK:
        return
    known = _hashes(old, 0, len(old) - _BLOCK + 1)[::_BLOCK]
    order = np.argsort(known, kind="stable")
    known = known[order]
    end = 0
    for first in range(0, len(new) - _BLOCK + 1, _BATCH):
        hashes = _hashes(new, first, min(first + _BATCH, len(new) - _BLOCK + 1))
        where = np.minimum(np.searchsorted(known, hashes), len(known) - 1)
        hits = np.flatnonzero(known[where] == hashes)
        at = 0
        while (at := int(np.searchsorted(hits, max(end - first, 0)))) < len(hits):
            place, start = first + int(hits[at]), int(order[where[hits[at]]]) * _BLOCK
            back = _equal(old[max(start - place + end, 0) : start][::-1], new[end:place][::-1])
            length = _equal_from(old, start, new, place)
            if length >= _BLOCK:  # else only the hashes are equal
                yield place - back, start - back, length + back
                end = place + length
            else:
                end = place + 1


def _hashes(data: bytes, first: int, last: int) -> np.ndarray:
    """Of the blocks at each place from `first` to `last`."""
    words = np.ndarray(last - first + _BLOCK - 8, "<u8", data, first, (1,))
    parts = (words[8 * i : 8 * i + last - first] * np.uint64(factor) for i, factor in enumerate(_FACTORS))
    return np.bitwise_xor.reduce([part ^ (part >> np.uint64(29)) for part in parts])


def _equal_from(old: bytes, start: int, new: bytes, place: int) -> int:
    """How many bytes are equal from there on."""
    found, step = 0, 256
    while True:
        more = _equal(old[start + found : start + found + step], new[place + found : place + found + step])
        found += more
        if more < step:
            return found
        step = min(2 * step, 1 << 24)


def _equal(one: bytes, other: bytes) -> int:
    """How many bytes are equal at the beginning of both."""
    size = min(len(one), len(other))
    differ = np.flatnonzero(np.frombuffer(one, np.uint8, size) != np.frombuffer(other, np.uint8, size))
    return int(differ[0]) if len(differ) else size
