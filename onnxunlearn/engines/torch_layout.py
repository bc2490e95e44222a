"""Ops of the torch engine that make, move, pick or place elements."""

import math
from typing import Any

import numpy as np
import torch
from onnx import numpy_helper
from torch import Tensor

from onnxunlearn.engines.torch_ops import (
    Op,
    Result,
    axes_of,
    numbers,
    padded_then_cropped,
    tensor_of,
    torch_op,
)


@torch_op("Reshape")
def reshape(op: Op, x: Tensor, shape: Tensor) -> Tensor:
    sizes = numbers(shape)
    if not op.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


@torch_op("Flatten")
def flatten(op: Op, x: Tensor) -> Tensor:
    axis = op.get("axis", 1)
    return x.reshape(math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))


@torch_op("Transpose")
def transpose(op: Op, x: Tensor) -> Tensor:
    return x.permute(op.get("perm", list(reversed(range(x.ndim)))))


@torch_op("Squeeze")
def squeeze(op: Op, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = axes_of(op, axes)
    return x.squeeze(tuple(chosen)) if chosen else x.squeeze()


@torch_op("Unsqueeze")
def unsqueeze(op: Op, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = axes_of(op, axes)
    for axis in sorted(a % (x.ndim + len(chosen)) for a in chosen):
        x = x.unsqueeze(axis)
    return x


@torch_op("Concat")
def concat(op: Op, *xs: Tensor) -> Tensor:
    return torch.cat(xs, dim=op.attributes["axis"])


@torch_op("Split")
def split(op: Op, x: Tensor, sizes: Tensor | None = None) -> Result:
    """Sizes are an attribute before opset 13, an input since; without them the parts are equal."""
    axis = op.get("axis", 0)
    parts: list[int] | int = -(-x.shape[axis] // op.outputs)
    parts = op.get("split", parts) if sizes is None else numbers(sizes)
    return torch.split(x, parts, axis)


@torch_op("Slice")
def slice_(
    op: Op,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    """Bounds are attributes before opset 10, inputs since."""
    first: list[int] = op.attributes["starts"] if starts is None else numbers(starts)
    last: list[int] = op.attributes["ends"] if ends is None else numbers(ends)
    along = op.get("axes", list(range(len(first)))) if axes is None else numbers(axes)
    by = [1] * len(first) if steps is None else numbers(steps)
    for start, end, axis, step in zip(first, last, along, by, strict=True):
        places = range(*slice(start, end, step).indices(x.shape[axis]))
        if step > 0:
            x = x.movedim(axis, 0)[places.start : places.stop : step].movedim(0, axis)
        else:  # torch has no views that run backwards
            x = x.index_select(axis, torch.tensor(places, dtype=torch.int64, device=x.device))
    return x


@torch_op("Gather")
def gather(op: Op, x: Tensor, indices: Tensor) -> Tensor:
    axis = op.get("axis", 0) % x.ndim
    picked = x.index_select(axis, _from_start(indices, x.shape[axis]).reshape(-1))
    return picked.reshape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))


@torch_op("GatherND")
def gather_nd(op: Op, x: Tensor, indices: Tensor) -> Tensor:
    shared = op.get("batch_dims", 0)
    own = [torch.arange(size, device=x.device) for size in x.shape[:shared]]
    first = [
        each.reshape([-1 if i == k else 1 for k in range(indices.ndim - 1)]) for i, each in enumerate(own)
    ]
    picked = (_from_start(part, x.shape[shared + i]) for i, part in enumerate(indices.unbind(-1)))
    return x[(*first, *picked)]


@torch_op("GatherElements")
def gather_elements(op: Op, x: Tensor, indices: Tensor) -> Tensor:
    axis = op.get("axis", 0)
    return x.gather(axis, _from_start(indices, x.shape[axis]))


@torch_op("ScatterElements")
def scatter_elements(op: Op, x: Tensor, indices: Tensor, updates: Tensor) -> Tensor:
    axis = op.get("axis", 0)
    indices = _from_start(indices, x.shape[axis])
    how = op.get("reduction", "none")
    if how == "none":
        return x.scatter(axis, indices, updates)
    if how == "add":
        return x.scatter_add(axis, indices, updates)
    return x.scatter_reduce(axis, indices, updates, {"mul": "prod", "min": "amin", "max": "amax"}[how])


def _from_start(indices: Tensor, size: int) -> Tensor:
    """Indices counted from the end (negative) as torch wants them."""
    return torch.where(indices < 0, indices + size, indices).to(torch.int64)


@torch_op("Pad")
def pad(
    op: Op, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None, axes: Tensor | None = None
) -> Tensor:
    """Pads and value are attributes before opset 11, inputs since; negative pads crop."""
    widths: list[int] = op.attributes["pads"] if pads is None else numbers(pads)
    along = range(x.ndim) if axes is None else [a % x.ndim for a in numbers(axes)]
    before, after = widths[: len(along)], widths[len(along) :]
    mode = op.get("mode", "constant")
    if mode == "constant":
        filler = op.get("value", 0.0) if value is None else value.item()
        torch_order = [0, 0] * x.ndim  # last axis first
        for axis, begin, end in zip(along, before, after, strict=True):
            torch_order[2 * (x.ndim - 1 - axis)] = begin
            torch_order[2 * (x.ndim - 1 - axis) + 1] = end
        return padded_then_cropped(x, torch_order, filler)
    for axis, begin, end in zip(along, before, after, strict=True):
        places = torch.arange(-begin, x.shape[axis] + end, device=x.device)
        x = x.index_select(axis, _folded(op, places, x.shape[axis], mode))
    return x


def _folded(op: Op, places: Tensor, size: int, mode: str) -> Tensor:
    """Places outside 0..size-1, as the padding mode maps them inside."""
    if mode == "edge":
        return places.clamp(0, size - 1)
    if mode == "wrap":
        return places % size
    if mode != "reflect":
        raise op.unsupported(f"mode {mode!r}")
    there_and_back = places % max(2 * (size - 1), 1)
    return torch.minimum(there_and_back, 2 * (size - 1) - there_and_back)


@torch_op("Expand")
def expand(op: Op, x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(np.broadcast_shapes(x.shape, tuple(numbers(shape))))


@torch_op("Tile")
def tile(op: Op, x: Tensor, repeats: Tensor) -> Tensor:
    return x.tile(numbers(repeats))


@torch_op("Trilu")
def trilu(op: Op, x: Tensor, k: Tensor | None = None) -> Tensor:
    diagonal = 0 if k is None else numbers(k)[0]
    return x.triu(diagonal) if op.get("upper", 1) else x.tril(diagonal)


@torch_op("Shape")
def shape_of(op: Op, x: Tensor) -> Tensor:
    """On the CPU, where shape arithmetic stays until it meets data."""
    return torch.tensor(x.shape[op.get("start", 0) : op.get("end", x.ndim)], dtype=torch.int64)


@torch_op("Size")
def size(op: Op, x: Tensor) -> Tensor:
    return torch.tensor(x.numel(), dtype=torch.int64)


@torch_op("NonZero")
def non_zero(op: Op, x: Tensor) -> Tensor:
    return x.nonzero().T


@torch_op("Range")
def range_(op: Op, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    device = op.device if start.is_floating_point() else "cpu"
    first, step = start.item(), delta.item()
    count = max(math.ceil((limit.item() - first) / step), 0)
    return (first + torch.arange(count, dtype=torch.float64, device=device) * step).to(start.dtype)


@torch_op("ConstantOfShape")
def constant_of_shape(op: Op, shape: Tensor) -> Tensor:
    value = op.attributes.get("value")
    one = torch.zeros(()) if value is None else tensor_of(numpy_helper.to_array(value)).reshape(())
    device = op.device if one.is_floating_point() else "cpu"
    return torch.full(numbers(shape), one.item(), dtype=one.dtype, device=device)


@torch_op("Constant")
def constant(op: Op) -> Tensor:
    name, value = next(iter(op.attributes.items()))
    if name not in _CONSTANTS:
        raise op.unsupported(f"attribute {name!r}")
    return tensor_of(np.asarray(_CONSTANTS[name](value)))


_CONSTANTS: dict[str, Any] = {
    "value": lambda tensor: numpy_helper.to_array(tensor),
    "value_float": np.float32,
    "value_floats": lambda values: np.array(values, np.float32),
    "value_int": np.int64,
    "value_ints": lambda values: np.array(values, np.int64),
}
