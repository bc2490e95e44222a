"""Rules of nodes without weights: activations, products, softmax, normalisation; restated densely."""

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Composite, Propagator, RuleSpec, parse_composite
from onnxunlearn.relevance.composites import BASE
from tests.relevance.dense_rules import stab
from tests.relevance.layers import flattened

RNG = np.random.default_rng(5)


def random(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def propagate(
    model: Model,
    x: np.ndarray,
    target: int,
    tensors: list[str],
    engine: str = "onnxruntime",
    composite: Composite | None = None,
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Relevances from logit `target`, and that start [N, classes]."""
    logits = Logits("logits", "logits", 0, None)
    rules = composite or Composite("base", BASE)
    propagator = Propagator(model, logits, create_engine(engine), rules, tensors)
    (batch,) = propagator.run({"x": x}, np.full(len(x), target), len(x))
    start = np.zeros_like(batch.logits)
    start[:, target] = batch.logits[:, target]
    return dict(batch.relevance), start


def test_pass_keeps_relevance() -> None:
    x = np.array([[-1.0, 2.0, -3.0]], np.float32)
    model = flattened([helper.make_node("Tanh", ["x"], ["y"])], x, {})
    found, _ = propagate(model, x, 1, ["x"])
    np.testing.assert_allclose(found["x"], [[0, np.tanh(2.0), 0]], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
def test_softmax(engine: str) -> None:
    """R_x = x ⊙ (R − s·ΣR), and 0 where x is −∞."""
    x = random(3, 5)
    x[1, 2] = -np.inf
    model = flattened([helper.make_node("Softmax", ["x"], ["y"])], x, {})
    found, R = propagate(model, x, 0, ["x"], engine)
    s = np.exp(x - x.max(axis=1, keepdims=True))
    s /= s.sum(axis=1, keepdims=True)
    expected = np.where(np.isinf(x), 0, x) * (R - s * R.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found["x"], expected, atol=1e-6)


def test_constant_stops_relevance() -> None:
    """CP-LRP: the softmax counts as constant weights."""
    x = random(2, 5)
    model = flattened([helper.make_node("Softmax", ["x"], ["y"])], x, {})
    cp = Composite("cp", (("softmax", RuleSpec("constant")), *BASE))
    found, _ = propagate(model, x, 0, ["x"], composite=cp)
    assert not found["x"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_matrix_product(engine: str) -> None:
    """R_A = A ⊙ [(R / 2O) Bᵀ], R_B = B ⊙ [Aᵀ (R / 2O)]; together all of R."""
    x = random(2, 3, 4)
    a, b = random(4, 5), random(4, 3)
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["A"]),
        helper.make_node("MatMul", ["x", "b"], ["Bt"]),
        helper.make_node("Transpose", ["Bt"], ["B"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["B", "A"], ["y"]),
    ]
    model = flattened(nodes, x, {"a": a, "b": b})
    found, R = propagate(model, x, 4, ["A", "B"], engine)
    A, B = x @ a, (x @ b).transpose(0, 2, 1)
    share = R.reshape(2, 3, 5) / stab(2 * (B @ A))
    np.testing.assert_allclose(found["A"], A * (B.transpose(0, 2, 1) @ share), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["B"], B * (share @ A.transpose(0, 2, 1)), rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(found["A"].sum() + found["B"].sum(), R.sum(), rtol=1e-3)


def test_elementwise_product_gives_halves() -> None:
    x = random(2, 6)
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"]),
        helper.make_node("Sigmoid", ["x"], ["b"]),
        helper.make_node("Mul", ["a", "b"], ["y"]),
    ]
    found, R = propagate(flattened(nodes, x, {}), x, 3, ["a", "b"])
    np.testing.assert_allclose(found["a"], R / 2, rtol=1e-4)
    np.testing.assert_allclose(found["b"], R / 2, rtol=1e-4)


def test_quotient_gives_all_to_the_numerator() -> None:
    x = random(2, 6)
    nodes = [
        helper.make_node("Tanh", ["x"], ["a"]),
        helper.make_node("Exp", ["x"], ["b"]),
        helper.make_node("Div", ["a", "b"], ["y"]),
    ]
    found, R = propagate(flattened(nodes, x, {}), x, 3, ["a", "b"])
    np.testing.assert_allclose(found["a"], R, rtol=1e-4, atol=1e-7)
    assert not found["b"].any()


@pytest.mark.parametrize("engine", ENGINES)
def test_layer_normalization(engine: str) -> None:
    """u = γ/std·R/y, R_x = x ⊙ (u − mean u)."""
    x, gamma, beta = random(3, 7), random(7), random(7)
    node = helper.make_node("LayerNormalization", ["x", "gamma", "beta"], ["y"], epsilon=1e-5)
    model = flattened([node], x, {"gamma": gamma, "beta": beta})
    found, R = propagate(model, x, 2, ["x"], engine)
    centered = x - x.mean(axis=1, keepdims=True)
    std = np.sqrt((centered**2).mean(axis=1, keepdims=True) + 1e-5)
    u = gamma / std * R / stab(gamma * centered / std + beta)
    np.testing.assert_allclose(found["x"], x * (u - u.mean(axis=1, keepdims=True)), rtol=1e-3, atol=1e-5)


def test_rms_normalization_passes_relevance() -> None:
    x, gamma = random(3, 7), random(7)
    node = helper.make_node("RMSNormalization", ["x", "gamma"], ["y"])
    found, R = propagate(flattened([node], x, {"gamma": gamma}, opset=23), x, 2, ["x"])
    np.testing.assert_allclose(found["x"], R, rtol=1e-3, atol=1e-6)


def test_split_gathers_what_its_outputs_got() -> None:
    x = random(2, 6)
    nodes = [
        helper.make_node("Split", ["x", "sizes"], ["a", "b", "c"], axis=1),
        helper.make_node("Mul", ["a", "two"], ["a2"]),
        helper.make_node("Concat", ["c", "a2"], ["y"], axis=1),
    ]
    constants = {"sizes": np.array([2, 1, 3]), "two": np.array(2, np.float32)}
    model = flattened(nodes, x, constants)
    found, R = propagate(model, x, 4, ["x"])
    expected = np.zeros_like(x)
    expected[:, 1] = R[:, 4]  # output 4 is the second of `a`
    np.testing.assert_allclose(found["x"], expected, rtol=1e-5)


def test_a_rule_that_does_not_fit_is_refused() -> None:
    x = random(1, 3)
    model = flattened([helper.make_node("Tanh", ["x"], ["y"], name="t")], x, {})
    wrong = Composite("wrong", (("activation", RuleSpec("zplus")), *BASE))
    with pytest.raises(InputError, match="'zplus' is for linear nodes; node 't'"):
        propagate(model, x, 0, ["x"], composite=wrong)
    assert parse_composite("zplus").choose(["activation"]).name == "pass"


@pytest.mark.parametrize("engine", ENGINES)
def test_lrn(engine: str) -> None:
    """Binder et al. 2016 restated with loops over channels."""
    x, size, alpha, beta, k = random(2, 5, 3, 2), 3, 0.6, 0.7, 1.5
    node = helper.make_node("LRN", ["x"], ["y"], size=size, alpha=alpha, beta=beta, bias=k)
    model = flattened([node], x, {})
    found, R = propagate(model, x, 13, ["x"], engine)
    R, a, expected = R.reshape(x.shape), alpha / size, np.zeros_like(x)
    for n, i, j in np.ndindex(2, 3, 2):
        v = x[n, :, i, j]
        for c in range(5):
            near = [b for b in range(5) if abs(b - c) <= size // 2]
            S = k + a * sum(v[b] ** 2 for b in near)
            z = {b: -2 * a * beta * v[c] * v[b] ** 2 * S ** (-beta - 1) for b in near}
            z[c] = v[c] * (k + a * v[c] ** 2) ** -beta
            for b in near:
                expected[n, b, i, j] += z[b] / stab(np.array(sum(z.values()))) * R[n, c, i, j]
    np.testing.assert_allclose(found["x"], expected, rtol=1e-3, atol=1e-6)
