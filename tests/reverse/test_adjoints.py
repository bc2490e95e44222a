"""Every adjoint against finite differences in float64, over the op's attributes, on every engine."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, as_float64
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.reverse import adjoint
from tests.relevance.layers import flattened

IMAGE, LINE, ROW, CUBE = (2, 4, 7, 6), (2, 4, 9), (2, 6), (2, 2, 5, 4, 5)
RNG = np.random.default_rng(3)


def random(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def number(value: float) -> np.ndarray:
    return np.array(value, np.float32)


def case(
    op: str,
    shape: tuple[int, ...],
    *constants: np.ndarray,
    opset: int = 17,
    first: int = 0,
    positive: bool = False,
    label: str = "",
    **attributes: Any,
) -> Any:
    """One node; the activation is its input number `first`, and positive if it must be."""
    name = f"{op} {opset} {shape} {attributes}{label}"[:90]
    return pytest.param(op, shape, constants, opset, first, attributes, positive, id=name)


CASES = [
    *(case(op, IMAGE) for op in ("Relu", "Sigmoid", "Tanh", "HardSwish", "Identity", "GlobalAveragePool")),
    case("GlobalMaxPool", IMAGE),
    case("GlobalMaxPool", LINE),
    case("GlobalAveragePool", CUBE),
    case("LeakyRelu", IMAGE, alpha=0.3),
    case("HardSigmoid", IMAGE, alpha=0.3, beta=0.4),
    case("Clip", IMAGE, opset=6, min=-0.5, max=0.7),
    case("Clip", IMAGE, number(-0.5), number(0.7)),
    case("Clip", IMAGE, number(0.1)),
    case("Dropout", IMAGE),
    case("Cast", IMAGE, to=TensorProto.FLOAT),
    case("Flatten", IMAGE),
    case("Flatten", LINE, axis=-2),
    case("Reshape", IMAGE, ints(0, -1, 3)),
    case("Transpose", IMAGE, perm=[0, 2, 3, 1]),
    case("Transpose", LINE, perm=[0, 2, 1]),
    case("Squeeze", (2, 1, 5, 1), opset=11, axes=[1, 3]),
    case("Squeeze", (2, 1, 5, 1), ints(-1)),
    case("Unsqueeze", ROW, opset=11, axes=[1]),
    case("Unsqueeze", ROW, ints(1, -1)),
    case("Concat", IMAGE, random(2, 3, 7, 6), axis=1),
    case("Concat", IMAGE, random(2, 4, 7, 2), axis=-1, first=1),
    case("Pad", IMAGE, opset=10, pads=[0, 0, 1, 2, 0, 1, 0, 3]),
    case("Pad", IMAGE, ints(0, 0, 1, 2, 0, 1, 0, 3), number(0.5)),
    case("ReduceMean", IMAGE, axes=[2, 3], keepdims=0),
    case("ReduceMean", IMAGE, axes=[-1]),
    case("ReduceMean", IMAGE, ints(-2, -1), opset=18, keepdims=0),
    case("ReduceMean", LINE, ints(1), opset=18),
    case("AveragePool", IMAGE, kernel_shape=[2, 3], strides=[2, 1]),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1),
    case("AveragePool", IMAGE, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
    case("AveragePool", LINE, kernel_shape=[4], strides=[3]),
    case("AveragePool", CUBE, kernel_shape=[2, 2, 2]),
    case("AveragePool", IMAGE, kernel_shape=[3, 3], auto_pad="SAME_UPPER", strides=[2, 2]),
    case("MaxPool", IMAGE, kernel_shape=[2, 2], strides=[2, 2]),
    case("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    case("MaxPool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1),
    case("MaxPool", IMAGE, kernel_shape=[2, 2], dilations=[2, 2]),
    case("MaxPool", LINE, kernel_shape=[3], strides=[2], pads=[1, 0]),
    case("MaxPool", CUBE, kernel_shape=[2, 2, 2], strides=[1, 2, 2]),
    case("Add", IMAGE, random(4, 1, 1)),
    case("Add", ROW, random(2, 1, 6), first=1),
    case("Sub", IMAGE, random(1, 4, 1, 1)),
    case("Sub", IMAGE, random(6), first=1),
    case("Mul", IMAGE, random(4, 1, 1)),
    case("Mul", (2, 1, 6), random(3, 6), first=1),
    case("Div", IMAGE, random(4, 7, 6) + 3),
    case("BatchNormalization", IMAGE, random(4), random(4), random(4), random(4) ** 2, epsilon=0.01),
    case("BatchNormalization", ROW, random(6), random(6), random(6), random(6) ** 2),
    case("Conv", IMAGE, random(3, 4, 3, 3), random(3)),
    case("Conv", IMAGE, random(8, 1, 3, 2), group=4, pads=[1, 0, 2, 1], strides=[2, 1]),
    case("Conv", IMAGE, random(4, 2, 2, 2), group=2, dilations=[2, 3], strides=[3, 1]),
    case("Conv", IMAGE, random(2, 4, 1, 1), strides=[2, 2]),
    *(
        case("Conv", IMAGE, random(2, 4, 3, 2), auto_pad=pad, strides=[2, 3])
        for pad in ("SAME_UPPER", "SAME_LOWER", "VALID")
    ),
    case("Conv", IMAGE, random(2, 4, 3, 3), pads=[2, 2, 2, 2]),
    case("Conv", IMAGE, random(2, 4, 2, 2), pads=[3, 3, 3, 3]),
    case("Conv", LINE, random(3, 4, 4), random(3), strides=[2], pads=[1, 2]),
    case("Conv", CUBE, random(3, 2, 2, 3, 2), strides=[1, 2, 2], pads=[1, 0, 1, 0, 1, 1]),
    case("Gemm", ROW, random(5, 6), random(5), transB=1, alpha=0.5, beta=2.0),
    case("Gemm", ROW, random(6, 5), random(1, 5)),
    case("MatMul", ROW, random(6, 5)),
    case("MatMul", LINE, random(9, 3)),
    case("MatMul", (2, 4, 5, 9), random(4, 9, 3)),
    case("MatMul", (2, 1, 5, 9), random(4, 9, 3)),
    case("MatMul", LINE, random(3, 4), first=1),
    # activations
    *(case(op, ROW) for op in ("Elu", "Selu", "Celu", "Softplus", "Softsign", "Erf", "Exp")),
    case("Mish", ROW, opset=18),
    *(case(op, ROW) for op in ("Neg", "Abs", "Sin", "Cos", "ThresholdedRelu")),
    *(case(op, ROW, positive=True) for op in ("Log", "Sqrt", "Reciprocal")),
    case("Celu", ROW, alpha=0.7),
    case("Elu", ROW, alpha=0.7),
    case("Swish", ROW, opset=24, alpha=1.5),
    case("PRelu", IMAGE, random(4, 1, 1)),
    case("Gelu", ROW, opset=20),
    case("Gelu", ROW, opset=20, approximate="tanh"),
    case("Pow", ROW, number(2.0)),
    case("Pow", ROW, number(-1.5), positive=True),
    *(case(op, ROW, domain="com.microsoft") for op in ("Gelu", "FastGelu", "QuickGelu")),
    case("BiasGelu", ROW, random(6), domain="com.microsoft"),
    case("FastGelu", ROW, random(6), domain="com.microsoft"),
    # arithmetic
    case("Div", ROW, random(2, 6), first=1, positive=True),
    case("Sum", ROW, random(6)),
    case("Mean", ROW, random(1, 6)),
    case("Min", ROW, random(6)),
    case("Max", ROW, random(2, 6)),
    *(case(op, ROW, number(0), label="0") for op in ("Min", "Max")),  # a ReLU in other words
    case("Where", ROW, RNG.random((2, 6)) > 0.5, random(6), first=1),
    case("Where", ROW, RNG.random((2, 6)) > 0.5, random(6), first=2),
    case("Where", ROW, np.zeros(6, bool), random(6), first=2, label="False"),
    # linear
    case("Einsum", (2, 3, 5), random(5, 4), equation="nab,bc->nac"),
    case("Einsum", (2, 3, 5), random(3, 2, 5), first=1, equation="hdc,nhc->nhd"),
    case("ConvTranspose", IMAGE, random(4, 3, 3, 2), random(3), strides=[2, 1], pads=[1, 0, 0, 1]),
    case("ConvTranspose", IMAGE, random(4, 2, 2, 2), group=2, strides=[3, 2], output_padding=[1, 1]),
    case("ConvTranspose", IMAGE, random(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_UPPER"),
    case("ConvTranspose", IMAGE, random(4, 2, 3, 3), strides=[2, 2], auto_pad="SAME_LOWER"),
    case("ConvTranspose", LINE, random(4, 2, 3), dilations=[2]),
    # normalisation
    case("LayerNormalization", LINE, random(9), random(9)),
    case("LayerNormalization", IMAGE, random(4, 7, 6), axis=1, epsilon=0.1),
    case("RMSNormalization", LINE, random(9), opset=23),
    case("InstanceNormalization", IMAGE, random(4), random(4), epsilon=0.01),
    case("GroupNormalization", IMAGE, random(4), random(4), opset=21, num_groups=2),
    case("MeanVarianceNormalization", IMAGE),
    case("Softmax", LINE, axis=1),
    case("Softmax", LINE),
    case("Softmax", LINE, opset=11, axis=1),
    case("LogSoftmax", LINE),
    case("LogSoftmax", LINE, opset=11),
    case("LpNormalization", LINE, axis=1),
    case("LRN", IMAGE, size=3, alpha=0.5, beta=0.6, bias=1.5),
    # pooling
    case("ReduceSum", IMAGE, ints(2, 3), keepdims=0),
    case("ReduceSum", IMAGE, opset=11, axes=[1]),
    case("ReduceL1", IMAGE, axes=[2, 3], keepdims=0),
    case("ReduceL1", IMAGE, ints(1), opset=18),
    case("ReduceL2", IMAGE, axes=[2, 3]),
    case("ReduceMax", IMAGE, axes=[2, 3], keepdims=0),
    case("ReduceMin", IMAGE, axes=[-1]),
    case("LpPool", IMAGE, kernel_shape=[2, 3], strides=[2, 1], pads=[0, 1, 0, 0]),
    case("GlobalLpPool", IMAGE),
    # movement
    case("Slice", IMAGE, ints(1, -3), ints(3, 100), ints(1, 2)),
    case("Slice", IMAGE, ints(-1), ints(-100), ints(2), ints(-2)),
    case("Slice", IMAGE, opset=9, starts=[1], ends=[3], axes=[3]),
    case("Gather", LINE, ints(3, 0, 3), axis=1),
    case("Gather", LINE, np.array(2), axis=-1),
    case("GatherElements", ROW, ints(5, 0, 0, 1, 1, 1).reshape(2, 3), axis=1),
    case("GatherElements", LINE, ints(8, -1, 0, 3).reshape(2, 2, 1), axis=-1),
    case("GatherND", LINE, ints(0, 3, 1, 1).reshape(2, 2)),
    case("Expand", (2, 1, 5), ints(2, 3, 5)),
    case("Tile", ROW, ints(1, 2)),
    case("DepthToSpace", IMAGE, blocksize=2),
    case("DepthToSpace", IMAGE, blocksize=2, mode="CRD"),
    case("SpaceToDepth", (2, 3, 4, 6), blocksize=2),
    case("Trilu", (2, 4, 5), number(0).astype(np.int64), upper=0),
    case("CumSum", LINE, np.array(2)),
    case("CumSum", LINE, np.array(1), exclusive=1, reverse=1),
    case("ScatterElements", ROW, ints(0, 3, 2, 2).reshape(2, 2)[:, ::-1].copy(), random(2, 2), axis=1),
    case("ScatterND", ROW, ints(0, 3, 1, 1).reshape(2, 2), random(2)),
    case("Pad", IMAGE, ints(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect"),
    case("Pad", IMAGE, ints(0, 0, 1, 2, 0, 0, 2, 1), mode="edge"),
    case("Pad", IMAGE, ints(0, 0, -1, 2, 0, 0, 2, -1)),
    case("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 1.5], np.float32), opset=13),
    case("Resize", IMAGE, np.zeros(0, np.float32), np.array([1, 1, 2, 2], np.float32), mode="linear"),
    case("Resize", IMAGE, np.zeros(0, np.float32), np.zeros(0, np.float32), ints(2, 4, 5, 9), mode="linear"),
    *(
        case(
            "Resize",
            IMAGE,
            np.zeros(0, np.float32),
            np.array([1, 1, 0.6, 1.45], np.float32),
            mode=mode,
            coordinate_transformation_mode="align_corners",
        )
        for mode in ("linear", "cubic")
    ),
    case("Upsample", IMAGE, np.array([1, 1, 2, 3], np.float32), opset=9),
    case("CastLike", ROW, number(1.0)),
]
#: tested elsewhere: more than one input or output of activations, or integer tensors between
ELSEWHERE = {"Attention", "Split", "QuantizeLinear", "DequantizeLinear"}
ELSEWHERE |= {"com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear"}  # tests/test_formats.py


def test_every_adjoint_is_covered() -> None:
    tested = {(p.values[5].get("domain", "") + "::" + p.values[0]).removeprefix("::") for p in CASES}
    recurrent = {"LSTM", "GRU", "RNN"}  # test_recurrent.py
    assert tested | ELSEWHERE | recurrent >= set(adjoint), "add a case of it to CASES"


def model_of_case(
    x: np.ndarray,
    op: str,
    constants: tuple[np.ndarray, ...],
    opset: int,
    first: int,
    attributes: dict[str, Any],
) -> Model:
    """One node, of x [N, ...] and constants, of which `first` come before it."""
    names = [f"c{i}" for i in range(len(constants))]
    node = helper.make_node(op, [*names[:first], "x", *names[first:]], ["y"], **attributes)
    return flattened([node], x, dict(zip(names, constants, strict=True)), opset)


@pytest.mark.parametrize(("op", "shape", "constants", "opset", "first", "attributes", "positive"), CASES)
def test_adjoint(
    op: str,
    shape: tuple[int, ...],
    constants: tuple[np.ndarray, ...],
    opset: int,
    first: int,
    attributes: dict[str, Any],
    positive: bool,
) -> None:
    rng = np.random.default_rng(17)
    x = rng.normal(size=shape)
    x = (np.abs(x) + 0.5 if positive else x).astype(np.float32)
    model = model_of_case(x, op, constants, opset, first, attributes)
    assert_gradients_agree(model, x)


def test_transposed_gemm() -> None:
    """transA turns the batch axis, so the seed is spread over the rows of the transposed product."""
    x = random(4, 3)
    nodes = [
        helper.make_node("Gemm", ["x", "w"], ["p"], transA=1),
        helper.make_node("Transpose", ["p"], ["q"], perm=[1, 0]),
        helper.make_node("Reshape", ["q", "shape"], ["y"]),
    ]
    model = flattened(nodes, x, {"w": random(4, 4), "shape": ints(4, 3)})
    assert_gradients_agree(model, x)


def test_one_scale_for_rounded_sizes_is_refused() -> None:
    empty, sizes = np.zeros(0, np.float32), ints(9, 11)
    x = random(*IMAGE)
    node = helper.make_node(
        "Resize",
        ["x", "roi", "scales", "sizes"],
        ["y"],
        mode="linear",
        axes=[2, 3],
        keep_aspect_ratio_policy="not_larger",
    )
    model = flattened([node], x, {"roi": empty, "scales": empty, "sizes": sizes}, 18)
    with pytest.raises(UnsupportedError, match="keep_aspect_ratio_policy"):
        assert_gradients_agree(model, x)


@pytest.mark.parametrize(("scale", "mode"), [(0.6, "floor"), (1.3, "round_prefer_floor")])
def test_cells_that_rounding_decides_are_refused(scale: float, mode: str) -> None:
    """ONNX Runtime takes cells 0, 2, 3, 5 of eight at 0.6, the standard's evaluator 0, 1, 3, 5."""
    x = random(1, 1, 8, 8)
    empty, scales = np.zeros(0, np.float32), np.array([1, 1, scale, 1], np.float32)
    node = helper.make_node("Resize", ["x", "roi", "scales"], ["y"], mode="nearest", nearest_mode=mode)
    model = flattened([node], x, {"roi": empty, "scales": scales}, 18)
    with pytest.raises(UnsupportedError, match="a matter of rounding"):
        assert_gradients_agree(model, x)


