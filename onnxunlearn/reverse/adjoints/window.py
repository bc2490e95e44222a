"""Sliding windows: the geometry that Conv and the poolings share, and its adjoint.

Measured in ONNX Runtime: ConvTranspose with `pads` and `output_padding` is the exact adjoint of Conv for any
stride, dilation, group and padding; `output_shape` is not. At stride 1 a Conv with the flipped kernel is the
same and as fast as the forward pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxunlearn.engines.windows import Windows
from onnxunlearn.reverse.adjoints.site import Site
from onnxunlearn.reverse.expression import Value

#: from so many input channels on, a weight's gradient is faster by cells of the kernel
_MANY = 8


@dataclass(frozen=True)
class Window(Windows):
    """The windows of a node, with what the reverse walk does with them."""

    @classmethod
    def at(cls, site: Site, kernel: Sequence[int]) -> "Window":
        """Of a Conv or pooling node, over its input; of a ConvTranspose those of the Conv whose adjoint it
        is, over its output. kernel: from the weight or from kernel_shape."""
        window = cls.of(site.node, site.shape()[2:], kernel)
        window._check(site)
        return window

    def _check(self, site: Site) -> None:
        """Refuse what ONNX Runtime places elsewhere with SAME: dilated poolings, which it pads as if they
        were not, and windows that leave more than two cells over, of which it skips some at the beginning."""
        transposed = site.node.kind == "ConvTranspose"
        made = self.sizes if transposed else self.counts
        if made != tuple(site.y_shape[2:]):
            raise site.unsupported(f"its output is {site.y_shape[2:]} where its attributes say {made}")
        if transposed or not str(site.node.attribute("auto_pad", "")).startswith("SAME"):
            return
        dilated = any(r > k for r, k in zip(self.extents, self.kernel, strict=True))
        if dilated and site.node.kind != "Conv":
            raise site.unsupported("auto_pad SAME with dilations is not covered")
        axes = zip(self.sizes, self.counts, self.strides, self.extents, strict=True)
        if any(i - ((o - 1) * t + r) > 2 for i, o, t, r in axes):
            raise site.unsupported("auto_pad SAME with strides far beyond the kernel is not covered")

    @property
    def rank(self) -> int:
        return len(self.kernel)

    @property
    def attributes(self) -> dict[str, Any]:
        """As attributes of a Conv or pooling node."""
        return {
            "kernel_shape": list(self.kernel),
            "strides": list(self.strides),
            "dilations": list(self.dilations),
            "pads": [*self.begins, *self.ends],
        }

    def adjoint(self, w: Value, s: Value, group: int, shape: Sequence[int]) -> Value:
        """Fᵀ(w, s) for F = Conv with this window; w: [out, in / group, *kernel], which is `shape`."""
        flipped_begin = [r - 1 - b for r, b in zip(self.extents, self.begins, strict=True)]
        flipped_end = [
            i + r - 1 - o - b  # so that the result has `sizes` cells
            for i, r, o, b in zip(self.sizes, self.extents, self.counts, flipped_begin, strict=True)
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
                self.sizes, self.counts, self.strides, self.extents, self.begins, self.ends, strict=True
            )
        ]
        end = [e + max(-r, 0) for e, r in zip(self.ends, rest, strict=True)]
        return s.emitter.op(
            "ConvTranspose",
            s,
            w,
            group=group,
            **{**self.attributes, "pads": [*self.begins, *end], "output_padding": [max(r, 0) for r in rest]},
        )

    def weight_vjp(self, x: Value, s: Value, group: int, x_shape: Sequence[int]) -> Value:
        """Σ over samples and positions of signal times input patch, [out, in / group, *kernel].

        x: [n, in, *sizes], which is `x_shape`; s: [n, out, *counts].
        """
        swap = [1, 0, *range(2, 2 + self.rank)]
        if group == 1 and x_shape[1] >= _MANY:
            return self._by_cells(x.transpose(swap), s.transpose(swap), x_shape[1])
        # A Conv again: channels and samples change places, as stride and dilation; the signal is the kernel.
        n, inner = x_shape[0], x_shape[1] // group
        seen = x.reshape((n, group, inner, *self.sizes)).transpose([2, 1, 0, *range(3, 3 + self.rank)])
        product = s.emitter.op(
            "Conv",
            seen.reshape((inner, group * n, *self.sizes)),
            s.transpose(swap),
            kernel_shape=list(self.counts),
            strides=list(self.dilations),
            dilations=list(self.strides),
            pads=[*self.begins, *self.ends],
            group=group,
        )
        # A stride may leave cells over at the end, which show as positions behind the kernel's last.
        return product.slice([0] * self.rank, self.kernel).transpose(swap)

    def _by_cells(self, x: Value, s: Value, inputs: int) -> Value:
        """The same, one matrix product for each cell of the kernel; x and s have their channels first.

        With many channels this is twice as fast in ONNX Runtime.
        """
        emitter = s.emitter
        pads = np.asarray([0, 0, *self.begins, 0, 0, *self.ends], np.int64)
        padded = emitter.op("Pad", x, pads) if pads.any() else x
        signal = emitter.op("Flatten", s, axis=1)
        products = []
        for cell in np.ndindex(self.kernel):
            start = [c * d for c, d in zip(cell, self.dilations, strict=True)]
            stop = [b + (n - 1) * t + 1 for b, n, t in zip(start, self.counts, self.strides, strict=True)]
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

    def averaged(self, count_padding: bool) -> np.ndarray:
        """Over how many cells each window position averages, shape [*counts] (average pooling)."""
        total: np.ndarray = np.ones(())
        for axis in range(self.rank):
            total = np.multiply.outer(total, self.cells(axis, count_padding=count_padding))
        return total
