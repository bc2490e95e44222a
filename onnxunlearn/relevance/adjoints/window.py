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

#: from so many input channels on, a weight's gradient is faster by cells of the kernel
_MANY = 8


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

    def adjoint(self, w: Value, s: Value, group: int, shape: Sequence[int]) -> Value:
        """Fᵀ(w, s) for F = Conv with this window; w: [out, in / group, *kernel], which is `shape`."""
        flipped_begin = [r - 1 - b for r, b in zip(self.reach, self.begin, strict=True)]
        flipped_end = [
            i + r - 1 - o - b  # so that the result has `size` cells
            for i, r, o, b in zip(self.size, self.reach, self.count, flipped_begin, strict=True)
        ]
        if set(self.strides) == {1} and min(*flipped_begin, *flipped_end) >= 0:
            turned = self._flipped(w, group, shape)
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

    def weight_vjp(self, x: Value, s: Value, group: int, x_shape: Sequence[int]) -> Value:
        """Σ over samples and positions of signal times input patch, [out, in / group, *kernel].

        x: [n, in, *size], which is `x_shape`; s: [n, out, *count].
        """
        swap = [1, 0, *range(2, 2 + self.rank)]
        if group == 1 and x_shape[1] >= _MANY:
            return self._by_cells(x.transpose(swap), s.transpose(swap), x_shape[1])
        # A Conv again: channels and samples change places, as stride and dilation; the signal is the kernel.
        n, inner = x_shape[0], x_shape[1] // group
        seen = x.reshape((n, group, inner, *self.size)).transpose([2, 1, 0, *range(3, 3 + self.rank)])
        product = s.emitter.op(
            "Conv",
            seen.reshape((inner, group * n, *self.size)),
            s.transpose(swap),
            kernel_shape=list(self.count),
            strides=list(self.dilations),
            dilations=list(self.strides),
            pads=[*self.begin, *self.end],
            group=group,
        )
        # A stride may leave cells over at the end, which show as positions behind the kernel's last.
        return product.slice([0] * self.rank, self.kernel).transpose(swap)

    def _by_cells(self, x: Value, s: Value, inputs: int) -> Value:
        """The same, one matrix product for each cell of the kernel; x and s have their channels first.

        With many channels this is twice as fast in ONNX Runtime.
        """
        emitter = s.emitter
        pads = np.asarray([0, 0, *self.begin, 0, 0, *self.end], np.int64)
        padded = emitter.op("Pad", x, pads) if pads.any() else x
        signal = emitter.op("Flatten", s, axis=1)
        products = []
        for cell in np.ndindex(self.kernel):
            start = [c * d for c, d in zip(cell, self.dilations, strict=True)]
            stop = [b + (n - 1) * t + 1 for b, n, t in zip(start, self.count, self.strides, strict=True)]
            seen = padded.slice(start, stop, self.strides)
            products.append(emitter.op("Gemm", signal, emitter.op("Flatten", seen, axis=1), transB=1))
        if len(products) == 1:
            return products[0].reshape((-1, inputs, *self.kernel))
        axis = np.asarray([2], np.int64)
        parts = [emitter.op("Unsqueeze", product, axis) for product in products]
        return emitter.op("Concat", *parts, axis=2).reshape((-1, inputs, *self.kernel))

    def _flipped(self, w: Value, group: int, shape: Sequence[int]) -> Value:
        """The kernel of the adjoint at stride 1: inputs and outputs swapped in each group, space turned."""
        out, inner = shape[0], shape[1]
        order = [0, 2, 1, *range(3, 3 + self.rank)]
        swapped = w.reshape((group, out // group, inner, *self.kernel)).transpose(order)
        return swapped.reshape((group * inner, out // group, *self.kernel)).flip(range(2, 2 + self.rank))

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
