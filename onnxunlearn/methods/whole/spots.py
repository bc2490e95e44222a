"""What a head reads at each of its places: rows of the map in front of it, and gradients back into it."""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer

#: which place of which sample: two arrays, int [n]
Where = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Spots:
    """tensor: the map [N, channels, height, width] that a convolution reads, a window of `kernel` around each
    place, or [N, places, channels], of which a dense layer reads each by itself; then there is no kernel.
    Places are counted row by row."""

    tensor: str
    kernel: tuple[int, int] | None

    @classmethod
    def of(cls, head: Layer) -> "Spots":
        """What this layer reads. Raises UnsupportedError where that is no such window."""
        size = head.weight.shape[2:]
        if not size and head.dense:
            return cls(head.input, None)
        plain = set(head.node.attribute("strides", [1])) == {1} == set(head.node.attribute("dilations", [1]))
        if len(size) != 2 or not plain or any(k % 2 == 0 for k in size):
            raise UnsupportedError(f"{head.node}: classes are not said of each place of a map by itself")
        return cls(head.input, (size[0], size[1]))

    def rows(self, values: np.ndarray, where: Where) -> np.ndarray:
        """What is read there, [n, numbers]; beyond the border there are zeros."""
        sample, place = where
        if self.kernel is None:
            return np.asarray(values[sample, place])
        width, (high, wide) = values.shape[3], self.kernel
        sides = ((0, 0), (0, 0), (high // 2, high // 2), (wide // 2, wide // 2))
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(values, sides), self.kernel, axis=(2, 3))
        found = windows[sample, :, place // width, place % width]
        return np.asarray(found.reshape(len(sample), values.shape[1] * high * wide))  # there may be none

    def add(self, gradient: np.ndarray, where: Where, rows: np.ndarray) -> None:
        """To the gradient at the map that at its rows."""
        sample, place = where
        if self.kernel is None:
            np.add.at(gradient, (sample, place), rows)
            return
        channels, height, width = gradient.shape[1:]
        high, wide = self.kernel
        own = rows.reshape(len(rows), channels, high, wide)
        for down in range(high):
            for right in range(wide):
                y, x = place // width + down - high // 2, place % width + right - wide // 2
                inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
                every = np.moveaxis(gradient, 1, -1)  # a view
                np.add.at(every, (sample[inside], y[inside], x[inside]), own[inside, :, down, right])
