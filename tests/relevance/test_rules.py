"""Every rule on every linear op, against the rule restated on the dense matrix of the layer.

The matrix is found by feeding basis vectors; the restatements are loops over one sample, in float64.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Composite, Propagator, RuleSpec, rule
from onnxunlearn.relevance.composites import BASE
from tests.relevance.layers import flattened

Dense = Callable[..., np.ndarray]
EPS = 1e-6


def stab(z: np.ndarray, epsilon: float = EPS) -> np.ndarray:
    return z + np.where(z < 0, -epsilon, epsilon)


def pos(a: np.ndarray) -> np.ndarray:
    return np.maximum(a, 0)


def neg(a: np.ndarray) -> np.ndarray:
    return np.minimum(a, 0)


# Each takes W [out, in], b [out], x [in], R [out] and gives the relevance [in].


def dense_gradient(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return W.T @ R


def dense_epsilon(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, epsilon: float = EPS, bias: bool = True
) -> np.ndarray:
    z = W @ x + b * bias
    return np.array(
        [sum(x[i] * W[o, i] * R[o] / stab(z, epsilon)[o] for o in range(len(R))) for i in range(len(x))]
    )


def dense_norm(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return dense_epsilon(W, b, x, R)


def dense_alpha_beta(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, alpha: float = 1.0, bias: bool = True
) -> np.ndarray:
    contributions = W * x
    for_, against = pos(contributions), neg(contributions)
    p = R / stab(for_.sum(axis=1) + pos(b) * bias)
    n = R / stab(against.sum(axis=1) + neg(b) * bias)
    return alpha * for_.T @ p - (alpha - 1) * against.T @ n


def dense_alpha2_beta1(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    return dense_alpha_beta(W, b, x, R, alpha=2.0)


def dense_gamma(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, gamma: float = 0.25, bias: bool = True
) -> np.ndarray:
    b = b * bias
    contributions = W * x
    raising = contributions + gamma * pos(contributions)
    lowering = contributions + gamma * neg(contributions)
    total = np.zeros(len(x))
    for o, z in enumerate(contributions.sum(axis=1) + b):
        if z > 0:
            total += raising[o] * R[o] / stab(raising[o].sum() + b[o] + gamma * pos(b[o]))
        elif z < 0:
            total += lowering[o] * R[o] / stab(lowering[o].sum() + b[o] + gamma * neg(b[o]))
    return total


def dense_zbox(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, low: float = -1.0, high: float = 1.0
) -> np.ndarray:
    shares = W * x - pos(W) * low - neg(W) * high
    return shares.T @ (R / stab(shares.sum(axis=1)))


def dense_wsquare(
    W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray, bias: bool = True
) -> np.ndarray:
    return (W**2).T @ (R / stab((W**2).sum(axis=1) + b**2 * bias))


def dense_flat(W: np.ndarray, b: np.ndarray, x: np.ndarray, R: np.ndarray) -> np.ndarray:
    seen = (W != 0).astype(float)
    return seen.T @ (R / stab(seen.sum(axis=1)))


#: rule, its parameters -> the restatement. Every registered rule must be here.
CASES: list[tuple[str, dict[str, Any], Dense]] = [
    ("gradient", {}, dense_gradient),
    ("norm", {}, dense_norm),
    ("epsilon", {}, dense_epsilon),
    ("epsilon", {"epsilon": 0.25}, dense_epsilon),
    ("epsilon", {"bias": False}, dense_epsilon),
    ("zplus", {}, dense_alpha_beta),
    ("zplus", {"bias": False}, dense_alpha_beta),
    ("alpha1beta0", {}, dense_alpha_beta),
    ("alpha2beta1", {}, dense_alpha2_beta1),
    ("alpha2beta1", {"alpha": 3.0, "bias": False}, dense_alpha_beta),
    ("gamma", {}, dense_gamma),
    ("gamma", {"gamma": 1.0, "bias": False}, dense_gamma),
    ("gamma_epsilon", {"gamma": 0.5}, dense_gamma),
    ("zbox", {"low": -2.0, "high": 3.0}, dense_zbox),
    ("wsquare", {}, dense_wsquare),
    ("wsquare", {"bias": False}, dense_wsquare),
    ("flat", {}, dense_flat),
]


def test_every_rule_has_a_restatement() -> None:
    # restated in test_attention_rules.py, test_attention.py and test_recurrent.py
    elsewhere = {"pass", "constant", "uniform", "numerator", "softmax", "normalisation", "lrn", "attention"}
    elsewhere |= {
        "signal_take_all",
        *(name for name in rule if name.startswith("pattern")),
    }  # test_patterns.py
    assert {name for name, _, _ in CASES} | elsewhere == set(rule)


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
        self.W = _outputs(flattened(nodes, self.x, linear), _basis(shape)).T.astype(np.float64)
        self.b = _outputs(self.model, self.x)[0].astype(np.float64)


def _basis(shape: tuple[int, ...]) -> np.ndarray:
    size = int(np.prod(shape))
    return np.eye(size, dtype=np.float32).reshape(size, *shape)


def _outputs(model: Model, x: np.ndarray) -> np.ndarray:
    return create_engine("onnxruntime").session(model.proto).run({"x": x})["logits"]


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
    size = [int(s) for s in rng.integers(5, 8, rank)]
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


LAYERS: dict[str, Callable[[np.random.Generator, bool], Layer]] = {
    "Gemm": lambda rng, bias: dense_layer(rng, "Gemm", bias),
    "MatMul": lambda rng, bias: dense_layer(rng, "MatMul", bias),
    "MatMul, weight first": lambda rng, bias: dense_layer(rng, "left", bias),
    "Conv1D": lambda rng, bias: conv_layer(rng, 1, bias),
    "Conv2D": lambda rng, bias: conv_layer(rng, 2, bias),
}


def relevances(
    layer: Layer, engine: Engine, name: str, parameters: dict[str, Any], x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Relevance of x with all of R at its largest output, and R."""
    merge = name != "gradient"
    rules = (("linear", RuleSpec(name, parameters)), ("affine", RuleSpec("gradient")), *BASE)
    composite = Composite(name, rules if merge else (("any", RuleSpec(name)),), merge=merge)
    z = _outputs(layer.model, x)
    target = int(np.abs(z[0]).argmax())
    logits = Logits("logits", "logits", z.shape[1], None)
    (batch,) = Propagator(layer.model, logits, engine, composite, ["x"]).run({"x": x}, np.array([target]), 1)
    R = np.zeros(z.shape[1])
    R[target] = z[0, target]
    return batch.relevance["x"][0].reshape(-1), R


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("name", "parameters", "restated"), CASES)
@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), nonnegative=st.booleans())
def test_rule(
    name: str,
    parameters: dict[str, Any],
    restated: Dense,
    kind: str,
    bias: bool,
    seed: int,
    nonnegative: bool,
) -> None:
    rng = np.random.default_rng(seed)
    layer = LAYERS[kind](rng, bias)
    x = rng.normal(size=(1, *layer.shape)).astype(np.float32)
    if nonnegative:
        x = np.abs(x)
    engine = create_engine(("onnxruntime", "numpy")[seed % 2])
    found, R = relevances(layer, engine, name, parameters, x)
    expected = restated(layer.W, layer.b, x[0].reshape(-1).astype(np.float64), R, **parameters)
    # Where a denominator is nearly 0 float32 and float64 part ways; that is the rule's nature.
    if np.abs(expected).max() < 100 * np.abs(R).max():
        np.testing.assert_allclose(found, expected, atol=2e-4 * max(np.abs(expected).max(), 1e-3))


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("epsilon", {"bias": False, "epsilon": 1e-9}),
        ("zplus", {"bias": False, "epsilon": 1e-9}),
        ("alpha2beta1", {"bias": False, "epsilon": 1e-9}),
        ("gamma", {"bias": False, "epsilon": 1e-9}),
        ("zbox", {"low": -4.0, "high": 4.0, "epsilon": 1e-9}),
        ("wsquare", {"bias": False, "epsilon": 1e-9}),
        ("flat", {"epsilon": 1e-9}),
    ],
)
def test_conserves(name: str, parameters: dict[str, Any], kind: str) -> None:
    """Without a bias all of R arrives: Σ R_in = Σ R_out."""
    rng = np.random.default_rng(7)
    for _ in range(5):
        layer = LAYERS[kind](rng, False)
        x = rng.normal(size=(1, *layer.shape)).astype(np.float32)
        contributions = layer.W * x.reshape(-1)
        target = np.abs(layer.W @ x.reshape(-1)).argmax()
        if name == "alpha2beta1" and not (
            (contributions[target] > 0).any() and (contributions[target] < 0).any()
        ):
            continue  # with nothing against (or for) the output there is nothing to hand β to
        found, R = relevances(layer, create_engine("onnxruntime"), name, parameters, x)
        if name == "zplus" and not (contributions[target] > 0).any():
            continue
        assert found.sum() == pytest.approx(R.sum(), rel=1e-3)


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
def test_by_hand(engine: str) -> None:
    """Two layers with weights 2 and 3: the example that fixes every sign."""
    x = np.array([[1, 2, 3]], np.float32)

    def run(w1: np.ndarray, composite: str) -> np.ndarray:
        nodes = [
            helper.make_node("MatMul", ["x", "w1"], ["h"]),
            helper.make_node("MatMul", ["h", "w2"], ["y"]),
        ]
        weights = {"w1": w1.astype(np.float32), "w2": np.full((3, 1), 3, np.float32)}
        model = flattened(nodes, x, weights)
        from onnxunlearn.relevance import parse_composite

        logits = Logits("logits", "logits", 1, None)
        propagator = Propagator(model, logits, create_engine(engine), parse_composite(composite), ["x"])
        (batch,) = propagator.run({"x": x}, np.array([0]), 1)
        return batch.relevance["x"][0]

    w = np.full((3, 3), 2.0)
    np.testing.assert_allclose(run(w, "epsilon"), [18, 36, 54], rtol=1e-5)
    w[0, 0] = -2
    np.testing.assert_allclose(run(w, "gamma(gamma=1)"), [28 / 3, 104 / 3, 52], rtol=1e-5)
    np.testing.assert_allclose(run(w, "alpha1beta0"), [12, 33.6, 50.4], rtol=1e-5)
