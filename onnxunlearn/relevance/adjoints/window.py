"""Sliding windows: the geometry that Conv and the poolings share, and its adjoint.

Measured in ONNX Runtime: ConvTranspose with `pads` and `output_padding` is the exact adjoint of Conv for any
stride, dilation, group and padding; `output_shape` is not. At stride 1 a Conv with the flipped kernel is the
same and as fast as the forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxunlearn.graph import Node
from onnxunlearn.relevance.adjoints.site import Site
from onnxunlearn.relevance.expression import Value


@dataclass(frozen=True)
class Window:
    """A window of `kernel` cells moving over `size` cells; all tuples have one entry per spatial axis.

    begin, end: padding, as it really is (auto_pad resolved). count: number of window positions.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    size: tuple[int, ...]
    count: tuple[int, ...]

    @classmethod
    def of(cls, site: Site, kernel: Sequence[int]) -> "Window":
        """The window of a Conv or pooling node; `kernel` from the weight or from kernel_shape."""
        return cls.of_node(site.node, kernel, site.shape()[2:], site.y_shape[2:])

    @classmethod
    def of_transposed(cls, site: Site, kernel: Sequence[int]) -> "Window":
        """The window of the Conv whose adjoint a ConvTranspose node is: from its output to its input.

        output_padding and output_shape are already in the recorded sizes.
        """
        window = cls.of_node(site.node, kernel, site.y_shape[2:], site.shape()[2:])
        if (
            site.node.attribute("auto_pad", "NOTSET") == "NOTSET"
            and site.node.attribute("output_shape") is None
        ):
            return window
        # onnx: total padding = stride·(in − 1) + output_padding + reach − out, split by auto_pad
        upper = site.node.attribute("auto_pad", "NOTSET") == "SAME_UPPER"
        extra = site.node.attribute("output_padding", [0] * len(kernel))
        total = [
            s * (c - 1) + p + r - n
            for s, c, p, r, n in zip(
                window.strides, window.count, extra, window.reach, window.size, strict=True
            )
        ]
        small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
        begin, end = (small, large) if upper else (large, small)
        return replace(window, begin=begin, end=end)

    @classmethod
    def of_node(
        cls, node: Node, kernel: Sequence[int], size: tuple[int, ...], count: tuple[int, ...]
    ) -> "Window":
        """The window that `node` moves over `size` cells to get `count`."""
        rank = len(kernel)
        strides = tuple(node.attribute("strides", [1] * rank))
        dilations = tuple(node.attribute("dilations", [1] * rank))
        pads = list(node.attribute("pads", [0] * (2 * rank)))
        auto = node.attribute("auto_pad", "NOTSET")
        if auto in {"SAME_UPPER", "SAME_LOWER"}:
            # onnx: the smallest total padding that gives ceil(size / stride) positions, the odd cell at the
            # end (UPPER) or at the beginning (LOWER)
            total = [
                max((o - 1) * s + (k - 1) * d + 1 - i, 0)
                for o, s, k, d, i in zip(count, strides, kernel, dilations, size, strict=True)
            ]
            small = [t // 2 for t in total]
            large = [t - t // 2 for t in total]
            pads = small + large if auto == "SAME_UPPER" else large + small
        elif auto == "VALID":
            pads = [0] * (2 * rank)
        return cls(tuple(kernel), strides, dilations, tuple(pads[:rank]), tuple(pads[rank:]), size, count)

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def reach(self) -> tuple[int, ...]:
        """Cells from the first to the last of a window, both included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def attributes(self) -> dict[str, Any]:
        """As attributes of a Conv or pooling node."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            "pads": [*self.begin, *self.end],
        }

    def adjoint(self, w: Value, s: Value, group: int) -> Value:
        """Fᵀ(w, s) for F = Conv with this window; w: constant [out, in / group, *kernel]."""
        flipped_begin = [r - 1 - b for r, b in zip(self.reach, self.begin, strict=True)]
        flipped_end = [
            i + r - 1 - o - b  # so that the result has `size` cells
            for i, r, o, b in zip(self.size, self.reach, self.count, flipped_begin, strict=True)
        ]
        if set(self.strides) == {1} and min(*flipped_begin, *flipped_end) >= 0 and w.array is not None:
            turned = s.emitter.constant(_flipped(w.array, group))
            pads = [*flipped_begin, *flipped_end]
            return s.emitter.op(
                "Conv",
                s,
                turned,
                kernel_shape=list(self.kernel),
                dilations=list(self.dilations),
                pads=pads,
                strides=[1] * self.rank,
                group=group,
            )
        # Cells behind the last window get nothing (output_padding); a last window that hangs over the
        # padded input (ceil_mode) is cut off (more padding).
        rest = [
            i - ((o - 1) * t + r - b - e)
            for i, o, t, r, b, e in zip(
                self.size, self.count, self.strides, self.reach, self.begin, self.end, strict=True
            )
        ]
        end = [e + max(-r, 0) for e, r in zip(self.end, rest, strict=True)]
        return s.emitter.op(
            "ConvTranspose",
            s,
            w,
            group=group,
            **{**self.attributes, "pads": [*self.begin, *end], "output_padding": [max(r, 0) for r in rest]},
        )

    def cells(self, include_pad: bool) -> np.ndarray:
        """How many cells each window position averages over, shape [*count] (average pooling)."""
        total: np.ndarray = np.ones(())
        for axis in range(self.rank):
            begin, end, size = self.begin[axis], self.end[axis], self.size[axis]
            low, high = (-begin, size + end) if include_pad else (0, size)
            start = np.arange(self.count[axis]) * self.strides[axis] - begin
            cell = start[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            total = np.multiply.outer(total, ((cell >= low) & (cell < high)).sum(1))
        return total


def _flipped(w: np.ndarray, group: int) -> np.ndarray:
    """The kernel of the adjoint at stride 1: inputs and outputs swapped within each group, space reversed."""
    out, inner, *kernel = w.shape
    grouped = w.reshape(group, out // group, inner, *kernel).swapaxes(1, 2)
    turned = grouped.reshape(group * inner, out // group, *kernel)
    return np.ascontiguousarray(np.flip(turned, axis=tuple(range(2, turned.ndim))))
