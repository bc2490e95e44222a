"""Ops of the torch engine that combine elements along axes: reductions, softmax, normalisations."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from onnxunlearn.engines.torch_ops import Op, Result, axes_of, numbers, per_channel, torch_op

Reduction = Callable[[Tensor, tuple[int, ...]], Tensor]


def _product(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    for axis in axes:
        x = x.prod(axis, keepdim=True)
    return x


def _mean(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    if x.is_floating_point():
        return x.mean(axes, keepdim=True)
    return x.double().mean(axes, keepdim=True).trunc().to(x.dtype)


_REDUCTIONS: dict[str, Reduction] = {
    "ReduceL1": lambda x, axes: x.abs().sum(axes, keepdim=True, dtype=x.dtype),
    "ReduceL2": lambda x, axes: torch.linalg.vector_norm(x, 2, axes, keepdim=True),
    "ReduceMax": lambda x, axes: x.amax(axes, keepdim=True),
    "ReduceMean": _mean,
    "ReduceMin": lambda x, axes: x.amin(axes, keepdim=True),
    "ReduceProd": _product,
    "ReduceSum": lambda x, axes: x.sum(axes, keepdim=True, dtype=x.dtype),
    "ReduceSumSquare": lambda x, axes: x.square().sum(axes, keepdim=True, dtype=x.dtype),
}


def _reducing(reduction: Reduction) -> Callable[..., Tensor]:
    def reduce(op: Op, x: Tensor, axes: Tensor | None = None) -> Tensor:
        chosen = tuple(a % x.ndim for a in axes_of(op, axes))
        if not chosen and op.get("noop_with_empty_axes", 0):
            return x
        chosen = chosen or tuple(range(x.ndim))
        y = reduction(x, chosen)
        return y if op.get("keepdims", 1) else y.squeeze(chosen)

    return reduce


for _name, _reduction in _REDUCTIONS.items():
    torch_op(_name)(_reducing(_reduction))


@torch_op("ArgMax", "ArgMin")
def arg_max(op: Op, x: Tensor) -> Tensor:
    axis, keep = op.get("axis", 0), bool(op.get("keepdims", 1))
    find = torch.argmax if "ArgMax" in op.where else torch.argmin
    if op.get("select_last_index", 0):
        return x.shape[axis] - 1 - find(x.flip(axis), axis, keep)
    return find(x, axis, keep)


@torch_op("CumSum")
def cumulative_sum(op: Op, x: Tensor, axis: Tensor) -> Tensor:
    along = numbers(axis)[0]
    backwards = bool(op.get("reverse", 0))
    x = x.flip(along) if backwards else x
    y = x.cumsum(along, dtype=x.dtype)
    y = y - x if op.get("exclusive", 0) else y
    return y.flip(along) if backwards else y


def _softmax_like(function: Callable[[Tensor, int], Tensor]) -> Callable[[Op, Tensor], Tensor]:
    """Before opset 13 the input is flattened to a matrix at `axis` (default 1) and its rows normalised."""

    def apply(op: Op, x: Tensor) -> Tensor:
        if op.opset >= 13:
            return function(x, op.get("axis", -1))
        axis = op.get("axis", 1) % x.ndim
        return function(x.reshape(math.prod(x.shape[:axis]), -1), 1).reshape(x.shape)

    return apply


torch_op("Softmax")(_softmax_like(torch.softmax))
torch_op("LogSoftmax")(_softmax_like(torch.log_softmax))


@torch_op("BatchNormalization")
def batch_normalization(op: Op, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor) -> Tensor:
    if op.get("training_mode", 0):
        raise op.unsupported("training mode")
    slope = scale / (var + op.get("epsilon", 1e-5)).sqrt()
    return x * per_channel(slope, x) + per_channel(bias - mean * slope, x)


@torch_op("InstanceNormalization")
def instance_normalization(op: Op, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    y, _, _ = _standardised(x, tuple(range(2, x.ndim)), op.get("epsilon", 1e-5))
    return y * per_channel(scale, x) + per_channel(bias, x)


@torch_op("LayerNormalization")
def layer_normalization(op: Op, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Result:
    axes = tuple(range(op.get("axis", -1) % x.ndim, x.ndim))
    y, mean, inverse = _standardised(x, axes, op.get("epsilon", 1e-5))
    y = y * scale if bias is None else y * scale + bias
    return (y, mean, inverse)[: op.outputs]


@torch_op("LRN")
def local_response_normalization(op: Op, x: Tensor) -> Tensor:
    size: int = op.attributes["size"]
    squares = torch.nn.functional.pad(x.square(), [0, 0] * (x.ndim - 2) + [(size - 1) // 2, size // 2])
    total = squares.unfold(1, size, 1).sum(-1)
    return x / (op.get("bias", 1.0) + op.get("alpha", 1e-4) / size * total) ** op.get("beta", 0.75)


def _standardised(x: Tensor, axes: tuple[int, ...], epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """x with mean 0 and variance 1 over `axes`; the mean; the inverse of the standard deviation."""
    mean = x.mean(axes, keepdim=True)
    inverse = ((x - mean).square().mean(axes, keepdim=True) + epsilon).rsqrt()
    return (x - mean) * inverse, mean, inverse
