"""Layers: however a file stores a weight, one canonical layout, and the truth about who else reads it."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnxunlearn.graph import Layer, Model, StoredTensor, find_layers, load, patch, stored_tensor

from .layouts import Weight, weights
from .models import SAMPLES, build, dense, loaded, numbers, run, tensor, value


def layer_model(
    op: str,
    weight: Weight,
    x: Sequence[int | str],
    *,
    behind: Sequence[onnx.NodeProto] = (),
    constants: Sequence[onnx.TensorProto] = (),
    more_inputs: Sequence[str] = (),
    **attributes: Any,
) -> Model:
    """One layer called `layer` that reads `weight`; its output is h, the graph's is y."""
    nodes = [
        *weight.nodes,
        helper.make_node(op, ["x", weight.last, *more_inputs], ["h"], name="layer", **attributes),
        *(behind or [helper.make_node("Identity", ["h"], ["y"])]),
    ]
    rank = 4 if op == "Conv" else len(x)
    return loaded(
        build(
            nodes,
            [value("x", x)],
            [value("y", [None] * rank)],
            [*weight.initializers, *constants],
            opset=weight.opset,
        )
    )


def only_layer(model: Model) -> Layer:
    (layer,) = find_layers(model)
    return layer


def seen(model: Model, stored: StoredTensor | None) -> np.ndarray:
    assert stored is not None
    return stored.view(model.array(stored.name))


ROWS = numbers(3, 4)  # three neurons of four inputs each, as a layer shows them
KERNEL = numbers(3, 2, 2, 2)

