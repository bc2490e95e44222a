"""Embeddings, scales, transposed convolutions and recurrent weights: a row is what a neuron reads."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import FileBytes, Layer, Model, find_layers, patch
from onnxunlearn.graph.layers import EVERY_KIND, Arrangement
from tests.reverse.test_weight_gradients import CELL, OTHERS, named, one_node

RNG = np.random.default_rng(4)


def model_of(text: str) -> Model:
    """Tensors without values get some."""
    proto = parser.parse_model(text)
    for info in proto.graph.value_info:
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        values = RNG.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, info.name))
    del proto.graph.value_info[:]
    return Model(FileBytes(proto.SerializeToString()), proto)


def assert_rows_are_neurons(model: Model, x: np.ndarray, layer: Layer) -> None:
    """A changed row changes the channel of its neuron, and no other; in the file, too."""
    session = create_engine("onnxruntime").session(model.proto)
    before = session.run({"x": x})["y"]
    neuron = layer.neurons - 1
    edits = Edits(model)
    weight = edits.weight(layer)
    assert weight.shape == layer.weight.shape
    if layer.node.kind == "GRU" and not layer.node.attribute("linear_before_reset"):
        weight[neuron, :, 0::3] += 1.5  # its reset gate stands before what the other units recall
    else:
        weight[neuron] += 1.5
    edits.set_weight(layer, weight)
    np.testing.assert_array_equal(edits.weight(layer), weight)
    after = create_engine("onnxruntime").session(edits.applied().proto).run({"x": x})["y"]
    changed = np.moveaxis(before != after, layer.axis, -1)
    channel = neuron % changed.shape[-1]
    assert changed[..., channel].any()
    assert not np.delete(changed, channel, axis=-1).any()
    if model.data:
        patched = onnx.load_model_from_string(bytes(patch(model, edits.arrays)))
        np.testing.assert_array_equal(create_engine("onnxruntime").session(patched).run({"x": x})["y"], after)


@pytest.mark.parametrize("case", OTHERS, ids=named)
def test_a_row_is_what_a_neuron_reads(case: Any) -> None:
    op, shape, constants, operands, outputs, opset, attributes = case
    model = one_node(op, shape, constants, operands, outputs, opset, **attributes)
    for name, tensor in model.initializers.items():  # nothing is negative: Relu hides no change
        tensor.CopyFrom(numpy_helper.from_array(np.abs(numpy_helper.to_array(tensor)), name))
    model = Model(FileBytes(model.proto.SerializeToString()), model.proto)
    x = np.abs(RNG.normal(size=shape)).astype(np.float32)
    if op in CELL:
        x = x[:1]  # at later steps each unit reads all others
    layers = find_layers(model, EVERY_KIND)
    assert layers
    for layer in layers:
        assert_rows_are_neurons(model, x, layer)


def test_an_embedding_is_a_dense_layer_on_one_hot_inputs() -> None:
    model = model_of("""<ir_version: 8, opset_import: ["": 17]>
        g (int64[N, 3] x) => (float[N, 3, 4] y) <float[7, 4] table> { y = Gather(table, x) }""")
    (layer,) = find_layers(model, EVERY_KIND)
    assert (layer.kind, layer.neurons, layer.input) == ("embedding", 4, "x")
    assert_rows_are_neurons(model, np.array([[0, 6, 3]]), layer)
    weight, x = Edits(model).weight(layer), np.array([[1, 5, 5]])
    y = create_engine("onnxruntime").session(model.proto).run({"x": x})["y"]
    np.testing.assert_allclose(y, np.eye(7)[x] @ weight.T, rtol=1e-6)


HEADER = '<ir_version: 8, opset_import: ["": 17]> '


@pytest.mark.parametrize(
    "text",
    [
        "g (int64[N, 3] x) => (float[4, 3] y) <float[4, 7] t> { y = Gather<axis = 1>(t, x) }",  # by columns
        # by position alone
        """g (float[N, 3] x) => (float[M, 4] y) <int64 zero = {0}, int64 one = {1}, float[7, 4] t>
           { s = Shape(x)  n = Gather(s, one)  p = Range(zero, n, one)  y = Gather(t, p) }""",
        "g (int64[N] x) => (int64[N, 2] y) <int64[3, 2] t = {1, 2, 3, 4, 5, 6}> { y = Gather(t, x) }",
        "g (float[N, 3] x) => (float[N, 3] y) <float c = {2}> { y = Mul(x, c) }",  # one number for all
        "g (float[N, 3, 4] x) => (float[N, 3, 4] y) <float[3, 4] c> { y = Mul(x, c) }",  # a number each
        "g (float[3] x) => (float[3] y) <float[3] c> { y = Mul(x, c) }",  # no axis of samples
        """g (float[N, 3, 4] x) => (float[N, 3, 4] y) <float[3, 4] c>
           { y = LayerNormalization<axis = 1>(x, c) }""",
        """g (float[N, 4, 2] x) => (float[N, 4, 2] y) <float[2] c, float[2] d>
           { y = GroupNormalization<num_groups = 2>(x, c, d) }""",
    ],
)
def test_what_has_no_row_for_each_neuron_is_no_layer(text: str) -> None:
    opset = "18" if "Group" in text else "17"
    assert find_layers(model_of(HEADER.replace("17", opset) + text), EVERY_KIND) == []


def test_both_directions_need_an_output_that_tells_them_apart() -> None:
    text = """g (float[T, N, 4] x) => (float[2, N, 3] y) <float[2, 3, 4] w, float[2, 3, 3] r>
        { OUT = RNN<hidden_size = 3, direction = "bidirectional">(x, w, r) }"""
    assert find_layers(model_of(HEADER + text.replace("OUT", ", y")), EVERY_KIND) == []


def test_names_and_keys_of_the_parts_of_a_node() -> None:
    text = """g (float[T, N, 4] x) => (float[1, N, 3] y)
        <float[1, 9, 4] w, float[1, 9, 3] r, float[1, 18] b> { , y = GRU<hidden_size = 3>(x, w, r, b) }"""
    layers = find_layers(model_of(HEADER + text), EVERY_KIND)
    assert [layer.name for layer in layers] == ["GRU_0 W", "GRU_0 R", "GRU_0 B"]
    assert [layer.key for layer in layers] == ["y W", "y R", "y B"]
    assert [layer.weight.shape for layer in layers] == [(3, 4, 3), (3, 3, 3), (3, 1, 6)]
    assert [layer.added for layer in layers] == [12, 9, 6]


def test_only_products_unless_more_is_asked_for() -> None:
    text = """g (float[N, 4] x) => (float[N, 3] y) <float[4, 4] w, float[4] g, float[4, 3] v>
        { h = MatMul(x, w)  n = LayerNormalization(h, g)  y = MatMul(n, v) }"""
    model = model_of(HEADER + text)
    assert [layer.kind for layer in find_layers(model)] == ["dense", "dense"]
    assert [layer.kind for layer in find_layers(model, EVERY_KIND)] == ["dense", "scale", "dense"]


@pytest.mark.parametrize("shape", [(6, 2, 3, 3), (2, 20, 7)])
def test_there_and_back(shape: tuple[int, ...]) -> None:
    if len(shape) == 4:
        arrangement = Arrangement(shape, (3, 2, *shape[1:]), (0, 2, 1, 3, 4), (6, 2, 3, 3))
    else:
        arrangement = Arrangement(shape, (2, 4, 5, 7), (0, 2, 3, 1), (10, 7, 4))
    operand = np.arange(np.prod(shape)).reshape(shape)
    canonical = arrangement.to_canonical(operand)
    assert canonical.shape == arrangement.canonical
    np.testing.assert_array_equal(arrangement.to_operand(canonical), operand)
    assert not Arrangement.unchanged(shape).inward
    assert not Arrangement.unchanged(shape).outward