@pytest.mark.parametrize("op", ["Add", "Sub"])
def test_sum_of_activations(op: str) -> None:
    """Both operands come from x, one of them broadcast."""
    x = random(*IMAGE)
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("Tanh", ["x"], ["t"]),
        helper.make_node(op, ["t", "pooled"], ["y"]),
    ]
    assert_gradients_agree(flattened(nodes, x, {}), x)


@pytest.mark.parametrize(
    ("op", "attributes"),
    [
        ("ReduceL1", {"axes": [2, 3]}),
        ("ReduceL2", {"axes": [2, 3]}),
        ("LpNormalization", {"axis": 1}),
        ("LpPool", {"kernel_shape": [2, 2]}),
        ("GlobalLpPool", {}),
    ],
)
def test_where_a_norm_is_zero_nothing_flows_back(op: str, attributes: dict[str, Any]) -> None:
    """As behind a ReLU that lets nothing through."""
    x = random(*IMAGE)
    x[:, 1:] = 0
    x[1] = 0
    model = flattened([helper.make_node(op, ["x"], ["y"], **attributes)], x, {}, 17)
    runtime, logits = create_engine("onnxruntime"), Logits("logits", "logits", 0, None)
    scores = runtime.session(model.proto).run({"x": x})["logits"]
    propagator = Propagator(model, logits, runtime, parse_composite("gradient"), ["x"])
    (batch,) = propagator.run({"x": x}, np.ones_like(scores), len(x))
    assert np.isfinite(batch.relevance["x"]).all()
    assert batch.relevance["x"][0].any()
    assert not batch.relevance["x"][1].any()


