"""Ops of the numpy engine that replace those of ONNX's reference evaluator, where it is slow or wrong.

Slow: it loops in Python over windows (pooling, transposed convolution) and elements (scatter, Erf).
Wrong, against the standard and ONNX Runtime: ConvTranspose with groups; MaxPool's Indices; pooling with
auto_pad, ceil_mode or three spatial axes; GlobalMaxPool with other than two; GatherElements along more
than 64 elements; LRN (mixes up batch and channels); negative pads; BatchNormalization before opset 14
(mixes in the batch's statistics); DequantizeLinear before opset 19 (missing); Softmax and
LogSoftmax before opset 13 (flatten, then normalise); LSTM, GRU and RNN (see `numpy_recurrent`); Resize with
align_corners (takes for the last corner where an unrounded size ends).
Endless: Loop.
"""

import math
import time
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from onnx.reference.op_run import OpRun
from onnx.reference.ops import op_loop, op_resize
from onnx.reference.ops.op_dequantize_linear import DequantizeLinear_23

from onnxunlearn.engines import endless
from onnxunlearn.engines.numpy_recurrent import GRU, LSTM, RNN
from onnxunlearn.engines.numpy_spatial import (
    AveragePool,
    Conv,
    ConvTranspose,
    GlobalMaxPool,
    MaxPool,
    per_channel,
)

Array = np.ndarray


class ScatterElements(OpRun):
    def _run(self, x: Array, indices: Array, updates: Array, **attributes: Any) -> tuple[Array]:
        places = _places(x, indices, attributes["axis"])
        y = x.copy()
        combine = {"add": np.add, "mul": np.multiply, "min": np.minimum, "max": np.maximum}.get(
            attributes["reduction"]
        )
        if combine is None:
            y[places] = updates
        else:
            combine.at(y, places, updates)
        return (y,)


class GatherElements(OpRun):
    def _run(self, x: Array, indices: Array, **attributes: Any) -> tuple[Array]:
        return (x[_places(x, indices, attributes["axis"])],)


class Pad(OpRun):
    def _run(self, x: Array, *inputs: Array | None, **attributes: Any) -> tuple[Array]:
        """Widths and filler are attributes before opset 11, inputs since; negative widths crop."""
        pads, value, axes = (*inputs, None, None, None)[:3]
        widths: list[int] = attributes["pads"] if pads is None else pads.tolist()
        filler = attributes.get("value", 0) if value is None else value.item()
        along = list(range(x.ndim)) if axes is None else axes.tolist()
        before, after = [0] * x.ndim, [0] * x.ndim
        for axis, begin, end in zip(along, widths[: len(along)], widths[len(along) :], strict=True):
            before[axis], after[axis] = begin, end
        added = [(max(begin, 0), max(end, 0)) for begin, end in zip(before, after, strict=True)]
        constant = attributes["mode"] == "constant"
        if constant:  # before it is cropped: of one cell and its padding two may be cut
            x = np.pad(x, added, constant_values=filler)
        ends = zip(before, after, x.shape, strict=True)
        x = x[tuple(slice(max(-begin, 0), size - max(-end, 0)) for begin, end, size in ends)]
        return (x if constant else np.pad(x, added, mode=attributes["mode"]),)


class BatchNormalization(OpRun):
    def _run(
        self, x: Array, scale: Array, bias: Array, mean: Array, var: Array, **attributes: Any
    ) -> tuple[Array]:
        if attributes.get("training_mode"):
            raise NotImplementedError("BatchNormalization in training mode")
        slope = scale / np.sqrt(var + x.dtype.type(attributes["epsilon"]))
        return (x * per_channel(slope, x) + per_channel(bias - mean * slope, x),)


