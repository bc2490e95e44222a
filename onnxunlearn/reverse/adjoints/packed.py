"""The adjoint of a convolution of few channels, or with a stride, several places at once.

What goes back to an image has one or three channels (six, where two weights go back), and ONNX Runtime makes
sixteen at once. So a block of places is made as channels of one place, by a convolution whose kernel reaches
all that the block takes from, and put apart afterwards. A stride is the same: places that take from different
cells of the kernel become different channels, where ConvTranspose would add them up one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np

from onnxunlearn.reverse.adjoints.movement import crop
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.expression import Value

#: channels that are made at once, whether they are wanted or not, and as how many the first of these count:
#: a convolution that makes no more uses its registers badly
_AT_ONCE, _FIRST = 16, 24
#: what ConvTranspose takes to add one number to where it belongs, and what putting one apart takes, in
#: multiplications of a convolution. All four as measured on one machine (AVX-512)
_ADDED, _MOVED = 60, 100


def packed(window: Window, w: Value, s: Value, shape: Sequence[int]) -> Value | None:
    """Fᵀ(w, s) for F = Conv with this window in two dimensions; w: [out, in, *kernel], which is `shape`, a
    constant. None where it would win nothing."""
    if window.rank != 2 or w.array is None or set(window.dilations) != {1}:
        return None
    out, channels = shape[:2]
    moved = _MOVED / out * channels * prod(window.sizes)
    best = min(_blocks(window), key=lambda block: _cost(block, channels), default=None)
    if best is None or _cost(best, channels) + moved >= _plain(window, out, channels):
        return None
    return _apart(best, _convolved(best, w.array, s), channels, window.sizes)


def _plain(window: Window, out: int, channels: int) -> float:
    """What `Window.adjoint` takes, in multiplications for each channel of s."""
    cells = prod(window.kernel)
    if set(window.strides) == {1}:
        return cells * prod(window.sizes) * _padded(channels)
    return cells * prod(window.counts) * channels * (1 + _ADDED / out)


@dataclass(frozen=True)
class _Along:
    """Blocks along one axis. block: places in each, which are `step` windows. count: of blocks. first: the
    window, from the first of a block, that its places take from first. cells: [places, windows], which cell
    of the kernel a place takes from which window; -1 for none. pads: windows missing before and behind."""

    block: int
    step: int
    count: int
    cells: np.ndarray
    pads: tuple[int, int]

    @classmethod
    def of(cls, window: Window, i: int, step: int) -> "_Along":
        stride, kernel, begin = window.strides[i], window.kernel[i], window.begins[i]
        block = step * stride
        first, last = -((kernel - 1 - begin) // stride), (block - 1 + begin) // stride
        cell = np.arange(block)[:, None] + begin - stride * np.arange(first, last + 1)
        count = -(-window.sizes[i] // block)
        behind = step * (count - 1) + last + 1 - window.counts[i]
        return cls(block, step, count, np.where((cell >= 0) & (cell < kernel), cell, -1), (-first, behind))


_Block = tuple[_Along, _Along]


def _blocks(window: Window) -> Iterator[_Block]:
    for steps in product((1, 2, 4), repeat=2):
        rows, columns = (_Along.of(window, i, step) for i, step in enumerate(steps))
        if min(*rows.pads, *columns.pads) >= 0:
            yield rows, columns


def _cost(block: _Block, channels: int) -> int:
    """In multiplications for each channel of s."""
    rows, columns = block
    taps = rows.cells.shape[1] * columns.cells.shape[1]
    return taps * rows.count * columns.count * _padded(channels * rows.block * columns.block)


def _padded(channels: int) -> int:
    return max(-(-channels // _AT_ONCE) * _AT_ONCE, _FIRST)


def _convolved(block: _Block, w: np.ndarray, s: Value) -> Value:
    """[n, in · block, *counts]: the blocks, their places among the channels."""
    rows, columns = block
    outer = np.pad(w, [(0, 0), (0, 0), (0, 1), (0, 1)])  # cell -1 is 0
    cells = outer[:, :, rows.cells[:, None, :, None], columns.cells[None, :, None, :]]
    kernel = cells.transpose(1, 2, 3, 0, 4, 5).reshape(-1, len(w), *cells.shape[4:])
    return s.emitter.op(
        "Conv",
        s,
        Value(s.emitter, array=kernel),  # also where all of it is 0
        kernel_shape=list(kernel.shape[2:]),
        strides=[rows.step, columns.step],
        pads=[rows.pads[0], columns.pads[0], rows.pads[1], columns.pads[1]],
    )


def _apart(block: _Block, made: Value, channels: int, sizes: Sequence[int]) -> Value:
    """[n, in, *sizes]. By two transpositions of neighbours: one of all takes ten times as long."""
    rows, columns = block
    count, width = rows.count * columns.count, columns.count * columns.block
    made = made.reshape((-1, columns.block, count)).transpose([0, 2, 1])
    made = made.reshape((-1, rows.block, rows.count, width)).transpose([0, 2, 1, 3])
    whole = rows.count * rows.block, width
    made = made.reshape((-1, channels, *whole))
    return made if whole == tuple(sizes) else crop(made, [2, 3], [0, 0], list(sizes))
