"""Patterns against their definition, restated over all patches at once."""

from typing import Any

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.relevance import Propagator, parse_composite
from tests.relevance.layers import flattened
from tests.relevance.linear_layers import LAYERS

RNG = np.random.default_rng(8)
KINDS = ["s", "s_plus_minus"]


def random(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def estimated(model: Model, x: np.ndarray, size: int = 4, engine: str = "onnxruntime") -> Propagator:
    logits = Logits("logits", "logits", 0, None)
    propagator = Propagator(model, logits, create_engine(engine), parse_composite("patternnet_s"), ["x"])
    propagator.estimate_patterns({"x": x}, size)
    return propagator


def restated(x: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    """x: [cells, inputs], w: [outputs, inputs]; one output at a time."""
    found: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for row in w.astype(np.float64):
        y = x @ row
        covariance = np.array([np.cov(x[:, i], y, bias=True)[0, 1] for i in range(x.shape[1])])
        found["s"].append(covariance / y.var())
        above = y > 0
        plus = (x[above] * y[above, None]).mean(axis=0) - x[above].mean(axis=0) * y.mean()
        found["s_plus_minus"].append(plus / (row @ plus))
    return {kind: np.array(rows) for kind, rows in found.items()}


@pytest.mark.parametrize("size", [3, 10])
def test_dense(size: int) -> None:
    x, w = random(10, 5), random(5, 4)
    model = flattened([helper.make_node("Gemm", ["x", "w"], ["y"])], x, {"w": w})
    (patterns,) = (estimated(model, x, size).patterns or {}).values()
    for kind, expected in restated(x.astype(np.float64), w.T).items():
        np.testing.assert_allclose(patterns[kind], expected.T, rtol=1e-6)
        np.testing.assert_allclose((w * patterns[kind]).sum(axis=0), 1, rtol=1e-6)  # wᵀa = 1


@pytest.mark.parametrize("group", [1, 2])
def test_conv(group: int) -> None:
    x, w = random(6, 4, 6, 7), random(6, 4 // group, 3, 2)
    attributes: dict[str, Any] = {
        "strides": [2, 1],
        "dilations": [1, 2],
        "pads": [1, 0, 0, 1],
        "group": group,
    }
    model = flattened([helper.make_node("Conv", ["x", "w"], ["y"], **attributes)], x, {"w": w})
    (patterns,) = (estimated(model, x).patterns or {}).values()
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (1, 0), (0, 1)])
    rows, columns = (padded.shape[2] - 3) // 2 + 1, padded.shape[3] - 2
    for output in range(6):
        first = output // (6 // group) * (4 // group)
        part = padded[:, first : first + 4 // group]
        cells = [
            part[:, :, 2 * i : 2 * i + 3, j : j + 3 : 2].reshape(6, -1)
            for i in range(rows)
            for j in range(columns)
        ]
        expected = restated(np.concatenate(cells), w[output].reshape(1, -1))
        for kind in KINDS:
            np.testing.assert_allclose(patterns[kind][output].reshape(1, -1), expected[kind], rtol=1e-6)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", KINDS)
def test_rules_are_the_gradient_walk_with_other_weights(kind: str, engine: str) -> None:
    x, w = random(10, 5), random(5, 4)
    relu = [helper.make_node("Gemm", ["x", "w"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    model = flattened(relu, x, {"w": w})
    patterns = restated(x.astype(np.float64), w.T)[kind].T
    for name, weights in (("patternnet", patterns), ("patternattribution", w * patterns)):
        logits = Logits("logits", "logits", 0, None)
        rules = parse_composite(f"{name}_{kind}")
        propagator = Propagator(model, logits, create_engine(engine), rules, ["x"])
        propagator.estimate_patterns({"x": x}, 4)
        (batch,) = propagator.run({"x": x}, np.full(10, 2), 10)
        signal = np.zeros((10, 4))
        signal[:, 2] = batch.logits[:, 2]  # ReLU: nothing where the output is 0, and there the seed is 0
        np.testing.assert_allclose(batch.relevance["x"], signal @ weights.T, rtol=1e-4, atol=1e-6)


def test_a_whole_network() -> None:
    """Convolutions, pooling and dense layers; engines agree."""
    model = load("sample_models/mnist_cnn.onnx")
    x = np.load("sample_models/mnist_probes.npz")["x"][:12]
    found = []
    for engine in ("onnxruntime", "numpy"):
        rules = parse_composite("patternattribution_s_plus_minus")
        propagator = Propagator(model, find_logits(model), create_engine(engine), rules, ["x"])
        propagator.estimate_patterns({"x": x}, 5)
        (batch,) = propagator.run({"x": x}, np.arange(12) % 10, 12)
        found.append(batch.relevance["x"])
    assert np.isfinite(found[0]).all()
    # a cell whose y is 0 to rounding counts as positive on one engine only: not equal, but nearly
    assert np.corrcoef(found[0].reshape(-1), found[1].reshape(-1))[0, 1] > 0.999


@pytest.mark.parametrize("kind", ["ConvTranspose, 2D", "Einsum", "MatMul, weight first"])
def test_other_linear_ops_are_refused_by_name(kind: str) -> None:
    layer = LAYERS[kind](np.random.default_rng(0), False)
    with pytest.raises(UnsupportedError, match=rf"op {kind.split(',')[0]}.*patterns"):
        estimated(layer.model, random(4, *layer.shape))


def test_patterns_must_be_estimated_first() -> None:
    x = random(2, 5)
    model = flattened([helper.make_node("Gemm", ["x", "w"], ["y"])], x, {"w": random(5, 4)})
    logits = Logits("logits", "logits", 0, None)
    propagator = Propagator(model, logits, create_engine("numpy"), parse_composite("patternnet_s"), ["x"])
    with pytest.raises(InputError, match="estimated from probes"):
        next(propagator.run({"x": x}, np.array([0, 0]), 2))
