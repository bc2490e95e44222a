"""Whole numbers as a byte each, and the bits that it leaves open.

An edit moves most weights by a little, so most differences are short. A number below 8 is its byte. Any other
is a small float: with b bits in all, its byte is 4·(b − 2) plus the two bits below the highest, and the lower
b − 3 are appended to a stream of bits, the lowest first. The bytes are what a compressor can do something
about, the bits are noise.
"""

from collections.abc import Iterable

import numpy as np

#: numbers that are worked on at a time
_BATCH = 1 << 20
#: no number has more bits than 64
LARGEST_SYMBOL = 4 * (64 - 2) + 3


def fold(difference: np.ndarray) -> np.ndarray:
    """0, −1, 1, −2, … (modulo 2ⁿ) as 0, 1, 2, 3, …; unsigned of any width, the same width."""
    width = difference.dtype.itemsize
    signed = difference.view(f"i{width}")
    return ((signed << 1) ^ (signed >> (8 * width - 1))).view(difference.dtype)


def unfold(folded: np.ndarray) -> np.ndarray:
    """What `fold` made them from."""
    one = folded.dtype.type(1)
    return (folded >> one) ^ (~(folded & one) + one)


def lengths(numbers: np.ndarray) -> np.ndarray:
    """Bits of each number, 0 for 0."""
    rest = numbers.astype(np.uint64)
    found = np.zeros(rest.shape, np.uint8)
    for step in (32, 16, 8, 4, 2, 1):
        more = rest >> np.uint64(step)
        found[more > 0] += step
        rest = np.where(more > 0, more, rest)
    return found + (rest > 0)


def split(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint64 numbers -> a byte each, and how many bits each leaves open."""
    bits = lengths(numbers)
    open_bits = np.maximum(bits, 3) - 3
    top = (numbers >> open_bits.astype(np.uint64)).astype(np.uint8) & 3
    return np.where(bits > 3, 4 * (bits - 2) + top, numbers.astype(np.uint8)), open_bits


def open_bits_of(symbols: np.ndarray) -> np.ndarray:
    """How many bits each byte leaves open."""
    return np.maximum(symbols >> 2, 1) - 1


class BitWriter:
    """A stream of bits, the first of them the lowest of the first byte."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._rest = np.zeros(0, bool)

    def write(self, numbers: np.ndarray, counts: np.ndarray) -> None:
        """The lowest `counts` bits of each."""
        for at in range(0, len(numbers), _BATCH):
            some, n = numbers[at : at + _BATCH], counts[at : at + _BATCH].astype(np.int64)
            ends = np.cumsum(n) + len(self._rest)
            bits = np.zeros(int(ends[-1]), bool)
            bits[: len(self._rest)] = self._rest
            for j in range(int(n.max())):
                has = n > j
                bits[(ends - n)[has] + j] = (some[has] >> np.uint64(j)) & np.uint64(1)
            whole = len(bits) // 8 * 8
            self._pieces.append(np.packbits(bits[:whole], bitorder="little").tobytes())
            self._rest = bits[whole:]

    def getvalue(self) -> bytes:
        return b"".join(self._pieces) + np.packbits(self._rest, bitorder="little").tobytes()


class NumberReader:
    """Numbers in the order in which they were written, some at a time.

    symbols: their bytes. bits: the stream of what these leave open.
    """

    def __init__(self, symbols: bytes, bits: bytes) -> None:
        self._symbols = np.frombuffer(symbols, np.uint8)
        self._bits = np.frombuffer(bits + bytes(16), np.uint8)
        self._end = 8 * len(bits)
        self._next = self._bit = 0

    @property
    def done(self) -> bool:
        """Whether all was read, and no more than the last byte's padding is left."""
        return self._next == len(self._symbols) and self._end - self._bit < 8

    def read(self, count: int, width: int) -> np.ndarray:
        """Unsigned numbers of `width` bytes. Raises ValueError if there are no more, or one is too large."""
        symbols = self._symbols[self._next : self._next + count]
        if len(symbols) < count:
            raise ValueError("it has fewer numbers than it says")
        self._next += count
        if width == 1:
            return symbols
        made = np.empty(count, f"<u{width}")
        for at in range(0, count, _BATCH):
            made[at : at + _BATCH] = self._numbers(symbols[at : at + _BATCH], width)
        return made

    def _numbers(self, symbols: np.ndarray, width: int) -> np.ndarray:
        n = open_bits_of(symbols).astype(np.int64)
        if int(n.max(initial=0)) > 8 * width - 3:
            raise ValueError("a number is too large")
        ends = self._bit + np.cumsum(n)
        if (end := int(ends[-1])) > self._end:
            raise ValueError("it has fewer bits than its numbers need")
        self._bit = end
        top = np.where(symbols < 8, symbols, 4 + (symbols & 3)).astype(np.uint64)
        low = self._window(ends - n, np.minimum(n, 32))
        high = self._window(ends - n + np.minimum(n, 32), np.maximum(n - 32, 0)) << np.uint64(32)
        return (top << n.astype(np.uint64)) | low | high

    def _window(self, at: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The next `counts` bits (at most 32) from bit `at` on."""
        everywhere = np.ndarray(len(self._bits) - 7, "<u8", self._bits, strides=(1,))
        shifted = everywhere[at >> 3] >> (at & 7).astype(np.uint64)
        return shifted & ((np.uint64(1) << counts.astype(np.uint64)) - np.uint64(1))


def varints(numbers: Iterable[int]) -> bytes:
    """Seven bits a byte, the lowest first; the highest bit says that more follow."""
    out = bytearray()
    for number in numbers:
        while number >= 0x80:
            out.append(number & 0x7F | 0x80)
            number >>= 7
        out.append(number)
    return bytes(out)


class VarintReader:
    """Numbers below 2⁶³ from bytes. Raises ValueError where there are none."""

    def __init__(self, data: bytes) -> None:
        self._data, self.position = data, 0

    @property
    def done(self) -> bool:
        return self.position == len(self._data)

    def __call__(self) -> int:
        value = shift = 0
        while True:
            if self.done or shift > 56:
                raise ValueError("a number in it is cut off, or beyond 63 bits")
            byte = self._data[self.position]
            self.position += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def take(self, count: int) -> bytes:
        taken = self._data[self.position : self.position + count]
        if len(taken) < count:
            raise ValueError("it is cut off")
        self.position += count
        return taken
