"""Every rule on every linear op, against the rule restated on the dense matrix of the layer.

The matrix is found by feeding basis vectors.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, as_float64
from onnxunlearn.relevance import Composite, Propagator, RuleSpec, rule
from onnxunlearn.relevance.composites import BASE
from onnxunlearn.reverse import Linear, LocalMap, adjoint
from onnxunlearn.reverse.local_map import Softmax
from tests.relevance.dense_rules import (
    Dense,
    dense_alpha2_beta1,
    dense_alpha_beta,
    dense_epsilon,
    dense_flat,
    dense_gamma,
    dense_gradient,
    dense_norm,
    dense_wsquare,
    dense_zbox,
)
from tests.relevance.layers import flattened
from tests.relevance.linear_layers import LAYERS, Layer, outputs

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
    assert {name for name, _, _ in CASES} | elsewhere == set(rule), (
        "restate it in dense_rules.py, and add it to CASES"
    )


def test_every_linear_op_has_layers() -> None:
    """Those of adjoints/linear.py. What follows tests every pair of a rule of CASES and one of them."""
    linear = {op for op, entry in adjoint.items() if entry.__module__.endswith("adjoints.linear")}
    assert {name.partition(",")[0] for name in LAYERS} == linear


def relevances(
    layer: Layer, engine: str, name: str, parameters: dict[str, Any], x: np.ndarray, dtype: type[Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Relevance of x with all of R at its largest output, and R."""
    merge = name != "gradient"
    rules = (("linear", RuleSpec(name, parameters)), ("affine", RuleSpec("gradient")), *BASE)
    composite = Composite(name, rules if merge else (("any", RuleSpec(name)),), merge=merge)
    model = layer.model if dtype is np.float32 else as_float64(layer.model)
    z = outputs(layer.model, x)[0]
    target = int(np.abs(z).argmax())
    logits = Logits("logits", "logits", len(z), None)
    propagator = Propagator(model, logits, create_engine(engine), composite, ["x"], dtype)
    (batch,) = propagator.run({"x": x.astype(dtype)}, np.array([target]), 1)
    R = np.zeros(len(z))
    R[target] = z[target]
    return batch.relevance["x"][0].reshape(-1), R


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("name", "parameters", "restated"), CASES)
@settings(max_examples=3, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), bias=st.booleans(), nonnegative=st.booleans())
def test_rule(
    name: str,
    parameters: dict[str, Any],
    restated: Dense,
    kind: str,
    seed: int,
    bias: bool,
    nonnegative: bool,
) -> None:
    """On all three engines: float64 where they can, and ONNX Runtime's float32."""
    rng = np.random.default_rng(seed)
    layer = LAYERS[kind](rng, bias)
    x = rng.normal(size=(1, *layer.shape)).astype(np.float32)
    if nonnegative:
        x = np.abs(x)
    for engine, dtype in (("numpy", np.float64), ("torch", np.float64), ("onnxruntime", np.float32)):
        found, R = relevances(layer, engine, name, parameters, x, dtype)
        expected = restated(layer.W, layer.b, x[0].reshape(-1).astype(np.float64), R, **parameters)
        size = max(np.abs(expected).max(), 1e-3)
        if dtype is np.float64:
            np.testing.assert_allclose(found, expected, atol=1e-8 * size, err_msg=engine)
        # Where a denominator is nearly 0 float32 and float64 part ways; that is the rule's nature.
        elif size < 100 * np.abs(R).max():
            np.testing.assert_allclose(found, expected, atol=2e-4 * size, err_msg=engine)


def anywhere(w: np.ndarray, x: np.ndarray) -> bool:
    return True


def some_for(w: np.ndarray, x: np.ndarray) -> bool:
    """Else there is nothing to hand it to."""
    return bool((w * x > 0).any())


def some_for_and_against(w: np.ndarray, x: np.ndarray) -> bool:
    return some_for(w, x) and some_for(-w, x)


#: the rules that hand on all they get where there is no bias, as they do it best; and where they do, by the
#: weights of an output and its inputs
CONSERVING: list[tuple[str, dict[str, Any], Callable[[np.ndarray, np.ndarray], bool]]] = [
    ("epsilon", {"bias": False, "epsilon": 1e-9}, anywhere),
    ("norm", {"epsilon": 1e-9}, anywhere),
    ("zplus", {"bias": False, "epsilon": 1e-9}, some_for),
    ("alpha1beta0", {"bias": False, "epsilon": 1e-9}, some_for),
    ("alpha2beta1", {"bias": False, "epsilon": 1e-9}, some_for_and_against),
    ("gamma", {"bias": False, "epsilon": 1e-9}, anywhere),
    ("gamma_epsilon", {"bias": False, "epsilon": 1e-9}, anywhere),
    ("zbox", {"low": -4.0, "high": 4.0, "epsilon": 1e-9}, anywhere),
    ("wsquare", {"bias": False, "epsilon": 1e-9}, anywhere),
    ("flat", {"epsilon": 1e-9}, anywhere),
]
#: those that hand on more or less
NOT_CONSERVING = {"gradient"}


def test_every_rule_conserves_or_is_said_not_to() -> None:
    assert {name for name, *_ in CONSERVING} | NOT_CONSERVING == {name for name, *_ in CASES}, (
        "add it to CONSERVING, or to NOT_CONSERVING if it hands on more or less than it gets"
    )


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize(("name", "parameters", "where"), CONSERVING)
def test_conserves(
    name: str, parameters: dict[str, Any], where: Callable[[np.ndarray, np.ndarray], bool], kind: str
) -> None:
    """Without a bias all of R arrives: Σ R_in = Σ R_out."""
    rng = np.random.default_rng(7)
    asked = 0
    for _ in range(100):  # in small layers there is often nothing against an output
        layer = LAYERS[kind](rng, False)
        x = rng.normal(size=(1, *layer.shape)).astype(np.float32)
        target = np.abs(layer.W @ x.reshape(-1)).argmax()
        if where(layer.W[target], x.reshape(-1)):
            found, R = relevances(layer, "numpy", name, parameters, x, np.float64)
            assert found.sum() == pytest.approx(R.sum(), rel=1e-6)
            asked += 1
        if asked == 4:
            return
    pytest.fail(f"of 100 layers in {asked} the rule had anybody to hand relevance to")


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


def test_a_name_that_is_taken_keeps_the_map_it_needs() -> None:
    with pytest.raises(ValueError, match="'pass' is registered twice"):
        rule("pass")(lambda op, R: [R])
    assert rule.needs("pass") is LocalMap
    assert rule.needs("softmax") is Softmax
    assert rule.needs("epsilon") is Linear