CHAINS: dict[str, Callable[[], Weight]] = {
    "initializer": lambda: Weight(ROWS.T),
    "constant": lambda: Weight(ROWS.T, as_constant=True),
    "identity": lambda: Weight(ROWS.T).identity().identity(),
    "transpose": lambda: Weight(ROWS).transpose(1, 0),
    "transpose of a constant": lambda: Weight(ROWS, as_constant=True).transpose(1, 0),
    "reshape": lambda: Weight(ROWS.T.reshape(-1)).reshape(4, -1),
    "reshape with zeros": lambda: Weight(ROWS.T.reshape(4, 3, 1)).reshape(0, 3),
    "cast": lambda: Weight(ROWS.T.astype(np.float16)).cast(np.float32),
    "cast down": lambda: Weight(ROWS.T.astype(np.float64)).cast(np.float32),
    "squeeze": lambda: Weight(ROWS.T[:, None]).squeeze(1),
    "unsqueeze": lambda: Weight(ROWS.T.reshape(-1)).unsqueeze(0).reshape(4, 3),
    "flatten": lambda: Weight(ROWS.T.reshape(2, 2, 3)).flatten(2),
    "many": lambda: Weight(ROWS.astype(np.float16)[None]).squeeze(0).cast(np.float32).transpose(1, 0),
    "attributes of old opsets": lambda: Weight(ROWS[None], opset=11).squeeze(0).transpose(1, 0),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_every_way_to_store_a_weight_shows_outputs_by_inputs(op: str, name: str) -> None:
    model = layer_model(op, CHAINS[name](), ["N", 4])
    layer = only_layer(model)
    np.testing.assert_array_equal(seen(model, layer.weight), ROWS)
    assert layer.weight.name == "stored"
    assert not layer.weight.shared
    assert (layer.name, layer.input, layer.neurons, layer.axis, layer.dense) == ("layer", "x", 3, -1, True)
    assert layer.output == "h"
    assert layer.bias is None


def test_gemm_with_a_transposed_weight() -> None:
    model = layer_model("Gemm", Weight(ROWS), ["N", 4], transB=1)
    np.testing.assert_array_equal(seen(model, only_layer(model).weight), ROWS)
    model = layer_model("Gemm", Weight(ROWS.T).transpose(1, 0), ["N", 4], transB=1)
    np.testing.assert_array_equal(seen(model, only_layer(model).weight), ROWS)


@pytest.mark.parametrize(
    "weight",
    [
        Weight(KERNEL),
        Weight(KERNEL, as_constant=True),
        Weight(KERNEL.transpose(2, 3, 1, 0)).transpose(3, 2, 0, 1),  # as TensorFlow stores it
        Weight(KERNEL.reshape(3, 8)).reshape(0, 2, 2, -1),
    ],
    ids=str,
)
def test_conv(weight: Weight) -> None:
    model = layer_model("Conv", weight, ["N", 2, 5, 5])
    layer = only_layer(model)
    np.testing.assert_array_equal(seen(model, layer.weight), KERNEL)
    assert (layer.neurons, layer.axis, layer.dense) == (3, 1, False)


def test_grouped_conv_shows_the_inputs_of_a_group() -> None:
    model = layer_model("Conv", Weight(numbers(4, 1, 3, 3)), ["N", 4, 5, 5], group=4)
    layer = only_layer(model)
    assert layer.weight.shape == (4, 1, 3, 3)
    assert layer.neurons == 4


def test_float16_is_seen_as_float32_and_double_as_double() -> None:
    half = StoredTensor("w", (2,))
    assert half.view(np.ones(2, np.float16)).dtype == np.float32
    assert half.view(np.ones(2, np.float64)).dtype == np.float64


BIAS = numbers(3, seed=1)


@pytest.mark.parametrize(
    ("op", "attributes", "x", "stored"),
    [
        ("Gemm", {}, ["N", 4], BIAS),
        ("Gemm", {"transB": 1}, ["N", 4], BIAS),
        ("Gemm", {}, ["N", 4], BIAS[None]),
        ("Conv", {}, ["N", 2, 5, 5], BIAS),
    ],
)
def test_a_nodes_own_bias(
    op: str, attributes: dict[str, Any], x: list[int | str], stored: np.ndarray
) -> None:
    values = KERNEL if op == "Conv" else ROWS if attributes else ROWS.T
    model = layer_model(
        op, Weight(values), x, constants=[tensor("b", stored)], more_inputs=["b"], **attributes
    )
    layer = only_layer(model)
    np.testing.assert_array_equal(seen(model, layer.bias), BIAS)
    assert layer.output == "h"


@pytest.mark.parametrize(
    ("op", "x", "shape"),
    [
        ("MatMul", ["N", 4], (3,)),
        ("MatMul", ["N", 4], (1, 3)),
        ("MatMul", ["N", 7, 4], (1, 1, 3)),
        ("Gemm", ["N", 4], (3,)),
        ("Conv", ["N", 2, 5, 5], (3, 1, 1)),
        ("Conv", ["N", 2, 5, 5], (1, 3, 1, 1)),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_the_bias_in_an_add(op: str, x: list[int | str], shape: tuple[int, ...], first: bool) -> None:
    add = helper.make_node("Add", ["b", "h"] if first else ["h", "b"], ["y"])
    weight = Weight(KERNEL if op == "Conv" else ROWS.T)
    model = layer_model(op, weight, x, behind=[add], constants=[tensor("b", BIAS.reshape(shape))])
    layer = only_layer(model)
    np.testing.assert_array_equal(seen(model, layer.bias), BIAS)
    assert layer.output == "y"


def test_the_bias_in_an_add_behind_layout_ops() -> None:
    bias = Weight(BIAS, name="b").reshape(1, 3, 1).unsqueeze(3)
    add = helper.make_node("Add", ["h", bias.last], ["y"])
    model = layer_model(
        "Conv", Weight(KERNEL), ["N", 2, 5, 5], behind=[*bias.nodes, add], constants=bias.initializers
    )
    layer = only_layer(model)
    assert layer.bias is not None
    assert layer.bias.name == "b"
    np.testing.assert_array_equal(seen(model, layer.bias), BIAS)


@pytest.mark.parametrize(
    ("op", "x", "shape"),
    [
        ("MatMul", ["N", 4], ()),
        ("MatMul", [3, 4], (3, 1)),
        ("MatMul", [3, 4], (3, 3)),
        ("Conv", ["N", 2, 4, 4], (3,)),
        ("Conv", ["N", 2, 4, 4], (3, 1)),
        ("Conv", [3, 2, 4, 4], (3, 1, 1, 1)),
    ],
)
def test_a_constant_that_is_not_one_number_a_neuron_is_no_bias(
    op: str, x: list[int | str], shape: tuple[int, ...]
) -> None:
    add = helper.make_node("Add", ["h", "b"], ["y"])
    weight = Weight(KERNEL if op == "Conv" else ROWS.T)
    model = layer_model(op, weight, x, behind=[add], constants=[tensor("b", numbers(*shape))])
    layer = only_layer(model)
    assert layer.bias is None
    assert layer.output == "h"


def test_one_number_for_each_sample_is_no_bias_of_a_gemm() -> None:
    """Three samples, three neurons: only the axis tells."""
    model = layer_model(
        "Gemm", Weight(ROWS.T), [3, 4], constants=[tensor("b", numbers(3, 1))], more_inputs=["b"]
    )
    assert only_layer(model).bias is None


def test_an_add_with_another_reader_before_it_is_no_bias() -> None:
    behind = [helper.make_node("Add", ["h", "b"], ["s"]), helper.make_node("Mul", ["s", "h"], ["y"])]
    model = layer_model("MatMul", Weight(ROWS.T), ["N", 4], behind=behind, constants=[tensor("b", BIAS)])
    layer = only_layer(model)
    assert layer.bias is None
    assert layer.output == "h"


def test_adding_an_activation_is_no_bias() -> None:
    model = layer_model(
        "MatMul", Weight(ROWS.T), ["N", 4], behind=[helper.make_node("Add", ["h", "h"], ["y"])]
    )
    assert only_layer(model).bias is None


def two_readers(first: Sequence[onnx.NodeProto], second: Sequence[onnx.NodeProto]) -> Model:
    """Two square layers on the same initializer w."""
    nodes = [
        *first,
        *second,
        helper.make_node("MatMul", ["x", first[-1].output[0] if first else "w"], ["h"], name="one"),
        helper.make_node("MatMul", ["h", second[-1].output[0] if second else "w"], ["y"], name="two"),
    ]
    return loaded(build(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], [tensor("w", numbers(4, 4))]))


COPY = [helper.make_node("Identity", ["w"], ["copy"])]
FLIPPED = [helper.make_node("Transpose", ["w"], ["flipped"], perm=[1, 0])]


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([], COPY), (COPY, []), (FLIPPED, COPY), ([], FLIPPED)]
)
def test_shared_weights(first: list[onnx.NodeProto], second: list[onnx.NodeProto]) -> None:
    for layer in find_layers(two_readers(first, second)):
        assert layer.weight.name == "w"
        assert layer.weight.shared
        assert sorted(n.name for n in layer.weight.readers) == ["one", "two"]


