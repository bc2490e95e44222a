"""Rows of any layer, times its weight, are its output: against the numpy engine."""

from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from onnx import helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Layer, Model, find_layers
from onnxunlearn.methods.layer_inputs import (
    choose_positions,
    from_weight_rows,
    groups,
    input_rows,
    output_rows,
    weight_rows,
)

from ..engines.test_windows import convolutions
from ..graph.models import build, loaded, numbers, tensor, value
from .benches import bench

NUMPY = create_engine("numpy")


def one_layer(node: onnx.NodeProto, inputs: list[np.ndarray]) -> tuple[Model, Layer]:
    """A graph of one layer; inputs: x, weight and perhaps bias."""
    stored = [tensor(name, array) for name, array in zip(node.input[1:], inputs[1:], strict=True)]
    shape = inputs[0].shape
    proto = build([node], [value("x", ["N", *shape[1:]])], [value("z", [None] * len(shape))], stored)
    model = loaded(proto)
    return model, find_layers(model)[0]


def assert_product(model: Model, layer: Layer, x: np.ndarray, chosen: np.ndarray | None = None) -> None:
    z = NUMPY.session(model.proto).run({"x": x}, [layer.output])[layer.output]
    edits = Edits(model)
    weight, bias = edits.weight(layer), edits.bias(layer)
    rows, wanted = input_rows(layer, x, chosen), output_rows(layer, z, chosen)
    made = rows @ weight_rows(layer, weight).swapaxes(-1, -2)
    if bias is not None:
        made = made + bias.reshape(groups(layer), 1, -1)
    assert made.shape == wanted.shape
    np.testing.assert_allclose(made, wanted, atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(from_weight_rows(layer, weight_rows(layer, weight)), weight)


@given(convolutions("Conv"), st.integers(0, 99))
@settings(max_examples=100)
def test_rows_of_any_convolution(case: Any, seed: int) -> None:
    x = case.inputs[0]
    names = ["x", "w", "b"][: len(case.inputs)]
    attributes = dict(case.attributes)
    if attributes["auto_pad"] != "NOTSET":
        attributes.pop("pads", None)
    model, layer = one_layer(helper.make_node("Conv", names, ["z"], name="conv", **attributes), case.inputs)
    try:
        z = NUMPY.session(model.proto).run({"x": x}, ["z"])["z"]
    except InputError:  # a kernel larger than what it is to slide over
        reject()
    count = int(np.prod(z.shape[2:]))
    assert_product(model, layer, x)
    assert_product(model, layer, x, choose_positions(count, 3, seed))


@given(convolutions("ConvTranspose"), st.integers(0, 99))
@settings(max_examples=100)
def test_rows_of_any_transposed_convolution(case: Any, seed: int) -> None:
    x = case.inputs[0]
    names = ["x", "w", "b"][: len(case.inputs)]
    attributes = dict(case.attributes)
    if attributes["auto_pad"] != "NOTSET":
        attributes.pop("pads", None)
    node = helper.make_node("ConvTranspose", names, ["z"], name="conv", **attributes)
    model, layer = one_layer(node, case.inputs)
    try:
        z = NUMPY.session(model.proto).run({"x": x}, ["z"])["z"]
    except InputError:  # nothing is left of the output
        reject()
    assume(z.size)
    assert_product(model, layer, x)
    assert_product(model, layer, x, choose_positions(int(np.prod(z.shape[2:])), 3, seed))


@pytest.mark.parametrize("tokens", [(), (5,), (2, 3)])
@pytest.mark.parametrize("op", ["MatMul", "Gemm"])
def test_rows_of_dense_layers(op: str, tokens: tuple[int, ...]) -> None:
    if op == "Gemm" and tokens:
        pytest.skip("Gemm takes matrices")
    inputs = [numbers(4, *tokens, 6), numbers(6, 3), numbers(3)][: 3 if op == "Gemm" else 2]
    node = helper.make_node(op, ["x", "w", "b"][: len(inputs)], ["z"], name="dense")
    model, layer = one_layer(node, inputs)
    assert input_rows(layer, inputs[0]).shape == (4, 1, int(np.prod(tokens)), 6)
    assert_product(model, layer, inputs[0])


def test_frames_folded_into_the_samples_are_positions() -> None:
    x, weight = numbers(6, 2, 5, 5), numbers(4, 1, 3, 3)
    model, layer = one_layer(helper.make_node("Conv", ["x", "w"], ["z"], group=2), [x, weight])
    by_frame = input_rows(layer, x)
    by_sample = input_rows(layer, x.reshape(2, 3, 2, 5, 5))
    assert by_sample.shape == (2, 2, 27, 9)
    np.testing.assert_array_equal(by_sample[1, 1, 9:18], by_frame[4, 1])
    z = NUMPY.session(model.proto).run({"x": x}, ["z"])["z"]
    wanted = output_rows(layer, z.reshape(2, 3, 4, 3, 3))
    made = by_sample @ weight_rows(layer, weight).swapaxes(-1, -2)
    np.testing.assert_allclose(made, wanted)


def test_positions_are_capped_and_repeatable() -> None:
    assert choose_positions(10, 10, 0) is None
    few = choose_positions(100, 7, 3)
    assert few is not None
    assert len(set(few.tolist())) == 7
    assert few.tolist() == sorted(few.tolist())
    np.testing.assert_array_equal(few, choose_positions(100, 7, 3))
    assert few.tolist() != choose_positions(100, 7, 4).tolist()  # type: ignore[union-attr]


def test_rows_of_a_trained_model_make_what_it_records() -> None:
    made = bench()
    layer, samples = made.layers[1], np.arange(0, 80, 3)
    tensors = made.record([layer.input, layer.output], samples)
    edits = Edits(made.model)
    bias = edits.bias(layer)
    assert bias is not None
    rows = input_rows(layer, tensors[layer.input])
    z = rows @ weight_rows(layer, edits.weight(layer)).swapaxes(-1, -2) + bias
    np.testing.assert_allclose(z, output_rows(layer, tensors[layer.output]), atol=1e-4)
