"""How a kernel slides over an input: ONNX's strides, dilations, pads, auto_pad, ceil_mode as plain numbers.

Shared by the numpy and torch engines and by the adjoints, so that all place every window where ONNX Runtime
does.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Self

from onnxunlearn.graph import Node

#: the attributes that place windows
_PLACING = ("strides", "dilations", "pads", "auto_pad", "ceil_mode", "output_padding", "output_shape")


@dataclass(frozen=True)
class Windows:
    """Windows over the spatial axes of an input; one number an axis everywhere.

    sizes: the input's spatial sizes. counts: how many windows fit, i.e. the output's spatial sizes.
    begins, ends: padding before and after, in elements.
    """

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begins: tuple[int, ...]
    ends: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def of(cls, node: Node, sizes: Sequence[int], kernel: Sequence[int]) -> Self:
        """The windows of a node over its input's spatial `sizes`; of a ConvTranspose see `transposed`."""
        make = cls.transposed if node.kind == "ConvTranspose" else cls.over
        return make(sizes, kernel, {name: node.attribute(name) for name in _PLACING})

    @classmethod
    def over(cls, sizes: Sequence[int], kernel: Sequence[int], attributes: Mapping[str, Any]) -> Self:
        """The windows of a Conv or pooling node with these attributes; missing or None means the default."""
        rank = len(sizes)
        strides = attributes.get("strides") or [1] * rank
        dilations = attributes.get("dilations") or [1] * rank
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        auto_pad = attributes.get("auto_pad") or "NOTSET"
        if auto_pad.startswith("SAME"):
            counts = [-(-size // s) for size, s in zip(sizes, strides, strict=True)]
            needed = zip(counts, strides, extents, sizes, strict=True)
            totals = [max((count - 1) * s + extent - size, 0) for count, s, extent, size in needed]
            begins, ends = _split(totals, auto_pad)
        else:
            pads = attributes.get("pads") if auto_pad == "NOTSET" else None
            begins, ends = _halves(pads, rank)
            ceil = bool(attributes.get("ceil_mode"))
            axes = zip(sizes, begins, ends, extents, strides, strict=True)
            counts = [_count(size, b, e, extent, s, ceil) for size, b, e, extent, s in axes]
        as_tuples = (tuple(v) for v in (sizes, kernel, strides, dilations, begins, ends, counts))
        return cls(*as_tuples)

    @classmethod
    def transposed(cls, sizes: Sequence[int], kernel: Sequence[int], attributes: Mapping[str, Any]) -> Self:
        """The windows of a ConvTranspose node: they slide over its output, one per input element.

        `sizes` are the spatial sizes of the node's input.
        """
        rank = len(sizes)
        strides = attributes.get("strides") or [1] * rank
        dilations = attributes.get("dilations") or [1] * rank
        extra = attributes.get("output_padding") or [0] * rank
        auto_pad = attributes.get("auto_pad") or "NOTSET"
        shape = attributes.get("output_shape")
        axes = zip(sizes, kernel, strides, dilations, extra, strict=True)
        full = [s * (size - 1) + o + (k - 1) * d + 1 for size, k, s, d, o in axes]
        if shape or auto_pad.startswith("SAME"):
            wanted = shape[-rank:] if shape else [size * s for size, s in zip(sizes, strides, strict=True)]
            totals = [max(have - want, 0) for have, want in zip(full, wanted, strict=True)]
            begins, ends = _split(totals, auto_pad)
        else:
            begins, ends = _halves(attributes.get("pads") if auto_pad == "NOTSET" else None, rank)
        outputs = [have - b - e for have, b, e in zip(full, begins, ends, strict=True)]
        as_tuples = (tuple(v) for v in (outputs, kernel, strides, dilations, begins, ends, sizes))
        return cls(*as_tuples)

    @property
    def extents(self) -> tuple[int, ...]:
        """From a window's first element to its last, dilation included."""
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel, self.dilations, strict=True))

    @property
    def reach(self) -> tuple[int, ...]:
        """How far the last window reads beyond the input's end, at least 0.

        Less than `ends` if no window touches the rest, more if ceil_mode let a window hang over.
        """
        last = ((n - 1) * s for n, s in zip(self.counts, self.strides, strict=True))
        axes = zip(last, self.extents, self.sizes, self.begins, strict=True)
        return tuple(max(start + extent - size - begin, 0) for start, extent, size, begin in axes)

    def taps(self) -> Iterator[tuple[slice, ...]]:
        """For each kernel element, in row-major order, its places in all windows, in the padded input."""
        for offset in product(*map(range, self.kernel)):
            axes = zip(offset, self.dilations, self.strides, self.counts, strict=True)
            yield tuple(slice(o * d, o * d + (n - 1) * s + 1, s) for o, d, s, n in axes)

    def cells(self, axis: int, *, count_padding: bool) -> list[int]:
        """How many kernel elements of each window along `axis` lie in the input (or in input and padding).

        At least 1, so that the average over a window that is all padding is 0, as in ONNX Runtime.
        """
        begin, size = self.begins[axis], self.sizes[axis]
        low, high = (-begin, size + self.ends[axis]) if count_padding else (0, size)
        starts = [i * self.strides[axis] - begin for i in range(self.counts[axis])]
        steps = range(0, self.kernel[axis] * self.dilations[axis], self.dilations[axis])
        return [max(sum(low <= start + step < high for step in steps), 1) for start in starts]


def _count(size: int, begin: int, end: int, extent: int, stride: int, ceil: bool) -> int:
    span = size + begin + end - extent
    if not ceil:
        return span // stride + 1
    count = -(-span // stride) + 1
    # A window must start inside the input or the padding before it.
    return count - 1 if (count - 1) * stride >= size + begin else count


def _split(totals: Sequence[int], auto_pad: str) -> tuple[list[int], list[int]]:
    """Total padding -> before, after; the odd element goes after for SAME_UPPER, else before."""
    smaller = [total // 2 for total in totals]
    larger = [total - half for total, half in zip(totals, smaller, strict=True)]
    return (smaller, larger) if auto_pad == "SAME_UPPER" else (larger, smaller)


def _halves(pads: Sequence[int] | None, rank: int) -> tuple[list[int], list[int]]:
    both = list(pads or [0] * (2 * rank))
    return both[:rank], both[rank:]
