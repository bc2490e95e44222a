"""The torch engine's op table, and its elementwise ops. Other ops: torch_layout, torch_reduce, torch_spatial.

An op is a function of an `Op` (attributes, opset) and its input tensors, None for an omitted one; it
returns the output tensor, or a tuple of them. All are differentiable where the mathematics is.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeVar, cast

import numpy as np
import onnx
import torch
from torch import Tensor
from torch.nn import functional

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.registry import Registry

T = TypeVar("T")
Result = Tensor | tuple[Tensor, ...]


@dataclass
class Op:
    """A node as its op function sees it.

    where: how messages name the node. outputs: how many it has. device: where its float values live.
    """

    where: str
    opset: int
    attributes: Mapping[str, Any]
    outputs: int
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def get(self, name: str, default: T) -> T:
        """The attribute called `name`; floats are rounded to float32, as attributes are stored."""
        value = self.attributes.get(name, default)
        return cast(T, float(np.float32(value)) if isinstance(default, float) else value)

    def unsupported(self, what: str) -> UnsupportedError:
        return UnsupportedError(f"{self.where}: {what} is not in the torch engine; try another --engine")


torch_op: Registry[Callable[..., Result]] = Registry("torch op")

DTYPES: dict[int, torch.dtype] = {
    onnx.TensorProto.FLOAT: torch.float32,
    onnx.TensorProto.DOUBLE: torch.float64,
    onnx.TensorProto.FLOAT16: torch.float16,
    onnx.TensorProto.BFLOAT16: torch.bfloat16,
    onnx.TensorProto.BOOL: torch.bool,
    onnx.TensorProto.INT8: torch.int8,
    onnx.TensorProto.INT16: torch.int16,
    onnx.TensorProto.INT32: torch.int32,
    onnx.TensorProto.INT64: torch.int64,
    onnx.TensorProto.UINT8: torch.uint8,
    onnx.TensorProto.UINT16: torch.uint16,
    onnx.TensorProto.UINT32: torch.uint32,
    onnx.TensorProto.UINT64: torch.uint64,
}


def tensor_of(array: np.ndarray) -> Tensor:
    """A torch tensor with the array's values. Raises TypeError for a dtype that torch lacks."""
    if not array.flags.writeable:
        array = array.copy()
    if array.dtype.name == "bfloat16":  # numpy knows it only through an extension
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def numbers(tensor: Tensor) -> list[int]:
    """The elements of a small integer tensor, as Python numbers."""
    return cast(list[int], tensor.reshape(-1).tolist())


def dtype_of(op: Op, code: int) -> torch.dtype:
    """ONNX's dtype code in torch."""
    if code not in DTYPES:
        raise op.unsupported(f"dtype {onnx.TensorProto.DataType.Name(code)}")
    return DTYPES[code]