def assert_gradients_agree(model: Model, x: np.ndarray) -> None:
    """Our gradient of an output of each sample is its slope along random directions, on every engine."""
    rng = np.random.default_rng(23)
    logits = Logits("logits", "logits", 0, None)
    runtime = create_engine("onnxruntime").session(model.proto)
    values = runtime.run({"x": x})["logits"]
    targets = np.abs(values).argmax(axis=1)
    rows = np.arange(len(x))
    seed = values[rows, targets].astype(np.float64)
    exact = _double(model, x)
    for name in ("onnxruntime", "numpy", "torch"):
        propagator = Propagator(model, logits, create_engine(name), parse_composite("gradient"), ["x"])
        if not _runs(model, name, x):
            assert name != "onnxruntime"
            continue  # an engine that cannot run the op cannot explain it either
        (batch,) = propagator.run({"x": x}, targets, len(x))
        gradient = batch.relevance["x"].astype(np.float64)
        for _ in range(3):
            direction = rng.normal(size=x.shape)
            step = 1e-6 if exact else 1e-3
            difference = _seeded(model, exact, x + step * direction, targets, seed) - _seeded(
                model, exact, x - step * direction, targets, seed
            )
            slope = difference / (2 * step)
            scale = np.abs(gradient * direction).sum() + 1e-2
            assert abs((gradient * direction).sum() - slope) < (1e-5 if exact else 2e-2) * scale, name


def _runs(model: Model, engine: str, x: np.ndarray) -> bool:
    try:
        create_engine(engine).session(model.proto).run({"x": x})
    except (UnsupportedError, InputError):
        return False
    return True


def _double(model: Model, x: np.ndarray) -> Any:
    """A float64 session, None where only ONNX Runtime can run the op (then the tolerance is float32's)."""
    try:
        session = create_engine("numpy").session(as_float64(model).proto)
        session.run({"x": x.astype(np.float64)})
    except (UnsupportedError, InputError):
        return None
    return session


def _seeded(model: Model, exact: Any, x: np.ndarray, targets: np.ndarray, seed: np.ndarray) -> float:
    session = exact or create_engine("onnxruntime").session(model.proto)
    values = session.run({"x": x if exact else x.astype(np.float32)})["logits"]
    return float((values[np.arange(len(targets)), targets] * seed).sum())
