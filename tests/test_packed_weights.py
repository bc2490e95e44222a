"""Attention nodes whose weights lie in one tensor: each third is a layer, edited in its own columns."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Edited, FileBytes, Model, find_layers, load
from onnxunlearn.inspection import inspect
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower

from .exact_integers import skip_if_inexact

RNG = np.random.default_rng(0)
TOKENS, WIDTH, SIZES = 5, 8, (8, 8, 4)


def floats(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def network(nodes: list[onnx.NodeProto], stored: dict[str, np.ndarray], width: int) -> onnx.ModelProto:
    """Attention `a` of x, its mean over tokens, three logits."""
    stored = {**stored, "head": floats(width, 3)}
    nodes = [
        *nodes,
        helper.make_node("ReduceMean", ["a"], ["m"], axes=[1], keepdims=0),
        helper.make_node("MatMul", ["m", "head"], ["y"], name="head"),
    ]
    make = helper.make_tensor_value_info
    x, y = make("x", TensorProto.FLOAT, ["N", TOKENS, WIDTH]), make("y", TensorProto.FLOAT, ["N", 3])
    tensors = [numpy_helper.from_array(value, name) for name, value in stored.items()]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    graph = helper.make_graph(nodes, "attention", [x], [y], tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=opsets)


def of_floats() -> onnx.ModelProto:
    node = helper.make_node(
        "Attention", ["x", "w", "b"], ["a"], "attend", domain="com.microsoft",
        num_heads=2, qkv_hidden_sizes=SIZES,
    )  # fmt: skip
    return network([node], {"w": floats(WIDTH, sum(SIZES)), "b": floats(sum(SIZES))}, SIZES[2])


def of_halves() -> onnx.ModelProto:
    nodes = [
        helper.make_node("Cast", ["x"], ["xh"], to=TensorProto.FLOAT16),
        helper.make_node(
            "Attention", ["xh", "w", "b"], ["ah"], "attend", domain="com.microsoft", num_heads=2
        ),
        helper.make_node("Cast", ["ah"], ["a"], to=TensorProto.FLOAT),
    ]
    stored = {"w": floats(WIDTH, 24).astype(np.float16), "b": floats(24).astype(np.float16)}
    return network(nodes, stored, WIDTH)


def of_integers(per_column: bool) -> onnx.ModelProto:
    inputs = ["xq", "w", "b", "sx", "sw", "", "zx", "zw"]
    columns = (24,) if per_column else ()
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "sx", "zx"], ["xq"]),
        helper.make_node("QAttention", inputs, ["a"], "attend", domain="com.microsoft", num_heads=2),
    ]
    stored = {
        "w": RNG.integers(-127, 128, (WIDTH, 24)).astype(np.int8),
        "b": floats(24),
        "sx": np.float32(0.05),
        "sw": np.asarray(RNG.uniform(0.005, 0.01, columns), np.float32),
        "zx": np.uint8(128),
        "zw": np.zeros(columns, np.int8),
    }
    return network(nodes, {name: np.asarray(value) for name, value in stored.items()}, WIDTH)


MODELS: dict[str, Callable[[], onnx.ModelProto]] = {
    "float": of_floats,
    "half": of_halves,
    "integers": lambda: of_integers(False),
    "integers by column": lambda: of_integers(True),
}
#: columns of the packed weight
ENDS = {kind: (0, *np.cumsum(SIZES if kind == "float" else (8, 8, 8))) for kind in MODELS}


def scores(model: onnx.ModelProto, x: np.ndarray, feeds: dict[str, np.ndarray] | None = None) -> np.ndarray:
    return create_engine().session(model).run({"x": x, **(feeds or {})})["y"]


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("third", range(3))
def test_an_edit_of_one_third_stays_in_its_columns(kind: str, third: int, tmp_path: Path) -> None:
    skip_if_inexact(kind)
    proto = MODELS[kind]()
    model = Model(FileBytes(proto.SerializeToString()), proto)
    seen = lower(model)
    layers = find_layers(seen)
    assert [la.name for la in layers] == ["attend (q)", "attend (k)", "attend (v)", "head"]
    layer, edits = layers[third], Edits(seen)
    assert layer.bias is not None and not layer.weight.shared and not layer.bias.shared  # noqa: PT018
    weight, bias = edits.weight(layer), edits.bias(layer)
    assert bias is not None
    weight[1], bias[1] = 0, 0.5
    edits.set_weight(layer, weight)
    edits.set_bias(layer, bias)
    out = tmp_path / "edited.onnx"
    (tmp_path / "model.onnx").write_bytes(model.data)
    Edited.of(load(tmp_path / "model.onnx"), edits.arrays).save(out)
    edited = load(out)
    for name in ("w", "b"):
        changed = np.flatnonzero(
            (model.array(name) != edited.array(name)).reshape(-1, ENDS[kind][-1]).any(axis=0)
        )
        assert set(changed) <= {ENDS[kind][third] + 1}
    assert (model.array("w") != edited.array("w")).any()
    found = diff(model, edited, seen)
    assert ({t.name for t in found.tensors}, found.others) == ({"w", "b"}, ())
    # What a trial feeds is what the file then says: but for what QAttention rounds.
    x, copy = floats(3, TOKENS, WIDTH), edits.applied()
    tolerance = 2e-2 if kind == "half" else 1e-3
    np.testing.assert_allclose(scores(copy.proto, x), scores(edited.proto, x), atol=tolerance)
    assert (scores(model.proto, x) != scores(edited.proto, x)).any()


def test_a_scale_that_grows_keeps_the_other_thirds() -> None:
    proto = of_integers(False)
    seen = lower(Model(FileBytes(proto.SerializeToString()), proto))
    layers, edits = find_layers(seen), Edits(seen)
    before = [edits.weight(la) for la in layers[:3]]
    weight = before[0] * 3
    edits.set_weight(layers[0], weight)
    step = float(edits.arrays["sw"])
    assert step > 1.5 * float(seen.origin.array("sw"))  # type: ignore[union-attr]
    for layer, wanted in zip(layers, [weight, *before[1:]], strict=False):
        assert np.abs(edits.weight(layer) - wanted).max() <= 0.51 * step


@pytest.mark.parametrize("kind", MODELS)
def test_such_models_forget(kind: str) -> None:
    model = MODELS[kind]().SerializeToString()
    assert inspect(model).weights_that_cannot_be_edited == ()
    x = np.concatenate([floats(20, TOKENS, WIDTH) + 2 * RNG.normal(size=(1, 1, WIDTH)) for _ in range(6)])
    result = unlearn(model, 1, {"x": x.astype(np.float32)}, method="erase", parameters={"steps": 20})
    layers = result.report["method"]["details"]["layers"]
    assert "attend (v)" in layers
    assert "attend (v)" in result.report["method"]["depth"]
    assert {t["name"] for t in result.report["changes"]["tensors"]} >= {"w", "head"}
