"""Gradients with respect to weights, against torch's autograd."""

from typing import Any

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.engines.torch import import_model
from onnxunlearn.graph import FileBytes, Model, expose, find_layers, find_logits, load
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.lowering import lower
from onnxunlearn.reverse.differentiate import Differentiator
from tests.sample_paths import SAMPLES

ENGINES = ("onnxruntime", "torch", "numpy")


def one_layer(op: str, x: tuple[int, ...], w: tuple[int, ...], bias: int | None, **attributes: Any) -> Model:
    """y = op(Relu(x), w, b), then Relu, so that a signal comes through something."""
    rng = np.random.default_rng(0)
    stored = [numpy_helper.from_array(rng.normal(size=w).astype(np.float32), "w")]
    if bias is not None:
        stored.append(numpy_helper.from_array(rng.normal(size=(bias,)).astype(np.float32), "b"))
    operands = ["h", "w"] + ["b"] * (bias is not None and op != "MatMul")
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node(op, operands, ["z"], name="layer", **attributes),
    ]
    if bias is not None and op == "MatMul":
        nodes.append(helper.make_node("Add", ["z", "b"], ["zb"]))
    nodes.append(helper.make_node("Relu", [nodes[-1].output[0]], ["y"]))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, *x[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return Model(FileBytes(proto.SerializeToString()), proto)


CASES = [
    ("Conv", (3, 2, 7, 6), (4, 2, 3, 3), 4, {"pads": [1, 1, 1, 1]}),
    ("Conv", (3, 2, 7, 6), (4, 2, 3, 2), None, {"strides": [2, 3], "pads": [0, 1, 2, 1]}),
    ("Conv", (3, 9, 8, 8), (4, 9, 3, 3), 4, {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("Conv", (3, 9, 8, 7), (4, 9, 2, 3), 4, {"dilations": [2, 1]}),
    ("Conv", (3, 9, 5, 5), (4, 9, 1, 1), 4, {}),
    ("Conv", (3, 4, 7, 7), (4, 1, 3, 3), 4, {"group": 4, "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ("Conv", (3, 6, 7, 7), (4, 3, 3, 3), None, {"group": 2, "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ("Conv", (3, 2, 9), (4, 2, 3), 4, {"pads": [2, 0]}),
    ("Conv", (2, 2, 4, 5, 6), (3, 2, 2, 2, 2), 3, {"strides": [1, 2, 1]}),
    ("Gemm", (5, 7), (4, 7), 4, {"transB": 1}),
    ("Gemm", (5, 7), (7, 4), 4, {"alpha": 0.5, "beta": 2.0}),
    ("MatMul", (5, 7), (7, 4), None, {}),
    ("MatMul", (5, 3, 7), (7, 4), 4, {}),
]


def gradients_of(model: Model, targets: list[str], x: np.ndarray, engine: str, but: str | None = None) -> Any:
    """Of the products of the targets with random signals: gradients by layer, and a module with torch's."""
    layers = [la for la in find_layers(model, EVERY_KIND) if not la.weight.shared and la.output != but]
    network = Differentiator(
        tail_of(model, layers, targets, shape_arithmetic(model)), targets, create_engine(engine)
    )
    name = model.inputs[0].name
    batch = {name: x}
    if inner := [n for n in network.tail.boundary if n != name]:
        runner = create_engine("onnxruntime").session(expose(model, inner))
        batch = {**runner.run(batch), **batch}
    batch = {n: batch[n] for n in network.tail.boundary}
    edits = Edits(model)
    recorded = network.record(batch, {la.name: (edits.weight(la), edits.bias(la)) for la in layers})
    rng = np.random.default_rng(1)
    signals = {t: rng.normal(size=recorded[t].shape).astype(np.float32) for t in targets}
    found = network.gradients(batch, recorded, signals)
    module = import_model(model.proto)
    made = module.run({name: torch.from_numpy(x)}, targets)
    sum((made[t] * torch.from_numpy(signals[t])).sum() for t in targets).backward()  # type: ignore[union-attr]
    return layers, found, module


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("op", "x", "w", "bias", "attributes"), CASES)
def test_gradient_of_one_layer(
    op: str, x: tuple[int, ...], w: tuple[int, ...], bias: int | None, attributes: Any, engine: str
) -> None:
    model = one_layer(op, x, w, bias, **attributes)
    inputs = np.random.default_rng(2).normal(size=x).astype(np.float32)
    (layer,), found, module = gradients_of(model, ["y"], inputs, engine)
    weight, of_bias = found[layer.name]
    expected = module.get_parameter("w").grad.numpy().reshape(-1)[layer.weight.positions]
    np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    assert (of_bias is None) == (bias is None)
    if of_bias is not None:
        expected = module.get_parameter("b").grad.numpy()
        np.testing.assert_allclose(of_bias, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def one_node(
    op: str,
    x: tuple[int, ...],
    constants: dict[str, tuple[int, ...]],
    operands: str = "h w b",
    outputs: str = "z",
    opset: int = 17,
    **attributes: Any,
) -> Model:
    """y = Relu(op(Relu(x), …)) with constants of these shapes; operands and outputs by name, - for none."""
    rng = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(rng.normal(size=shape).astype(np.float32), name)
        for name, shape in constants.items()
    ]
    inputs, made = (names.replace("-", "").split(" ") for names in (operands, outputs))
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node(op, inputs, made, name="layer", **attributes),
        helper.make_node("Relu", [next(filter(None, made))], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, *x[1:]])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        stored,
    )
    opsets = [helper.make_opsetid("", opset)]
    proto = helper.make_model(graph, opset_imports=opsets, ir_version=8 if opset < 20 else 10)
    return Model(FileBytes(proto.SerializeToString()), proto)


CELL = {"LSTM": 4, "GRU": 3, "RNN": 1}


def cell(op: str, outputs: str = "z", late: int = 0, **attributes: Any) -> Any:
    """Three steps of two samples with four inputs; five hidden units."""
    directions = 2 if attributes.get("direction") == "bidirectional" else 1
    stacked = CELL[op] * 5
    constants = {
        "w": (directions, stacked, 4),
        "r": (directions, stacked, 5),
        "b": (directions, 2 * stacked),
        "s": (directions, 2, 5),
    }
    if late:
        attributes["linear_before_reset"] = 1
    return op, (3, 2, 4), constants, "h w r b - s", outputs, 17, {"hidden_size": 5, **attributes}


IMAGE = (2, 6, 5, 4)
#: op, shape of x, shapes of the constants, operands, outputs, opset, attributes
OTHERS = [
    ("ConvTranspose", IMAGE, {"w": (6, 3, 3, 2), "b": (3,)}, "h w b", "z", 17, {"strides": [2, 1]}),
    (
        "ConvTranspose",
        IMAGE,
        {"w": (6, 2, 3, 3)},
        "h w",
        "z",
        17,
        {"group": 3, "strides": [2, 2], "pads": [1, 0, 1, 1], "output_padding": [1, 0], "dilations": [1, 2]},
    ),
    ("ConvTranspose", (2, 3, 7), {"w": (3, 4, 3), "b": (4,)}, "h w b", "z", 17, {}),
    ("LayerNormalization", (2, 3, 5), {"w": (5,), "b": (5,)}, "h w b", "z", 17, {"epsilon": 1e-3}),
    ("LayerNormalization", (2, 3, 5), {"w": (5,)}, "h w", "z", 17, {}),
    ("RMSNormalization", (2, 3, 5), {"w": (5,)}, "h w", "z", 23, {}),
    ("InstanceNormalization", IMAGE, {"w": (6,), "b": (6,)}, "h w b", "z", 17, {}),
    ("GroupNormalization", IMAGE, {"w": (6,), "b": (6,)}, "h w b", "z", 21, {"num_groups": 2}),
    ("BatchNormalization", IMAGE, {"w": (6,), "b": (6,), "m": (6,), "v": (6,)}, "h w b m v", "z", 17, {}),
    ("Mul", (2, 3, 5), {"w": (5,)}, "h w", "z", 17, {}),
    ("Mul", IMAGE, {"w": (1, 6, 1, 1)}, "w h", "z", 17, {}),
    *(cell(op) for op in CELL),
    *(cell(op, outputs="- z") for op in CELL),
    cell("LSTM", direction="bidirectional"),
    cell("LSTM", direction="reverse", input_forget=1),
    cell("GRU", late=1, direction="bidirectional"),
]


def named(case: Any) -> str:
    return f"{case[0]} {case[3]} {case[4]} {case[6]}"


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("case", OTHERS, ids=named)
def test_gradient_of_every_kind_of_layer(case: Any, engine: str) -> None:
    op, shape, constants, operands, outputs, opset, attributes = case
    model = one_node(op, shape, constants, operands, outputs, opset, **attributes)
    if op == "BatchNormalization":
        variance = model.initializers["v"]
        variance.CopyFrom(numpy_helper.from_array(np.abs(numpy_helper.to_array(variance)) + 0.1, "v"))
    x = np.random.default_rng(2).normal(size=shape).astype(np.float32)
    layers, found, module = gradients_of(model, ["y"], x, engine)
    expected_layers = [name for name in "wrb" if name in constants] if op in CELL else ["w"]
    assert [layer.weight.name for layer in layers] == expected_layers
    for layer in layers:
        weight, of_bias = found[layer.name]
        for gradient, tensor in ((weight, layer.weight), (of_bias, layer.bias)):
            assert (gradient is None) == (tensor is None)
            if tensor is not None:
                expected = module.get_parameter(tensor.name).grad.numpy().reshape(-1)[tensor.positions]
                np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_resnet", "fashion_mobile"])
def test_gradient_of_sample_models(name: str) -> None:
    """Every layer at once, from the logits and the head's input together."""
    model = lower(load(SAMPLES / f"{name}.onnx"))
    logits = find_logits(model).tensor
    head = next(la for la in find_layers(model) if la.output == logits)
    x = np.load(SAMPLES / f"{name.partition('_')[0]}_probes.npz")["x"][::20]
    layers, found, module = gradients_of(model, [logits, head.input], x, "onnxruntime")
    parameters = module.initializer_paths
    for layer in layers:
        grad = module.get_parameter(parameters[layer.weight.name]).grad
        assert grad is not None
        expected = grad.numpy().reshape(-1)[layer.weight.positions]
        error = np.abs(found[layer.name][0] - expected).max()
        assert error <= 5e-3 * np.abs(expected).max(), layer.name


def test_tail_gives_what_the_whole_model_gives() -> None:
    model = lower(load(SAMPLES / "mnist_resnet.onnx"))
    logits = find_logits(model).tensor
    layers = find_layers(model)[-4:]
    tail = tail_of(model, layers, [logits], shape_arithmetic(model))
    assert len(tail.nodes) < len(model.nodes)
    engine = create_engine("onnxruntime")
    x = {model.inputs[0].name: np.load(SAMPLES / "mnist_probes.npz")["x"][:7]}
    whole = engine.session(expose(model, [*tail.boundary, logits])).run(x)
    edits = Edits(model)
    feeds = tail.feeds({la.name: (edits.weight(la), edits.bias(la)) for la in layers})
    batch = {name: whole[name] for name in tail.boundary}
    alone = engine.session(expose(tail.as_model(batch), [logits])).run({**batch, **feeds})
    np.testing.assert_allclose(alone[logits], whole[logits], rtol=1e-5, atol=1e-5)
    onnx.checker.check_model(tail.as_model(batch).proto)


def test_large_constants_are_fed_to_the_gradient_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    """As to a relevance graph: a protobuf holds no more than 2 GB."""
    model = lower(load(SAMPLES / "mnist_mlp.onnx"))
    inner = next(la for la in find_layers(model) if la.output == find_logits(model).tensor).input
    x = np.load(SAMPLES / "mnist_probes.npz")["x"][::40]
    logits = find_logits(model).tensor
    expected = gradients_of(model, [logits, inner], x, "onnxruntime", but=logits)[1]
    monkeypatch.setattr("onnxunlearn.reverse.nodes.LARGE", 64)
    found = gradients_of(model, [logits, inner], x, "onnxruntime", but=logits)[1]
    for name, (weight, _) in expected.items():
        np.testing.assert_array_equal(found[name][0], weight)
