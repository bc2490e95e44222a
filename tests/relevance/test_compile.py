"""The reverse walk: what it merges, skips, refuses, and how batches are cut."""

import numpy as np
import onnx
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model, find_logits, load
from onnxunlearn.relevance import (
    START,
    Propagator,
    RelevanceGraph,
    compile_relevance,
    parse_composite,
    rule,
)
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import Linear
from tests.relevance.layers import model_of
from tests.sample_paths import SAMPLES

RNG = np.random.default_rng(11)
ENGINE = create_engine("onnxruntime")


def random(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def propagate(
    model: Model, composite: str, x: np.ndarray, tensors: list[str], size: int = 32
) -> dict[str, np.ndarray]:
    logits = find_logits(model)
    propagator = Propagator(model, logits, ENGINE, parse_composite(composite), tensors)
    parts = list(propagator.run({"x": x}, np.zeros(len(x), int), size))
    return {t: np.concatenate([p.relevance[t] for p in parts]) for t in tensors}


def conv_net(*between: onnx.NodeProto, weights: dict[str, np.ndarray], batch: int | str = "n") -> Model:
    """x [n, 2, 5, 5] → Conv(w) → z, the given nodes → y, → GlobalAveragePool → Flatten → Gemm → logits."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"], name="first conv", pads=[1] * 4),
        *between,
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"], name="head"),
    ]
    return model_of(nodes, {"x": [batch, 2, 5, 5]}, weights, "logits", [batch, 3])


def test_batch_normalization_is_merged() -> None:
    """Conv → BatchNormalization gives the relevance of the Conv with the merged weights."""
    w, head = random(4, 2, 3, 3), random(4, 3)
    scale, shift, mean, var = random(4), random(4), random(4), random(4) ** 2 + 0.1
    bn = helper.make_node("BatchNormalization", ["z", "scale", "shift", "mean", "var"], ["n"], epsilon=1e-3)
    relu = helper.make_node("Relu", ["n"], ["y"])
    statistics = {"scale": scale, "shift": shift, "mean": mean, "var": var}
    kept = conv_net(bn, relu, weights={"w": w, "head": head, **statistics})
    factor = scale / np.sqrt(var + 1e-3)
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["n"], pads=[1] * 4),
        helper.make_node("Relu", ["n"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
    ]
    weights = {"w": w * factor[:, None, None, None], "b": shift - mean * factor, "head": head}
    merged = model_of(nodes, {"x": ["n", 2, 5, 5]}, weights, "logits", ["n", 3])
    x = random(3, 2, 5, 5)
    for composite in ("epsilon", "zplus", "gamma", "alpha2beta1", "zbox", "wsquare"):
        ours, expected = (
            propagate(kept, composite, x, ["x", "z", "n"]),
            propagate(merged, composite, x, ["x", "n"]),
        )
        for name in ("x", "n"):
            np.testing.assert_allclose(ours[name], expected[name], atol=2e-4 * np.abs(expected[name]).max())
        np.testing.assert_array_equal(ours["z"], ours["n"])  # the merged normalisation passes relevance on


def test_batch_normalization_is_merged_into_a_transposed_convolution() -> None:
    """Two groups of inputs, each with outputs of its own."""
    w, b, head = random(4, 3, 2, 2), random(6), random(6, 3)
    scale, shift, mean, var = random(6), random(6), random(6), random(6) ** 2 + 0.1
    statistics = {"scale": scale, "shift": shift, "mean": mean, "var": var}
    end = [
        helper.make_node("Relu", ["n"], ["y"]),
        helper.make_node("GlobalAveragePool", ["y"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
    ]
    apart = [
        helper.make_node("ConvTranspose", ["x", "w", "b"], ["z"], group=2, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["z", *statistics], ["n"], epsilon=1e-3),
    ]
    factor = scale / np.sqrt(var + 1e-3)
    wide = w * np.repeat(factor.reshape(2, 3), 2, axis=0)[:, :, None, None]
    together = helper.make_node("ConvTranspose", ["x", "w", "b"], ["n"], group=2, strides=[2, 2])
    models = [
        model_of([*nodes, *end], {"x": ["n", 4, 3, 3]}, {**weights, "head": head}, "logits", ["n", 3])
        for nodes, weights in (
            (apart, {"w": w, "b": b, **statistics}),
            ([together], {"w": wide, "b": (b - mean) * factor + shift}),
        )
    ]
    x = random(3, 4, 3, 3)
    for composite in ("epsilon", "zplus", "gamma", "wsquare"):
        found, expected = (propagate(model, composite, x, ["x"])["x"] for model in models)
        np.testing.assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


def test_an_output_with_two_readers_is_not_merged() -> None:
    scale = helper.make_node("Mul", ["z", "factor"], ["scaled"])
    join = helper.make_node("Add", ["scaled", "z"], ["y"])
    model = conv_net(
        scale, join, weights={"w": random(4, 2, 3, 3), "head": random(4, 3), "factor": random(4, 1, 1)}
    )
    found = propagate(model, "epsilon", random(2, 2, 5, 5), ["z", "scaled", "y"])
    assert not np.allclose(found["z"], found["scaled"])
    # both of the sum's operands come from z, so all that reaches y is back together there
    np.testing.assert_allclose(found["z"].sum(), found["y"].sum(), rtol=1e-3)


def test_a_lone_batch_normalization_shares_by_its_own_weights() -> None:
    statistics = {"scale": random(2), "shift": random(2), "mean": random(2), "var": random(2) ** 2 + 0.1}
    nodes = [
        helper.make_node("BatchNormalization", ["x", *statistics], ["n"]),
        helper.make_node("Flatten", ["n"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head"], ["logits"]),
    ]
    model = model_of(nodes, {"x": ["n", 2, 5, 5]}, {**statistics, "head": random(50, 3)}, "logits", ["n", 3])
    x = random(2, 2, 5, 5)
    found = propagate(model, "epsilon", x, ["x", "n"])
    factor = (statistics["scale"] / np.sqrt(statistics["var"] + 1e-5))[:, None, None]
    shift = (statistics["shift"][:, None, None]) - statistics["mean"][:, None, None] * factor
    expected = x * factor * found["n"] / (x * factor + shift)
    np.testing.assert_allclose(found["x"], expected, atol=1e-3 * np.abs(expected).max())


def test_matmul_and_add_are_one_layer() -> None:
    """z⁺ of MatMul + Add equals z⁺ of the Gemm with that bias."""
    w, b, x = random(6, 3), random(3), random(4, 6)
    two = [helper.make_node("MatMul", ["x", "w"], ["p"]), helper.make_node("Add", ["p", "b"], ["logits"])]
    one = [helper.make_node("Gemm", ["x", "w", "b"], ["logits"])]
    found = [
        propagate(model_of(n, {"x": ["n", 6]}, {"w": w, "b": b}, "logits", ["n", 3]), "zplus", x, ["x"])["x"]
        for n in (two, one)
    ]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


@pytest.mark.parametrize("columns", [4, 3])
def test_a_scale_behind_a_weight_on_the_left_is_not_merged(columns: int) -> None:
    """Of W·x the last axis is one of x: W has no rows, or others, for what is scaled there."""
    w, v, x = random(5, 4), random(columns), random(2, 4, columns)
    nodes = [
        helper.make_node("MatMul", ["w", "x"], ["a"]),
        helper.make_node("Mul", ["a", "v"], ["s"]),
        helper.make_node("Flatten", ["s"], ["logits"]),
    ]
    model = model_of(nodes, {"x": ["n", 4, columns]}, {"w": w, "v": v}, "logits", ["n", 5 * columns])
    expected = np.zeros_like(x)
    expected[:, :, 0] = x[:, :, 0] * w[0] * v[0]  # what the first logit is the sum of
    found = propagate(model, "epsilon(epsilon=1e-9)", x, ["x"])["x"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def compiled(model: Model, composite: str, x: np.ndarray, tensors: list[str]) -> RelevanceGraph:
    propagator = Propagator(model, find_logits(model), ENGINE, parse_composite(composite), tensors)
    next(iter(propagator.run({"x": x}, np.zeros(len(x), int), len(x))))
    (prepared,) = propagator._prepared.values()
    return prepared.graph


def test_what_is_zero_is_not_computed() -> None:
    """Behind a ReLU z⁺ needs one forward and one backward Conv; behind x of any sign it needs two, where
    channels are few as one each."""
    relu = helper.make_node("Relu", ["z"], ["a"])
    second = helper.make_node("Conv", ["a", "w2"], ["y"], pads=[1] * 4)
    model = conv_net(
        relu, second, weights={"w": random(4, 2, 3, 3), "w2": random(4, 4, 3, 3), "head": random(4, 3)}
    )
    x = random(2, 2, 5, 5)

    def convolutions(tensors: list[str]) -> int:
        return sum(n.op_type == "Conv" for n in compiled(model, "zplus", x, tensors).model.graph.node)

    assert convolutions(["a"]) == 2
    assert convolutions(["x"]) == 2 + 2


def test_what_a_relu_left_is_divided_by() -> None:
    """Relevance at a ReLU's input is 0 wherever it cut off: what is behind it does, which is recorded anyway.
    Without an ε it does not: 0 by 0 is no number."""
    nodes = [
        helper.make_node("Relu", ["z"], ["a"]),
        helper.make_node("MaxPool", ["a"], ["y"], kernel_shape=[2, 2]),
    ]
    model = conv_net(*nodes, weights={"w": random(4, 2, 3, 3), "head": random(4, 3)})
    x = random(2, 2, 5, 5)
    assert "z" not in compiled(model, "epsilon", x, ["x"]).records
    assert "z" in compiled(model, "epsilon(epsilon=0)", x, ["x"]).records
    with_y, exact = (
        next(
            iter(
                Propagator(model, find_logits(model), ENGINE, parse_composite(name), ["x"]).run(
                    {"x": x}, np.zeros(len(x), int), len(x)
                )
            )
        ).relevance["x"]
        for name in ("epsilon", "epsilon(epsilon=0)")
    )
    np.testing.assert_allclose(with_y, exact, rtol=1e-2, atol=1e-4)


def test_records_only_what_is_used() -> None:
    """The gradient of linear layers needs no activation at all; epsilon needs inputs and outputs."""
    model = model_of(
        [helper.make_node("Gemm", ["x", "w"], ["logits"])],
        {"x": ["n", 6]},
        {"w": random(6, 3)},
        "logits",
        ["n", 3],
    )
    assert compiled(model, "gradient", random(2, 6), ["x"]).records == (START,)
    assert set(compiled(model, "epsilon", random(2, 6), ["x"]).records) == {"x", "logits", START}


def test_opset_and_ir_are_ours() -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["logits"])]
    weights = {"w": random(6, 3), "b": random(3)}
    model = model_of(nodes, {"x": ["n", 6]}, weights, "logits", ["n", 3], opset=9)
    graph = compiled(model, "epsilon", random(2, 6), ["x"]).model
    assert (graph.ir_version, graph.opset_import[0].version) == (8, 18)
    onnx.checker.check_model(graph)


def test_an_op_without_adjoint_is_named() -> None:
    sine = helper.make_node("Acosh", ["z"], ["y"], name="strange")
    model = conv_net(sine, weights={"w": random(4, 2, 3, 3), "head": random(4, 3)})
    with pytest.raises(UnsupportedError, match=r"'strange', op Acosh, opset 17"):
        propagate(model, "epsilon", random(1, 2, 5, 5), ["x"])
    # behind the obstacle there is no need to pass it
    assert propagate(model, "epsilon", random(1, 2, 5, 5), ["y"])["y"].shape == (1, 4, 5, 5)


def test_a_tensor_off_the_way_is_refused() -> None:
    side = helper.make_node("Relu", ["z"], ["side"])
    rest = helper.make_node("Tanh", ["z"], ["y"])
    model = conv_net(side, rest, weights={"w": random(4, 2, 3, 3), "head": random(4, 3)})
    shapes = {**dict.fromkeys(("z", "y", "side"), (1, 4, 5, 5)), "logits": (1, 3)}
    with pytest.raises(InputError, match="'side'"):
        compile_relevance(model, "logits", shapes, parse_composite("epsilon"), ["side"])


@pytest.mark.parametrize("size", [1, 3, 8])
def test_batches_do_not_matter(size: int) -> None:
    relu = helper.make_node("Relu", ["z"], ["y"])
    model = conv_net(relu, weights={"w": random(4, 2, 3, 3), "head": random(4, 3)})
    x = random(8, 2, 5, 5)
    expected = propagate(model, "epsilon_plus", x, ["x"], size=8)["x"]
    np.testing.assert_allclose(
        propagate(model, "epsilon_plus", x, ["x"], size)["x"], expected, rtol=1e-4, atol=1e-6
    )


def test_a_fixed_batch_is_honoured() -> None:
    relu = helper.make_node("Relu", ["z"], ["y"])
    weights = {"w": random(4, 2, 3, 3), "head": random(4, 3)}
    x = random(5, 2, 5, 5)
    free, fixed = conv_net(relu, weights=weights), conv_net(relu, weights=weights, batch=2)
    expected = propagate(free, "epsilon", x, ["x"])["x"]
    np.testing.assert_allclose(propagate(fixed, "epsilon", x, ["x"])["x"], expected, rtol=1e-4, atol=1e-6)


def test_relevance_of_several_readers_adds_up() -> None:
    """x goes into two layers whose outputs are summed: its relevance is the sum over both."""
    w1, w2, x = random(5, 3), random(5, 3), random(4, 5)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["a"]),
        helper.make_node("MatMul", ["x", "w2"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["logits"]),
    ]
    model = model_of(nodes, {"x": ["n", 5]}, {"w1": w1, "w2": w2}, "logits", ["n", 3])
    found = propagate(model, "epsilon(epsilon=0)", x, ["x"])["x"]
    np.testing.assert_allclose(found, x * (w1 + w2)[:, 0], rtol=1e-3, atol=1e-4)


def test_logits_may_have_trailing_axes() -> None:
    """[n, classes, 1, 1], as the heads of fully convolutional classifiers."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["z"]),
        helper.make_node("GlobalAveragePool", ["z"], ["logits"]),
    ]
    model = model_of(nodes, {"x": ["n", 2, 5, 5]}, {"w": random(3, 2, 1, 1)}, "logits", ["n", 3, 1, 1])
    assert find_logits(model) == Logits("logits", "logits", 3, None)
    x = random(2, 2, 5, 5)
    found = propagate(model, "epsilon", x, ["x", "logits"])
    assert found["logits"][:, 1:].any() == False  # noqa: E712
    np.testing.assert_allclose(found["x"].sum(axis=(1, 2, 3)), found["logits"][:, 0, 0, 0], rtol=1e-3)