class LRN(OpRun):
    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        size, alpha = attributes["size"], float(attributes["alpha"])
        widths = [(0, 0), ((size - 1) // 2, size // 2), *[(0, 0)] * (x.ndim - 2)]
        total = sliding_window_view(np.pad(x * x, widths), size, 1).sum(-1)
        return (x / (attributes["bias"] + alpha / size * total) ** attributes["beta"],)


class DequantizeLinear(DequantizeLinear_23):
    """The newest one: earlier versions differ only in what they allow."""


class Erf(OpRun):
    def _run(self, x: Array) -> tuple[Array]:
        return (_erf32(x) if x.dtype == np.float32 else _ERF(x).astype(x.dtype),)


class _Flattened(OpRun):
    """Ops that before opset 13 worked on the input as a matrix, split at `axis` (default 1)."""

    def _run(self, x: Array, **attributes: Any) -> tuple[Array]:
        if self.run_params["opsets"][""] >= 13:
            return (self.normalised(x, attributes["axis"]),)
        axis = next((a.i for a in self.onnx_node.attribute if a.name == "axis"), 1) % x.ndim
        matrix = x.reshape(math.prod(x.shape[:axis]), -1)
        return (self.normalised(matrix, 1).reshape(x.shape),)

    def normalised(self, x: Array, axis: int) -> Array:
        raise NotImplementedError


class Softmax(_Flattened):
    def normalised(self, x: Array, axis: int) -> Array:
        e = np.exp(x - x.max(axis, keepdims=True))
        return np.asarray(e / e.sum(axis, keepdims=True))


class LogSoftmax(_Flattened):
    def normalised(self, x: Array, axis: int) -> Array:
        x = x - x.max(axis, keepdims=True)
        return np.asarray(x - np.log(np.exp(x).sum(axis, keepdims=True)))


class Loop(op_loop.Loop):
    """The evaluator's own, but it ends."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self._step: Any = self._run_body  # type: ignore[has-type]  # no method: the evaluator puts it there
        self._run_body = self._step_in_time

    def _run(self, *inputs: Array | None, **context: Any) -> tuple[Array, ...]:
        self._start = time.monotonic()
        result: tuple[Array, ...] = super()._run(*inputs, **context)  # type: ignore[no-untyped-call]
        return result

    def _step_in_time(self, *inputs: Any, **context: Any) -> Any:
        if time.monotonic() > self._start + endless.LONGEST:
            raise endless.stopped("numpy", endless.LONGEST)
        return self._step(*inputs, **context)


class Resize(op_resize.Resize):
    def _run(
        self, X: Array, roi: Any = None, scales: Any = None, sizes: Any = None, *more: Any, **attributes: Any
    ) -> Any:
        corners = attributes["coordinate_transformation_mode"] == "align_corners"
        if corners and scales is not None and scales.size:
            before = np.take(X.shape, attributes["axes"] or range(X.ndim))
            scales, sizes = None, np.floor(before * scales).astype(np.int64)
        return super()._run(X, roi, scales, sizes, *more, **attributes)


OPS: list[type[OpRun]] = [
    AveragePool,
    BatchNormalization,
    Conv,
    ConvTranspose,
    DequantizeLinear,
    Erf,
    GRU,
    GatherElements,
    GlobalMaxPool,
    LRN,
    LSTM,
    LogSoftmax,
    Loop,
    MaxPool,
    Pad,
    RNN,
    Resize,
    ScatterElements,
    Softmax,
]


def _places(x: Array, indices: Array, axis: int) -> tuple[Array, ...]:
    """The index into x of each element that `indices` points at along `axis`."""
    mesh = np.indices(indices.shape, sparse=True)
    return (*mesh[: axis % x.ndim], indices, *mesh[axis % x.ndim + 1 :])


_ERF = np.vectorize(math.erf, otypes=[np.float64])

# Minimax polynomials by N. Juffa (https://stackoverflow.com/a/35148199): within 2 ulp of float32.
_ERF_NEAR = (-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1)
_ERF_FAR = (
    -1.72853470e-5,
    3.83197126e-4,
    -3.88396438e-3,
    2.42546219e-2,
    -1.06777877e-1,
    -6.34846687e-1,
    -1.28717512e-1,
)
_ERF_SPLIT = 0.927734375


def _erf32(x: Array) -> Array:
    size = np.abs(x)
    near = np.minimum(size, _ERF_SPLIT)
    near += near * _polynomial(_ERF_NEAR, near * near)
    far = np.clip(size, _ERF_SPLIT, 10)
    far = 1 - np.exp(far * _polynomial(_ERF_FAR, far) - far)
    return np.asarray(np.copysign(np.where(size > _ERF_SPLIT, far, near), x))


def _polynomial(coefficients: tuple[float, ...], x: Array) -> Array:
    """Horner's scheme, highest power first, in x's dtype."""
    y: Array = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y *= x
        y += c
    return y
