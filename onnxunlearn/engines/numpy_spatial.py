"""Ops of the numpy engine that slide windows over space, in any number of dimensions."""

import math
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference.op_run import OpRun

from onnxunlearn.engines.windows import Windows

Array = np.ndarray


class Conv(OpRun):
    def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
        windows = Windows.over(x.shape[2:], w.shape[2:], attributes)
        group = attributes["group"]
        kernel = w.reshape(group, w.shape[0] // group, -1)
        y = np.empty((x.shape[0], w.shape[0], *windows.counts), x.dtype)
        for image, result in zip(
            pad_for(x, windows), y, strict=True
        ):  # one by one: unfolding multiplies memory
            columns = unfolded(image, windows).reshape(group, kernel.shape[2], -1)
            np.matmul(kernel, columns, out=result.reshape(group, kernel.shape[1], -1))
        if b is not None:
            y += per_channel(b, y)
        return (y,)


class ConvTranspose(OpRun):
    def _run(self, x: Array, w: Array, b: Array | None = None, **attributes: Any) -> tuple[Array]:
        windows = Windows.transposed(x.shape[2:], w.shape[2:], attributes)
        group = attributes["group"]
        channels = w.shape[1] * group
        kernel = w.reshape(group, w.shape[0] // group, -1).swapaxes(1, 2)
        padded = [
            b + size + end for b, size, end in zip(windows.begins, windows.sizes, windows.reach, strict=True)
        ]
        y = np.zeros((x.shape[0], channels, *padded), x.dtype)
        for image, result in zip(x, y, strict=True):
            columns = kernel @ image.reshape(group, kernel.shape[2], -1)
            columns = columns.reshape(channels, -1, *windows.counts)
            for i, tap in enumerate(windows.taps()):
                result[:, *tap] += columns[:, i]
        axes = zip(windows.begins, windows.sizes, strict=True)
        y = y[:, :, *(slice(begin, begin + size) for begin, size in axes)]
        return (y + per_channel(b, y) if b is not None else np.ascontiguousarray(y),)


class MaxPool(OpRun):
    def _run(self, x: Array, **attributes: Any) -> tuple[Array, ...]:
        windows = Windows.over(x.shape[2:], attributes["kernel_shape"], attributes)
        limits = np.finfo(x.dtype) if x.dtype.kind == "f" else np.iinfo(x.dtype)
        padded = pad_for(x, windows, limits.min)  # as in ONNX Runtime, not -∞
        taps = [padded[:, :, *tap] for tap in windows.taps()]
        best = taps[0].copy()
        if len(self.output) == 1:
            for values in taps[1:]:
                np.maximum(best, values, out=best)
            return (best,)
        winner = np.zeros(best.shape, np.int64)
        for i, values in enumerate(taps):
            better = values > best  # strictly: ONNX Runtime keeps the first of equals
            np.copyto(best, values, where=better)
            winner[better] = i
        return best, self._indices(winner, x, windows, attributes)

    @staticmethod
    def _indices(winner: Array, x: Array, windows: Windows, attributes: dict[str, Any]) -> Array:
        """Where in the flattened x (over N, C and space) each window's maximum lies."""
        rank = len(windows.sizes)
        offsets = np.unravel_index(winner, windows.kernel)
        positions = []
        for axis, offset in enumerate(offsets):
            starts = np.arange(windows.counts[axis]) * windows.strides[axis] - windows.begins[axis]
            starts = starts.reshape(-1, *[1] * (rank - 1 - axis))
            positions.append(starts + offset * windows.dilations[axis])
        order = "F" if attributes.get("storage_order") else "C"
        flat = np.zeros_like(winner)
        for axis in range(rank) if order == "C" else reversed(range(rank)):
            flat = flat * windows.sizes[axis] + positions[axis]
        planes = np.arange(x.shape[0] * x.shape[1]).reshape(*x.shape[:2], *[1] * rank)
        return np.asarray(flat + planes * math.prod(windows.sizes))


class AveragePool(OpRun):
    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        windows = Windows.over(x.shape[2:], attributes["kernel_shape"], attributes)
        padded = pad_for(x, windows)
        y = np.zeros((*x.shape[:2], *windows.counts), x.dtype)
        for tap in windows.taps():
            y += padded[:, :, *tap]
        count_padding = bool(attributes.get("count_include_pad"))
        for axis in range(len(windows.sizes)):
            cells = np.array(windows.cells(axis, count_padding=count_padding), x.dtype)
            y /= cells.reshape(-1, *[1] * (len(windows.sizes) - 1 - axis))
        return (y,)


class GlobalMaxPool(OpRun):
    def _run(self, x: Array) -> tuple[Array]:
        return (x.max(tuple(range(2, x.ndim)), keepdims=True),)


def pad_for(x: Array, windows: Windows, value: float = 0) -> Array:
    """x (N, C, *spatial) with what the windows reach beyond it filled with `value`."""
    widths = [(0, 0), (0, 0), *zip(windows.begins, windows.reach, strict=True)]
    return np.pad(x, widths, constant_values=value) if any(map(any, widths)) else x


def unfolded(image: Array, windows: Windows) -> Array:
    """A view (C, *kernel, *counts) of one padded image (C, *spatial): every window's elements."""
    rank = len(windows.kernel)
    view = sliding_window_view(image, windows.extents, tuple(range(1, rank + 1)))
    starts = (slice(0, (n - 1) * s + 1, s) for n, s in zip(windows.counts, windows.strides, strict=True))
    view = view[:, *starts, *(slice(None, None, d) for d in windows.dilations)]
    return view.transpose(0, *range(rank + 1, 2 * rank + 1), *range(1, rank + 1))


def patches(x: Array, windows: Windows, groups: int = 1, chosen: Array | None = None) -> Array:
    """What each window sees of x (N, C, *spatial): [N, groups, positions, C / groups · kernel].

    chosen: indices of the positions to keep; the others are never unfolded, so memory is bounded by them.
    """
    padded, kernel, counts = pad_for(x, windows), windows.kernel, windows.counts
    seen = unfolded(padded.reshape(-1, *padded.shape[2:]), windows)  # a view [N · C, *kernel, *counts]
    if chosen is not None:
        places = np.unravel_index(chosen, counts)
        seen, counts = seen[(slice(None),) * (1 + len(kernel)) + places], (len(chosen),)
    channels = x.shape[1] // groups
    seen = seen.reshape(len(x), groups, channels, *kernel, *counts)
    axes = range(seen.ndim)
    seen = seen.transpose(0, 1, *axes[3 + len(kernel) :], *axes[2 : 3 + len(kernel)])
    return seen.reshape(len(x), groups, math.prod(counts), channels * math.prod(kernel))


def per_channel(values: Array, like: Array) -> Array:
    """One value a channel (C), shaped to broadcast over an (N, C, ...) array."""
    return values.reshape(-1, *[1] * (like.ndim - 2))