def test_large_constants_are_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights beyond what a protobuf can hold are inputs of the relevance graph, with the same relevance."""
    model = load(SAMPLES / "mnist_cnn.onnx")
    logits, engine = find_logits(model), create_engine("onnxruntime")
    x = np.random.default_rng(0).normal(size=(3, 1, 28, 28)).astype(np.float32)

    def relevance(composite: str) -> tuple[np.ndarray, int]:
        propagator = Propagator(model, logits, engine, parse_composite(composite), ["x"])
        (batch,) = propagator.run({"x": x}, np.array([1, 2, 3]), 3)
        fed = propagator.compiled({"x": x}).fed
        assert all(array.flags.c_contiguous for array in fed.values())  # engines would copy them in every run
        return batch.relevance["x"], len(fed)

    for composite in ("epsilon_plus", "gradient"):
        expected, none = relevance(composite)
        with monkeypatch.context() as patched:
            patched.setattr("onnxunlearn.reverse.nodes.LARGE", 1000)
            found, some = relevance(composite)
        assert (none, some > 1) == (0, True)
        np.testing.assert_allclose(found, expected, atol=1e-7)


def test_a_rule_that_is_registered_by_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    def halves(op: Linear, R: Value) -> list[Value]:
        return [op.adjoint(op.w, R) * 0.5]

    monkeypatch.setitem(rule._entries, "halves", halves)
    w = random(4, 3)
    model = model_of(
        [helper.make_node("MatMul", ["x", "w"], ["logits"])], {"x": ["n", 4]}, {"w": w}, "logits", ["n", 3]
    )
    x = random(2, 4)
    found = propagate(model, "halves", x, ["x"])["x"]
    np.testing.assert_allclose(found, 0.5 * (x @ w)[:, :1] * w[:, 0], rtol=1e-5)