def _plain(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An op that is one torch function of its inputs."""
    return lambda op, *inputs: function(*inputs)


_PLAIN: dict[str, Callable[..., Tensor]] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "And": torch.logical_and,
    "Ceil": torch.ceil,
    "Cos": torch.cos,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Exp": torch.exp,
    "Floor": torch.floor,
    "Greater": torch.gt,
    "GreaterOrEqual": torch.ge,
    "HardSwish": functional.hardswish,
    "Identity": lambda x: x,
    "IsNaN": torch.isnan,
    "Less": torch.lt,
    "LessOrEqual": torch.le,
    "Log": torch.log,
    "MatMul": torch.matmul,
    "Mish": functional.mish,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Not": torch.logical_not,
    "Or": torch.logical_or,
    "PRelu": lambda x, slope: torch.where(x < 0, x * slope, x),
    "Reciprocal": torch.reciprocal,
    "Relu": torch.relu,
    "Round": torch.round,
    "Sigmoid": torch.sigmoid,
    "Sign": torch.sign,
    "Sin": torch.sin,
    "Softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),  # functional.softplus turns linear
    "Softsign": functional.softsign,
    "Sqrt": torch.sqrt,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Where": torch.where,
    "Xor": torch.logical_xor,
    "Max": lambda *xs: reduce(torch.maximum, xs),
    "Mean": lambda *xs: reduce(torch.add, xs) / len(xs),
    "Min": lambda *xs: reduce(torch.minimum, xs),
    "Sum": lambda *xs: reduce(torch.add, xs),
}

for _name, _function in _PLAIN.items():
    torch_op(_name)(_plain(_function))


@torch_op("Div")
def div(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


@torch_op("Pow")
def power(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return torch.pow(a, b).to(a.dtype)


@torch_op("Mod")
def mod(op: Op, a: Tensor, b: Tensor) -> Tensor:
    return torch.fmod(a, b) if op.get("fmod", 0) else torch.remainder(a, b)


@torch_op("LeakyRelu")
def leaky_relu(op: Op, x: Tensor) -> Tensor:
    return functional.leaky_relu(x, op.get("alpha", 0.01))


@torch_op("Elu")
def elu(op: Op, x: Tensor) -> Tensor:
    return functional.elu(x, op.get("alpha", 1.0))


@torch_op("Celu")
def celu(op: Op, x: Tensor) -> Tensor:
    return functional.celu(x, op.get("alpha", 1.0))


@torch_op("Selu")
def selu(op: Op, x: Tensor) -> Tensor:
    alpha = op.get("alpha", 1.67326319217681884765625)
    return functional.elu(x, alpha) * op.get("gamma", 1.05070102214813232421875)


@torch_op("ThresholdedRelu")
def thresholded_relu(op: Op, x: Tensor) -> Tensor:
    return torch.where(x > op.get("alpha", 1.0), x, torch.zeros_like(x))


@torch_op("HardSigmoid")
def hard_sigmoid(op: Op, x: Tensor) -> Tensor:
    return (op.get("alpha", 0.2) * x + op.get("beta", 0.5)).clamp(0, 1)


@torch_op("Gelu")
def gelu(op: Op, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=op.get("approximate", "none"))


@torch_op("Clip")
def clip(op: Op, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    """Limits are attributes before opset 11, inputs since."""
    low = x.new_tensor(op.attributes["min"]) if "min" in op.attributes else low
    high = x.new_tensor(op.attributes["max"]) if "max" in op.attributes else high
    x = x if low is None else torch.maximum(x, low)
    return x if high is None else torch.minimum(x, high)


@torch_op("Cast")
def cast_to(op: Op, x: Tensor) -> Tensor:
    return x.to(dtype_of(op, op.attributes["to"]))


@torch_op("CastLike")
def cast_like(op: Op, x: Tensor, like: Tensor) -> Tensor:
    return x.to(like.dtype)


@torch_op("Dropout")
def dropout(op: Op, x: Tensor, *_: Tensor | None) -> Result:
    """At inference: the identity, and a mask that is all ones."""
    return x if op.outputs == 1 else (x, torch.ones_like(x, dtype=torch.bool))


@torch_op("Gemm")
def gemm(op: Op, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.mT if op.get("transA", 0) else a
    b = b.mT if op.get("transB", 0) else b
    alpha, beta = op.get("alpha", 1.0), op.get("beta", 1.0)
    y = a @ b if alpha == 1 else alpha * (a @ b)
    if c is None:
        return y
    return y + (c if beta == 1 else beta * c)


@torch_op("Einsum")
def einsum(op: Op, *operands: Tensor) -> Tensor:
    return torch.einsum(op.attributes["equation"], *operands)


@torch_op("QuantizeLinear")
def quantize(op: Op, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    code = op.get("output_dtype", 0) or onnx.TensorProto.UINT8
    dtype = dtype_of(op, code) if zero is None else zero.dtype
    limits = torch.iinfo(dtype)
    steps = torch.round(x / _along_axis(op, scale, x))
    if zero is not None:
        steps = steps + _along_axis(op, zero, x)
    return steps.clamp(limits.min, limits.max).to(dtype)


@torch_op("DequantizeLinear")
def dequantize(op: Op, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    steps = x.to(torch.int32)
    if zero is not None:
        steps = steps - _along_axis(op, zero, x).to(torch.int32)
    return steps * _along_axis(op, scale, x)


def _along_axis(op: Op, values: Tensor, like: Tensor) -> Tensor:
    """One value for all of `like`, or one for each index along the attribute `axis`."""
    if op.get("block_size", 0):
        raise op.unsupported("blocked quantisation")
    if values.numel() == 1:
        return values.reshape(())
    axis = op.get("axis", 1) % like.ndim
    return values.reshape(-1, *[1] * (like.ndim - 1 - axis))


def padded_then_cropped(x: Tensor, widths: Sequence[int], value: float = 0) -> Tensor:
    """As torch's pad, which refuses to crop what is only there once it has been padded.

    widths: before and after each axis, the last first, as torch wants them; what is below 0 crops.
    """
    if max(widths, default=0) > 0:
        x = functional.pad(x, [max(width, 0) for width in widths], value=value)
    return functional.pad(x, [min(width, 0) for width in widths]) if min(widths, default=0) < 0 else x


def per_channel(values: Tensor, like: Tensor) -> Tensor:
    """One value a channel (C), shaped to broadcast over an (N, C, ...) tensor."""
    return values.reshape(-1, *[1] * (like.ndim - 2))


def axes_of(op: Op, given: Tensor | None) -> Sequence[int]:
    """Axes from the second input (newer opsets) or from the attribute (older ones); empty if in neither."""
    return op.get("axes", []) if given is None else numbers(given)
