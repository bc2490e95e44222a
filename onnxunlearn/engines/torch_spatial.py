"""Ops of the torch engine that slide windows over space: convolution and pooling, in 1, 2 or 3 dimensions."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from onnxunlearn.engines.torch_ops import Op, Result, padded_then_cropped, per_channel, torch_op
from onnxunlearn.engines.windows import Windows

_CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
_CONV_TRANSPOSE = {
    1: functional.conv_transpose1d,
    2: functional.conv_transpose2d,
    3: functional.conv_transpose3d,
}
_MAX_POOL: dict[int, Callable[..., Any]] = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}


@torch_op("Conv")
def conv(op: Op, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    windows = Windows.over(x.shape[2:], w.shape[2:], op.attributes)
    padding = windows.begins
    if windows.begins != windows.ends:  # torch only pads both sides alike
        x, padding = _padded(x, windows), (0,) * len(windows.sizes)
    group = op.get("group", 1)
    return _CONV[_rank(op, windows)](x, w, b, windows.strides, padding, windows.dilations, group)


@torch_op("ConvTranspose")
def conv_transpose(op: Op, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Unpadded, then cropped: torch allows neither unequal pads nor any output_padding."""
    windows = Windows.transposed(x.shape[2:], w.shape[2:], op.attributes)
    y = _CONV_TRANSPOSE[_rank(op, windows)](
        x, w, None, windows.strides, groups=op.get("group", 1), dilation=windows.dilations
    )
    widths: list[int] = []
    for begin, size, have in zip(windows.begins, windows.sizes, y.shape[2:], strict=True):
        widths[:0] = [-begin, begin + size - have]
    y = padded_then_cropped(y, widths)
    return y if b is None else y + per_channel(b, y)


@torch_op("MaxPool")
def max_pool(op: Op, x: Tensor) -> Result:
    windows = Windows.over(x.shape[2:], op.attributes["kernel_shape"], op.attributes)
    pool = _MAX_POOL[_rank(op, windows)]
    limits = torch.finfo(x.dtype) if x.is_floating_point() else torch.iinfo(x.dtype)
    padded = _padded(x if x.is_floating_point() else x.double(), windows, limits.min)
    settings = {"kernel_size": windows.kernel, "stride": windows.strides, "dilation": windows.dilations}
    if op.outputs == 1:
        y: Tensor = pool(padded, **settings)
        return y.to(x.dtype)
    if op.get("storage_order", 0):
        raise op.unsupported("storage_order 1")
    y, places = pool(padded, **settings, return_indices=True)
    return y.to(x.dtype), _flat_places(places, x, padded, windows)


def _flat_places(places: Tensor, x: Tensor, padded: Tensor, windows: Windows) -> Tensor:
    """Indices into one padded plane -> indices into all of x, flattened, as ONNX wants them."""
    planes = torch.arange(x.shape[0] * x.shape[1], device=x.device)
    flat = planes.reshape(*x.shape[:2], *[1] * len(windows.sizes))
    for axis, size in enumerate(windows.sizes):
        row = math.prod(padded.shape[axis + 3 :])
        flat = flat * size + places // row % padded.shape[axis + 2] - windows.begins[axis]
    return flat


@torch_op("AveragePool")
def average_pool(op: Op, x: Tensor) -> Tensor:
    windows = Windows.over(x.shape[2:], op.attributes["kernel_shape"], op.attributes)
    padded = _padded(x, windows)
    taps = [padded[:, :, *tap] for tap in windows.taps()]
    y = taps[0]
    for values in taps[1:]:
        y = y + values
    for axis in range(len(windows.sizes)):
        cells = windows.cells(axis, count_padding=bool(op.get("count_include_pad", 0)))
        y = y / x.new_tensor(cells).reshape(-1, *[1] * (len(windows.sizes) - 1 - axis))
    return y


@torch_op("GlobalAveragePool")
def global_average_pool(op: Op, x: Tensor) -> Tensor:
    return x.mean(tuple(range(2, x.ndim)), keepdim=True)


@torch_op("GlobalMaxPool")
def global_max_pool(op: Op, x: Tensor) -> Tensor:
    return x.flatten(2).max(2).values.reshape(*x.shape[:2], *[1] * (x.ndim - 2))


def _rank(op: Op, windows: Windows) -> int:
    if len(windows.sizes) not in _CONV:
        raise op.unsupported(f"{len(windows.sizes)} spatial axes")
    return len(windows.sizes)


def _padded(x: Tensor, windows: Windows, value: float = 0) -> Tensor:
    widths: list[int] = []
    for begin, end in zip(windows.begins, windows.reach, strict=True):
        widths[:0] = [begin, end]  # torch wants the last axis first
    return functional.pad(x, widths, value=value) if any(widths) else x
