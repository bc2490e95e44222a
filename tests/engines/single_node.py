"""Models of one node, and a case for every op: what an engine must give is what ONNX Runtime gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.engines import Engine

Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """One node: its op, inputs (None for an omitted one), attributes and opset.

    typed: the op fixes its output's dtype, or ONNX defines it with float32 constants: not for float64.
    """

    op: str
    inputs: Sequence[Array | None]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    opset: int = 17
    outputs: int = 1
    typed: bool = False

    def __str__(self) -> str:
        said = ",".join(f"{k}={v}" for k, v in self.attributes.items() if not isinstance(v, TensorProto))
        shapes = "x".join("·".join(map(str, x.shape)) if x is not None else "" for x in self.inputs)
        return f"{self.op}-{self.opset}-{shapes}-{said}"

    def model(self) -> onnx.ModelProto:
        names = [f"x{i}" if x is not None else "" for i, x in enumerate(self.inputs)]
        node = helper.make_node(self.op, names, self.output_names, name="node", **self.attributes)
        infos = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
            for n, x in zip(names, self.inputs, strict=True)
            if x is not None
        ]
        outputs = [onnx.ValueInfoProto(name=name) for name in self.output_names]
        graph = helper.make_graph([node], "single node", infos, outputs)
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, ir_version=8 if self.opset < 20 else 10, opset_imports=opsets)

    @property
    def output_names(self) -> list[str]:
        return [f"y{i}" for i in range(self.outputs)]

    def feeds(self) -> dict[str, Array]:
        return {f"x{i}": x for i, x in enumerate(self.inputs) if x is not None}

    def run(self, engine: Engine) -> list[Array]:
        return list(engine.session(self.model()).run(self.feeds()).values())

    def in_float64(self) -> "Case":
        inputs = [x.astype(np.float64) if x is not None and x.dtype == np.float32 else x for x in self.inputs]
        return Case(self.op, inputs, self.attributes, self.opset, self.outputs)


def assert_same(have: Sequence[Array], want: Sequence[Array], tolerance: float = 1e-5) -> None:
    """Same shapes, and no element further off than `tolerance` of the largest magnitude."""
    assert len(have) == len(want)
    for a, b in zip(have, want, strict=True):
        assert a.shape == b.shape
        if b.size and b.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=0, atol=tolerance * max(np.abs(b).max(), 1e-30))
        else:
            np.testing.assert_array_equal(a, b)


def _f(*shape: int) -> Array:
    """Normal float32 values, the same for the same shape."""
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape).astype(np.float32)


def _i(*values: int) -> Array:
    return np.array(values, np.int64)


def _int(value: int) -> Array:
    return np.array(value, np.int64)


def _float(value: float) -> Array:
    return np.array(value, np.float32)


X = _f(2, 3, 4, 5)
POSITIVE = np.abs(X) + np.float32(0.1)
TRUTH, OTHER = X > 0, X > 0.5
NUMBERS = np.arange(-12, 12).reshape(2, 3, 4)
PLACES = np.random.default_rng(0).integers(-3, 3, (2, 3, 4, 5))
#: indices along axis 1 without duplicates, so that ScatterElements has one answer
DISTINCT = np.argsort(_f(2, 3, 4, 5), axis=1)
QUANTISED = np.arange(-60, 60).reshape(2, 3, 4, 5).astype(np.int8)
PER_CHANNEL = np.array([0.1, 0.2, 0.3], np.float32)


def _many(ops: str, inputs: Sequence[Array | None], *opsets: int, **attributes: Any) -> list[Case]:
    return [Case(op, inputs, attributes, opset) for op in ops.split() for opset in opsets or (17,)]


ELEMENTWISE = [
    *_many("Abs Neg Exp Erf Floor Ceil Relu Sigmoid Tanh Sign Softplus Softsign Identity", [X], 9, 17, 23),
    *_many("Sin Cos Round Elu Selu LeakyRelu Celu ThresholdedRelu HardSigmoid", [X], 12, 22),
    *_many("Elu LeakyRelu Celu ThresholdedRelu", [X], alpha=0.3),
    *_many("Selu", [X], alpha=1.3, gamma=0.7),
    *_many("HardSigmoid", [X], alpha=0.3, beta=0.4),
    *[Case("HardSwish", [X], {}, opset, typed=True) for opset in (14, 22)],
    *_many("Mish", [X], 18),
    *_many("Gelu", [X], 20),
    Case("Gelu", [X], {"approximate": "tanh"}, 20, typed=True),
    *_many("Sqrt Reciprocal Log", [POSITIVE], 7, 17),
    *_many("Softplus", [X * 30]),
    *_many("Erf", [X * 3]),
    *_many("Add Sub Mul Div PRelu", [X, _f(3, 1, 5)], 7, 17),
    *_many("Add Sub Mul Div", [NUMBERS, NUMBERS[:1] * 2 + 1]),
    *_many("Pow", [POSITIVE, _f(5)], 7, 17),
    *_many("Pow", [X, _int(2)], 13),
    *_many("Mod", [X, POSITIVE], fmod=1),
    *_many("Mod", [NUMBERS, _int(5)]),
    *_many("Max Min Sum Mean", [X, _f(5), _f(4, 1)], 8, 13),
    *_many("Max Min Sum Mean", [X]),
    *_many("Equal", [NUMBERS, _int(3)], 7, 19),
    *_many("Less Greater", [X, _f(5)], 7, 13),
    *_many("LessOrEqual GreaterOrEqual", [NUMBERS, _int(3)], 12, 16),
    *_many("And Or Xor", [TRUTH, OTHER], 7),
    *_many("Not", [TRUTH], 7),
    *_many("Where", [TRUTH, X, _f(5)], 9, 16),
    *_many("IsNaN", [np.where(TRUTH, X, np.float32("nan"))], 9, 13),
    *_many("Clip", [X], 7, 11),
    *_many("Clip", [X], 10, min=-0.5, max=0.3),
    *_many("Clip", [X, _float(-0.5), _float(0.3)], 11, 13),
    *_many("Clip", [X, None, _float(0.3)], 13),
    *_many("Dropout", [X], 7, 12, 22),
    Case("Dropout", [X, _float(0.4)], opset=13, outputs=2),
    *[Case("Cast", [X * 3], {"to": to}, 13, typed=True) for to in (1, 6, 7, 9, 10, 11)],
    Case("Cast", [TRUTH], {"to": 1}, 13),
    Case("CastLike", [X, NUMBERS], opset=19, typed=True),
]

MATRICES = [
    *_many("MatMul", [_f(2, 3, 4), _f(4, 5)], 7, 13),
    *_many("MatMul", [_f(4), _f(2, 4, 5)]),
    *_many("MatMul", [_f(3, 4), _f(4)]),
    *_many("Gemm", [_f(3, 4), _f(4, 5), _f(5)], 7, 13),
    *_many("Gemm", [_f(4, 3), _f(5, 4), _f(3, 1)], 11, transA=1, transB=1, alpha=0.5, beta=2.0),
    *_many("Gemm", [_f(3, 4), _f(4, 5)], 11, alpha=0.5),
    *_many("Einsum", [_f(2, 3, 4), _f(2, 5, 4)], 12, equation="bij,bkj->bik"),
    *_many("Einsum", [_f(3, 3)], 12, equation="...ii->...i"),
]

LAYOUT = [
    *_many("Reshape", [X, _i(0, -1, 2)], 7, 13, 19),
    *_many("Reshape", [_f(0, 3), _i(3, 0)], 14, allowzero=1),
    *_many("Flatten", [X], 7, 13),
    *[Case("Flatten", [X], {"axis": axis}, 13) for axis in (0, 2, -1, 4)],
    *_many("Transpose", [X], 7),
    *_many("Transpose", [X], 13, perm=[2, 0, 3, 1]),
    *_many("Squeeze", [_f(1, 3, 1)], 7, 13),
    *_many("Squeeze", [_f(1, 3, 1)], 11, axes=[-1]),
    *_many("Squeeze", [_f(1, 3, 1), _i(0, 2)], 13),
    *_many("Unsqueeze", [X], 11, axes=[0, -1]),
    *_many("Unsqueeze", [X, _i(5, 1)], 13),
    *_many("Concat", [X, X, _f(2, 1, 4, 5)], 7, 13, axis=1),
    *_many("Concat", [X, X], axis=-1),
    Case("Split", [_f(2, 6)], {"axis": 1}, 7, outputs=3),
    Case("Split", [_f(2, 6)], {"axis": 1, "split": [1, 2, 3]}, 11, outputs=3),
    Case("Split", [_f(2, 6), _i(4, 2)], {"axis": -1}, 13, outputs=2),
    Case("Split", [_f(2, 7)], {"axis": 1, "num_outputs": 3}, 18, outputs=3),
    *_many("Slice", [X], 9, starts=[1, -3], ends=[9, -1], axes=[1, 3]),
    *_many("Slice", [X, _i(1, 1), _i(2, 3)], 10),
    *_many("Slice", [X, _i(-1, 0), _i(-(2**63), 2**63 - 1), _i(-1, 2), _i(-2, 3)], 13),
    *_many("Gather", [X, np.array([[0, -1], [2, 1]])], 7, 13, axis=1),
    *_many("Gather", [X, _int(1)], 13, axis=-1),
    *_many("Gather", [X, np.array([1, 0], np.int32)], 13),
    *_many("GatherElements", [X, PLACES], 11, 13, axis=1),
    *_many("GatherElements", [_f(100, 2), PLACES[0, 0, :, :2]], 13),
    *_many("GatherND", [X, PLACES[:, :, 0, :2] % 2], 11, 13),
    *_many("GatherND", [X, PLACES[:, :, 0, :1]], 13, batch_dims=1),
    *_many("ScatterElements", [X, DISTINCT - 3, POSITIVE], 11, 13, 16, 18, axis=1),
    *[
        Case("ScatterElements", [X, PLACES, POSITIVE], {"axis": 1, "reduction": how}, 18)
        for how in ("add", "mul", "min", "max")
    ],
    *_many("ScatterElements", [_f(50), PLACES.ravel(), X.ravel()], 16, reduction="add"),
    *_many("Pad", [X], 7, pads=[0, 1, 2, 0, 0, 0, 1, 3], value=1.5),
    *_many("Pad", [X], 7, pads=[0, 1, 2, 0, 0, 0, 1, 3], mode="edge"),
    *_many("Pad", [X, _i(0, 1, 2, 0, 0, 0, 1, 3)], 11, 13, 18),
    *_many("Pad", [X, _i(0, 0, -1, 1, 0, 0, 1, -2), _float(2)], 13),
    *_many("Pad", [X, _i(2, 1, 3, 2), None, _i(-2, 3)], 18, mode="reflect"),
    *_many("Pad", [X, _i(2, 1, 3, 2), None, _i(-2, 3)], 19, mode="edge"),
    *_many("Pad", [X, _i(2, 1, 3, 2), None, _i(-2, 3)], 19, mode="wrap"),
    *_many("Expand", [_f(3, 1), _i(2, 1, 4)], 8, 13),
    *_many("Tile", [_f(2, 3), _i(2, 3)], 7, 13),
    *_many("Trilu", [_f(2, 4, 4)], 14),
    *_many("Trilu", [_f(2, 4, 4), _int(-1)], 14, upper=0),
    Case("Shape", [X], {}, 13, typed=True),
    Case("Shape", [X], {"start": 1, "end": -1}, 15, typed=True),
    Case("Size", [X], {}, 13, typed=True),
    *_many("NonZero", [_f(2, 3)], 9),
    *_many("Range", [_int(3), _int(-8), _int(-3)], 11),
    *_many("Range", [_float(0.5), _float(2.5), _float(0.3)], 11),
    Case("ConstantOfShape", [_i(2, 3)], {}, 9, typed=True),
    Case("ConstantOfShape", [_i(2, 3)], {"value": numpy_helper.from_array(_i(7))}, 9, typed=True),
    Case("ConstantOfShape", [_i(2, 3)], {"value": numpy_helper.from_array(_f(1))}, 20, typed=True),
    Case("Constant", [], {"value": numpy_helper.from_array(X)}, 11, typed=True),
    Case("Constant", [], {"value_float": 1.5}, 13, typed=True),
    Case("Constant", [], {"value_floats": [1.5, 2.5]}, 13, typed=True),
    Case("Constant", [], {"value_int": 3}, 13, typed=True),
    Case("Constant", [], {"value_ints": [3, 4]}, 13, typed=True),
]

REDUCTIONS = [
    *_many("ReduceMean ReduceSum ReduceMax ReduceMin ReduceL2 ReduceProd", [X], 11),
    *_many("ReduceMean ReduceMax ReduceMin ReduceL1 ReduceL2", [X], 13, axes=[1, -1], keepdims=0),
    *_many("ReduceMean ReduceMax ReduceMin ReduceL2 ReduceProd ReduceSumSquare", [X, _i(-1, 1)], 18),
    *_many("ReduceSum", [X, _i(2)], 13, keepdims=0),
    *_many("ReduceSum", [X], 13, noop_with_empty_axes=1),
    *_many("ReduceSum ReduceMax", [NUMBERS, _i(1)], 18),
    *_many("ArgMax ArgMin", [X], 7, 13),
    *_many("ArgMax", [X], 13, axis=-1, keepdims=0),
    *_many("ArgMax", [np.round(X)], 13, axis=2, select_last_index=1),
    *_many("CumSum", [X, _int(1)], 11, 14),
    *_many("CumSum", [X, _int(-1)], 14, exclusive=1, reverse=1),
    *_many("Softmax LogSoftmax", [X], 7, 11, 13),
    *_many("Softmax LogSoftmax", [X], 11, axis=2),
    *_many("Softmax LogSoftmax", [X], 12, axis=0),
    *_many("Softmax LogSoftmax", [X], 13, axis=1),
    *_many("BatchNormalization", [X, _f(3), _f(3) + 1, _f(3) - 1, np.abs(_f(3)) + 1], 7, 9, 14, 15),
    *_many("BatchNormalization", [X, _f(3), _f(3), _f(3), np.abs(_f(3))], 15, epsilon=0.1),
    *_many("InstanceNormalization", [X, _f(3), _f(3) + 1], 7, 22),
    Case("LayerNormalization", [X, _f(5), _f(5) + 1], {}, 17),
    Case("LayerNormalization", [X, _f(4, 5)], {"axis": 2, "epsilon": 0.01}, 17, outputs=3),
    *_many("LRN", [_f(2, 7, 3, 3)], 13, size=3, alpha=0.5, bias=2.0),
    *_many("GlobalAveragePool GlobalMaxPool", [X], 7, 22),
    *_many("GlobalAveragePool GlobalMaxPool", [_f(2, 3, 4)]),
]

QUANTISATION = [
    Case("QuantizeLinear", [X, _float(0.05), np.array(10, np.uint8)], {}, 13, typed=True),
    Case("QuantizeLinear", [X, _float(0.01)], {}, 13, typed=True),
    Case("QuantizeLinear", [X, PER_CHANNEL, np.array([0, 1, -2], np.int8)], {}, 13, typed=True),
    Case("DequantizeLinear", [QUANTISED, _float(0.05), np.array(10, np.int8)], {}, 10, typed=True),
    Case("DequantizeLinear", [QUANTISED, PER_CHANNEL], {"axis": 1}, 13, typed=True),
    Case("DequantizeLinear", [QUANTISED.astype(np.int32), _float(0.05)], {}, 13, typed=True),
]

SPATIAL = [
    *_many(
        "Conv", [_f(2, 4, 9, 8), _f(6, 2, 3, 2), _f(6)], 7, 11, 22, group=2, strides=[2, 1], pads=[1, 0, 2, 1]
    ),
    *_many("ConvTranspose", [_f(2, 4, 5, 6), _f(4, 3, 3, 2), _f(6)], 7, 11, 22, group=2, strides=[2, 3]),
    *_many("ConvTranspose", [_f(2, 4, 5, 6), _f(4, 3, 3, 3)], 11, strides=[2, 2], output_shape=[11, 12]),
    *_many("MaxPool", [_f(2, 3, 9, 8)], 7, 8, 10, 11, 12, 22, kernel_shape=[3, 2], strides=[2, 2]),
    *[
        Case("MaxPool", [_f(2, 3, 9, 8)], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}, opset, outputs=2)
        for opset in (8, 12, 22)
    ],
    # Equal values: the first wins.
    Case("MaxPool", [np.round(_f(2, 3, 9, 8))], {"kernel_shape": [3, 3]}, 12, outputs=2),
    Case("MaxPool", [QUANTISED], {"kernel_shape": [2, 2], "pads": [1, 1, 0, 0]}, 12),
    *_many("AveragePool", [_f(2, 3, 9, 8)], 7, 10, 11, 19, 22, kernel_shape=[3, 2], strides=[2, 2]),
]

CASES = [*ELEMENTWISE, *MATRICES, *LAYOUT, *REDUCTIONS, *QUANTISATION, *SPATIAL]
