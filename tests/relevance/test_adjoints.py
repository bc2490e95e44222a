"""Every adjoint against torch autograd, over the op's attributes; torch runs our own import of the same node,
which tests/engines compare with ONNX Runtime."""

from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Propagator, adjoint, parse_composite
from tests.relevance.layers import flattened

torch = pytest.importorskip("torch")

from onnxunlearn.engines.torch import import_model  # noqa: E402

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
    **attributes: Any,
) -> Any:
    """One node; the activation is its input number `first`."""
    label = f"{op} {opset} {shape} {attributes}"[:90]
    return pytest.param(op, shape, constants, opset, first, attributes, id=label)


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
]


def test_every_adjoint_is_covered() -> None:
    assert {p.values[0] for p in CASES} == set(adjoint)


@pytest.mark.parametrize(("op", "shape", "constants", "opset", "first", "attributes"), CASES)
def test_adjoint(
    op: str,
    shape: tuple[int, ...],
    constants: tuple[np.ndarray, ...],
    opset: int,
    first: int,
    attributes: dict[str, Any],
) -> None:
    names = [f"c{i}" for i in range(len(constants))]
    inputs = [*names[:first], "x", *names[first:]]
    node = helper.make_node(op, inputs, ["y"], **attributes)
    x = random(*shape)
    model = flattened([node], x, dict(zip(names, constants, strict=True)), opset)
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


def assert_gradients_agree(model: Model, x: np.ndarray) -> None:
    """Our gradient of a random combination of outputs equals torch's, on every engine."""
    module = import_model(model.proto)
    leaf = torch.tensor(x, requires_grad=True)
    outputs = module(leaf)
    flat = outputs.reshape(len(x), -1)
    targets = RNG.integers(flat.shape[1], size=len(x))
    seed = torch.zeros_like(flat)
    seed[torch.arange(len(x)), torch.as_tensor(targets)] = flat.detach()[
        torch.arange(len(x)), torch.as_tensor(targets)
    ]
    (flat * seed).sum().backward()
    expected = leaf.grad.numpy()
    for name in ("onnxruntime", "numpy", "torch"):
        logits = Logits("logits", "logits", flat.shape[1], None)
        propagator = Propagator(model, logits, create_engine(name), parse_composite("gradient"), ["x"])
        (batch,) = propagator.run({"x": x}, targets, len(x))
        scale = max(float(np.abs(expected).max()), 1e-6)
        np.testing.assert_allclose(batch.relevance["x"], expected, atol=1e-5 * scale, err_msg=name)