@pytest.mark.parametrize("op", ["Shape", "Size"])
def test_who_asks_for_a_weights_shape_does_not_share_it(op: str) -> None:
    proto = dense(tensor("w", numbers(4, 3)))
    proto.graph.node.append(helper.make_node(op, ["w"], ["asked"]))
    (layer,) = find_layers(loaded(proto))
    assert not layer.weight.shared


def test_one_copy_read_by_two_is_shared() -> None:
    nodes = [
        *COPY,
        helper.make_node("MatMul", ["x", "copy"], ["h"]),
        helper.make_node("MatMul", ["h", "copy"], ["y"]),
    ]
    model = loaded(build(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], [tensor("w", numbers(4, 4))]))
    assert [layer.weight.shared for layer in find_layers(model)] == [True, True]


def test_a_weight_that_a_subgraph_reads_too_is_shared() -> None:
    def branch(name: str, operand: str) -> onnx.GraphProto:
        node = helper.make_node("MatMul", ["h", operand], [name])
        return helper.make_graph([node], name, [], [value(name, None)])

    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"], name="one"),
        helper.make_node(
            "If", ["c"], ["y"], name="if", then_branch=branch("a", "w"), else_branch=branch("b", "v")
        ),
    ]
    initializers = [tensor(name, numbers(4, 4)) for name in "wv"]
    inputs = [value("x", ["N", 4]), value("c", [], TensorProto.BOOL)]
    layer = only_layer(loaded(build(nodes, inputs, [value("y", ["N", 4])], initializers)))
    assert [n.name for n in layer.weight.readers] == ["one", "if"]


