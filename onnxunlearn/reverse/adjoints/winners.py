"""Max pooling back: each window's signal goes to its largest cell, to the first of equal ones.

One axis after another, as the largest cell of a window is the largest of its rows' largest. Along an axis the
first cells of all windows are compared at once, then the second ones …: MaxPool with indices, which compares
cell after cell, takes ONNX Runtime longer, by how much hangs on how often it guesses wrong.
"""

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np

from onnxunlearn.reverse.adjoints.movement import crop, zeros
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.expression import Value

#: cells along an axis up to which they are compared one by one: each takes some nodes
MOST = 16


def to_winners(window: Window, x: Value, signal: Value, shape: Sequence[int]) -> Value:
    """What arrives at x, which is of `shape`, of the signal at the maxima of its windows. The signal must be
    finite."""
    if signal.zero:
        return signal
    axes = [_Axis(window, i) for i in reversed(range(window.rank))]  # the last first, so that ties go by rows
    shapes = accumulate(axes, lambda before, axis: axis.among(before, axis.count), initial=tuple(shape))
    steps = []
    for axis, before in zip(axes, shapes, strict=False):
        cells = axis.cells(x, before)
        x = x.emitter.op("Max", *cells) if len(cells) > 1 else cells[0]
        steps.append((axis, before, cells, x))
    for axis, before, cells, largest in reversed(steps):
        signal = axis.placed(_shared(signal, cells, largest), before)
    return signal


def _shared(signal: Value, cells: Sequence[Value], largest: Value) -> list[Value]:
    """What of the signal goes to each cell: all of it, to the first that is the largest."""
    parts = []
    for cell in cells[:-1]:
        part = signal.masked(signal.emitter.op("Equal", cell, largest))
        signal = signal - part
        parts.append(part)
    return [*parts, signal]


class _Axis:
    """The windows along one axis. A lane is every stride-th place of it: there a window's cells of one number
    lie one behind the other.

    number: which axis it is. size, count: of its places, and of the windows. length: of a lane.
    places: for each cell of a window, its lane, and where in it that of the first window lies.
    """

    def __init__(self, window: Window, i: int) -> None:
        self.number, self.size, self.count, self.stride = (
            2 + i,
            window.sizes[i],
            window.counts[i],
            window.strides[i],
        )
        self.length = -(-self.size // self.stride)
        offsets = (cell * window.dilations[i] - window.begins[i] for cell in range(window.kernel[i]))
        self.places = [(offset % self.stride, offset // self.stride) for offset in offsets]

    def among(self, shape: Sequence[int], length: int) -> tuple[int, ...]:
        """The shape with another length of this axis."""
        return *shape[: self.number], length, *shape[self.number + 1 :]

    def cells(self, x: Value, shape: Sequence[int]) -> list[Value]:
        """The first cells of all windows, the second ones …; −∞ where they lie on the padding."""
        whole = self._run(x, len(shape), self.size, 0, self.length * self.stride, -np.inf)
        lanes = {lane: self._lane(whole, shape, lane) for lane in sorted({lane for lane, _ in self.places})}
        return [
            self._run(lanes[lane], len(shape), self.length, start, self.count, -np.inf)
            for lane, start in self.places
        ]

    def placed(self, parts: Sequence[Value], shape: Sequence[int]) -> Value:
        """The parts, each for the cells of one number, added where these lie in a tensor of `shape`."""
        lanes: list[Value] = [parts[0].emitter.zero] * self.stride
        for part, (lane, start) in zip(parts, self.places, strict=True):
            lanes[lane] = lanes[lane] + self._run(part, len(shape), self.count, -start, self.length, 0.0)
        whole = self._woven(lanes, shape)
        return self._run(whole, len(shape), self.length * self.stride, 0, self.size, 0.0)

    def _run(self, x: Value, rank: int, size: int, start: int, count: int, fill: float) -> Value:
        """`count` of the axis' `size` places from `start` on; `fill` where there is none."""
        pads = np.zeros((2, rank), np.int64)
        pads[:, self.number] = -start, start + count - size  # below 0: cut off
        if not pads.any():
            return x
        return x.emitter.op("Pad", x, pads.reshape(-1), np.asarray(fill, x.emitter.dtype))

    def _lane(self, whole: Value, shape: Sequence[int], lane: int) -> Value:
        if self.stride == 1:
            return whole
        outer, inner = self._around(shape)
        if inner == 1:  # Transpose moves single numbers faster than Slice
            turned = whole.reshape((outer, self.length, self.stride)).transpose([0, 2, 1])
            part = crop(turned, [1], [lane], [lane + 1])
        else:
            part = crop(
                whole.reshape((outer, self.length, self.stride * inner)),
                [2],
                [lane * inner],
                [(lane + 1) * inner],
            )
        return part.reshape(self.among(shape, self.length))

    def _woven(self, lanes: Sequence[Value], shape: Sequence[int]) -> Value:
        """The lanes put together again."""
        if self.stride == 1:
            return lanes[0]
        outer, inner = self._around(shape)
        emitter = next(lane.emitter for lane in lanes)
        part = (outer, 1, self.length) if inner == 1 else (outer, self.length, inner)
        tensors = [zeros(emitter, part) if lane.zero else lane.reshape(part) for lane in lanes]
        joined = emitter.op("Concat", *tensors, axis=1 if inner == 1 else 2)
        turned = joined.transpose([0, 2, 1]) if inner == 1 else joined
        return turned.reshape(self.among(shape, self.length * self.stride))

    def _around(self, shape: Sequence[int]) -> tuple[int, int]:
        """How many numbers before the axis, and behind it."""
        return prod(shape[: self.number]), prod(shape[self.number + 1 :])
