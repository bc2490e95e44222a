"""Random linear layers of every op, shape and attribute, as ONNX models and as dense matrices."""

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, as_float64
from tests.relevance.layers import flattened


class Layer:
    """A linear layer as an ONNX model and as a matrix."""

    def __init__(
        self, nodes: list[Any], weights: dict[str, np.ndarray], bias: str | None, shape: tuple[int, ...]
    ):
        self.shape = shape
        self.x = np.zeros((1, *shape), np.float32)
        self.model = flattened(nodes, self.x, weights)
        self.bias = bias
        linear = {n: a * 0 if n == bias else a for n, a in weights.items()}
        self.W = outputs(flattened(nodes, self.x, linear), _basis(shape)).T
        self.b = outputs(self.model, self.x)[0]


def _basis(shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    return np.eye(size).reshape(size, *shape)


def outputs(model: Model, x: np.ndarray) -> np.ndarray:
    """In float64."""
    session = create_engine("numpy").session(as_float64(model).proto)
    return session.run({"x": x.astype(np.float64)})["logits"]


def weights_of(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random weights of both signs, none close to 0 (0 would mean `not connected` to the restatements)."""
    return (rng.choice([-1.0, 1.0], shape) * rng.uniform(0.2, 1.0, shape)).astype(np.float32)


def dense_layer(rng: np.random.Generator, op: str, bias: bool) -> Layer:
    inputs, outputs = int(rng.integers(1, 6)), int(rng.integers(2, 5))
    b = weights_of(rng, outputs)
    if op == "Gemm":
        flip = int(rng.integers(2))
        w = weights_of(rng, *((outputs, inputs) if flip else (inputs, outputs)))
        alpha, beta = float(rng.uniform(0.5, 2)), float(rng.uniform(0.5, 2))
        names = ["x", "w", "b"] if bias else ["x", "w"]
        node = helper.make_node("Gemm", names, ["y"], transB=flip, alpha=alpha, beta=beta)
        return Layer([node], {"w": w, **({"b": b} if bias else {})}, "b" if bias else None, (inputs,))
    if op == "MatMul":
        nodes = [helper.make_node("MatMul", ["x", "w"], ["p" if bias else "y"])]
        if bias:
            nodes.append(helper.make_node("Add", ["p", "b"], ["y"]))
        shape = (int(rng.integers(1, 3)), inputs)
        weights = {"w": weights_of(rng, inputs, outputs), **({"b": b} if bias else {})}
        return Layer(nodes, weights, "b" if bias else None, shape)
    # the weight on the left: W·x over the last two axes
    node = helper.make_node("MatMul", ["w", "x"], ["y"])
    return Layer([node], {"w": weights_of(rng, outputs, inputs)}, None, (inputs, int(rng.integers(1, 3))))


def conv_layer(rng: np.random.Generator, rank: int, bias: bool) -> Layer:
    group = int(rng.choice([1, 2]))
    inner, outputs = int(rng.integers(1, 3)), group * int(rng.integers(1, 3))
    kernel = [int(k) for k in rng.integers(1, 4, rank)]
    dilations = [int(d) for d in rng.integers(1, 3, rank)]
    size = [int(s) for s in rng.integers(5, 6 if rank == 3 else 8, rank)]
    attributes: dict[str, Any] = {
        "group": group,
        "dilations": dilations,
        "strides": [int(s) for s in rng.integers(1, 4, rank)],
    }
    if rng.random() < 0.7:
        attributes["pads"] = [int(p) for p in rng.integers(0, 3, 2 * rank)]
    elif rng.random() < 0.5:
        attributes |= {
            "auto_pad": "SAME_UPPER" if rng.random() < 0.5 else "SAME_LOWER",
            "dilations": [1] * rank,
        }
    weights = {"w": weights_of(rng, outputs, inner, *kernel)}
    if bias:
        weights["b"] = weights_of(rng, outputs)
    node = helper.make_node("Conv", ["x", *weights], ["y"], **attributes)
    return Layer([node], weights, "b" if bias else None, (group * inner, *size))


def transposed_layer(rng: np.random.Generator, rank: int, bias: bool) -> Layer:
    group = int(rng.choice([1, 2]))
    inputs, each = group * int(rng.integers(1, 3)), int(rng.integers(1, 3))
    kernel = [int(k) for k in rng.integers(1, 4, rank)]
    strides = [int(s) for s in rng.integers(1, 4, rank)]
    attributes: dict[str, Any] = {"group": group, "strides": strides}
    if rng.random() < 0.3:
        attributes["auto_pad"] = "SAME_UPPER" if rng.random() < 0.5 else "SAME_LOWER"
        kernel = [max(k, s) for k, s in zip(kernel, strides, strict=True)]
    else:
        attributes["dilations"] = [int(d) for d in rng.integers(1, 3, rank)]
        attributes["output_padding"] = [int(rng.integers(0, s)) for s in strides]
        if min(kernel) > 1:
            attributes["pads"] = [int(p) for p in rng.integers(0, 2, 2 * rank)]
    weights = {"w": weights_of(rng, inputs, each, *kernel)}
    if bias:
        weights["b"] = weights_of(rng, group * each)
    node = helper.make_node("ConvTranspose", ["x", *weights], ["y"], **attributes)
    sizes = [int(s) for s in rng.integers(2, 4 if rank == 3 else 5, rank)]
    return Layer([node], weights, "b" if bias else None, (inputs, *sizes))


#: equations with their weight's and activation's letters (n: the batch)
EQUATIONS = [
    ("nab,bc->nac", "bc", "nab", 1),
    ("hdc,nhc->nhd", "hdc", "nhc", 0),
    ("nab,abc->nc", "abc", "nab", 1),
    ("na,a->na", "a", "na", 1),
]


def einsum_layer(rng: np.random.Generator) -> Layer:
    """Without a bias: an Add behind it is a node of its own, which shares by what it adds."""
    equation, of_w, of_x, at = EQUATIONS[int(rng.integers(len(EQUATIONS)))]
    sizes = {letter: int(rng.integers(1, 4)) for letter in "abcdh"}
    weight = weights_of(rng, *(sizes[letter] for letter in of_w))
    node = helper.make_node("Einsum", ["x", "w"] if at else ["w", "x"], ["y"], equation=equation)
    return Layer([node], {"w": weight}, None, tuple(sizes[letter] for letter in of_x[1:]))


#: op and variant -> a random layer, with a bias if it can have one
LAYERS: dict[str, Callable[[np.random.Generator, bool], Layer]] = {
    "Gemm": lambda rng, bias: dense_layer(rng, "Gemm", bias),
    "MatMul": lambda rng, bias: dense_layer(rng, "MatMul", bias),
    "MatMul, weight first": lambda rng, bias: dense_layer(rng, "left", bias),
    "Einsum": lambda rng, bias: einsum_layer(rng),
    "Conv, 1D": lambda rng, bias: conv_layer(rng, 1, bias),
    "Conv, 2D": lambda rng, bias: conv_layer(rng, 2, bias),
    "Conv, 3D": lambda rng, bias: conv_layer(rng, 3, bias),
    "ConvTranspose, 1D": lambda rng, bias: transposed_layer(rng, 1, bias),
    "ConvTranspose, 2D": lambda rng, bias: transposed_layer(rng, 2, bias),
    "ConvTranspose, 3D": lambda rng, bias: transposed_layer(rng, 3, bias),
}