def test_a_shared_bias_in_a_sample_model() -> None:
    model = load(SAMPLES / "mnist_resnet.onnx")
    copies = [n for n in model.nodes if n.op == "Identity" and n.inputs[0] in model.initializers]
    assert copies, "the sample must really share tensors, or this test shows nothing"
    for node in copies:
        found = stored_tensor(model, node.outputs[0])
        assert found is not None
        assert found.name == node.inputs[0]
        assert found.shared


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "dims"),
    [
        ("MatMul", ["x", "x"], {}, [4, 4]),  # attention: no weight
        ("MatMul", ["w", "x"], {}, [4, 4]),  # the weight on the left
        ("MatMul", ["x", "cube"], {}, [4, 4]),  # a weight for each of a batch
        ("Gemm", ["x", "w"], {"transA": 1}, [4, 4]),
        ("MatMul", ["x", "scaled"], {}, [4, 4]),  # computed, so not stored
        ("MatMul", ["x", "looked up"], {}, [4, 4]),  # not every stored element used once
        ("MatMul", ["x", "w of x"], {}, [4, 4]),  # depends on the input
    ],
)
def test_what_is_no_layer(
    op: str, inputs: list[str], attributes: dict[str, Any], dims: list[int | str]
) -> None:
    nodes = [
        helper.make_node("Mul", ["w", "w"], ["scaled"]),
        helper.make_node("Gather", ["w", "indices"], ["looked up"]),
        helper.make_node("Shape", ["x"], ["sizes"]),
        helper.make_node("Reshape", ["w", "sizes"], ["w of x"]),
        helper.make_node(op, inputs, ["y"], **attributes),
    ]
    constants = [
        tensor("w", numbers(4, 4)),
        tensor("cube", numbers(2, 4, 4)),
        tensor("indices", np.array([0, 0, 1, 2])),
    ]
    rank = 3 if "cube" in inputs else 2
    model = loaded(build(nodes, [value("x", dims)], [value("y", [None] * rank)], constants))
    assert find_layers(model) == []


def test_a_bias_in_a_shape_that_depends_on_the_input() -> None:
    behind = [
        helper.make_node("Shape", ["h"], ["sizes"]),
        helper.make_node("Reshape", ["b", "sizes"], ["bias"]),
        helper.make_node("Add", ["h", "bias"], ["y"]),
    ]
    model = layer_model("MatMul", Weight(ROWS.T), [1, 4], behind=behind, constants=[tensor("b", BIAS)])
    assert only_layer(model).bias is None
    assert stored_tensor(model, "bias") is None


def test_layers_of_sample_models() -> None:
    cnn = find_layers(load(SAMPLES / "mnist_cnn.onnx"))
    shapes = [layer.weight.shape for layer in cnn]
    assert shapes == [(16, 1, 3, 3), (32, 16, 3, 3), (64, 1568), (10, 64)]
    assert all(layer.bias is not None and layer.bias.positions.shape == (layer.neurons,) for layer in cnn)
    mobile = find_layers(load(SAMPLES / "fashion_mobile.onnx"))
    assert mobile[-1].weight.shape[0] == 10
    assert any(layer.node.attribute("group", 1) > 1 for layer in mobile)


SEEN = {"MatMul": (4, 3), "Gemm": (4, 3), "Gemm transB": (3, 4), "Conv": (3, 2, 2, 2)}


@given(st.sampled_from(sorted(SEEN)), st.data())
def test_an_edit_through_any_chain_is_the_model_with_that_weight(kind: str, data: st.DataObject) -> None:
    weight = data.draw(weights(SEEN[kind], [np.float16, np.float32, np.float64]))
    op = kind.split()[0]
    attributes: dict[str, Any] = {"transB": 1} if "transB" in kind else {}
    x = numbers(*((2, 2, 4, 4) if op == "Conv" else (2, 4)))
    model = layer_model(op, weight, x.shape, **attributes)
    layer = only_layer(model)
    stored = model.array(layer.weight.name)

    wanted = numbers(*layer.weight.shape, seed=data.draw(st.integers(0, 9)))
    changed = layer.weight.write(stored, wanted)
    assert changed.dtype == stored.dtype
    np.testing.assert_array_equal(layer.weight.view(changed), wanted)
    patched = bytes(patch(model, {layer.weight.name: changed}))

    plain = layer_model(op, Weight(wanted if op == "Conv" or attributes else wanted.T), x.shape, **attributes)
    np.testing.assert_array_equal(run(patched, {"x": x})[0], run(plain.proto, {"x": x})[0])


@given(st.data())
def test_an_edit_of_some_elements_leaves_the_others(data: st.DataObject) -> None:
    weight = data.draw(weights((4, 3)))
    model = layer_model("MatMul", weight, [2, 4])
    layer = only_layer(model)
    stored = model.array("stored")
    rows = layer.weight.view(stored)
    rows[data.draw(st.integers(0, 2))] = -1
    changed = layer.weight.write(stored, rows)
    assert (changed != stored).sum() == 4
    np.testing.assert_array_equal(layer.weight.view(changed), rows)
