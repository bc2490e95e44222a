from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper, numpy_helper

from onnxunlearn.edits import Edits, perturbation
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model, find_layers, load, patch

WEIGHT = np.arange(1.0, 13.0, dtype=np.float32).reshape(3, 4)  # [outputs, inputs]
BIAS = np.array([1.0, 2.0, 3.0], np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def build(nodes: list[onnx.NodeProto], **stored: np.ndarray) -> Model:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", T.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", T.FLOAT, ["N", 3])],
        [numpy_helper.from_array(array, name) for name, array in stored.items()],
    )
    model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
    return load(model.SerializeToString())


def gemm() -> Model:
    return build([helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)], w=WEIGHT, b=BIAS)


def matmul() -> Model:
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Add", ["z", "b"], ["y"])]
    return build(nodes, w=WEIGHT.T.copy(), b=BIAS)


def half() -> Model:
    nodes = [
        helper.make_node("Cast", ["w"], ["w32"], to=T.FLOAT),
        helper.make_node("Cast", ["b"], ["b32"], to=T.FLOAT),
        helper.make_node("Gemm", ["x", "w32", "b32"], ["y"], transB=1),
    ]
    return build(nodes, w=WEIGHT.astype(np.float16), b=BIAS.astype(np.float16))


def transposed() -> Model:
    nodes = [
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("Gemm", ["x", "wt", "b"], ["y"], transB=1),
    ]
    return build(nodes, w=WEIGHT.T.copy(), b=BIAS)


LAYOUTS = [gemm, matmul, half, transposed]


def only_layer(model: Model) -> Layer:
    (layer,) = find_layers(model)
    return layer


def run(data: bytes, x: np.ndarray) -> np.ndarray:
    session = create_engine("numpy").session(onnx.load_model_from_string(data))
    return session.run({"x": x})["y"]


@pytest.mark.parametrize("make", LAYOUTS)
def test_every_layout_is_read_as_outputs_by_inputs(make: Callable[[], Model]) -> None:
    model = make()
    edits, layer = Edits(model), only_layer(model)
    np.testing.assert_array_equal(edits.weight(layer), WEIGHT)
    np.testing.assert_array_equal(edits.bias(layer), BIAS)


@pytest.mark.parametrize("make", LAYOUTS)
def test_an_edit_lands_where_the_weight_is_stored(make: Callable[[], Model]) -> None:
    model = make()
    edits, layer = Edits(model), only_layer(model)
    edits.perturb_neurons(layer, np.array([1]), perturbation["zero"], rng())
    for name, array in edits.arrays.items():
        assert array.dtype == model.array(name).dtype
        assert array.shape == model.array(name).shape
    data = bytes(patch(model, edits.arrays))
    assert len(data) == len(model.data)
    scores = run(data, np.ones((1, 4), np.float32))[0]
    np.testing.assert_array_equal(scores, [WEIGHT[0].sum() + 1, 0, WEIGHT[2].sum() + 3])


@pytest.mark.parametrize("make", LAYOUTS)
def test_connections_are_perturbed_and_nothing_else(make: Callable[[], Model]) -> None:
    model = make()
    edits, layer = Edits(model), only_layer(model)
    edits.perturb_connections(layer, np.array([0, 2]), np.array([3, 1]), perturbation["flip"], rng())
    expected = WEIGHT.copy()
    expected[np.ix_([0, 2], [1, 3])] *= -1
    np.testing.assert_array_equal(edits.weight(layer), expected)
    np.testing.assert_array_equal(edits.bias(layer), BIAS)
    assert set(edits.arrays) == {"w"}


def test_a_copy_and_its_origin_do_not_see_each_others_edits() -> None:
    model = gemm()
    layer = only_layer(model)
    first = Edits(model)
    first.set_bias(layer, np.zeros(3))
    second = first.copy()
    second.perturb_neurons(layer, np.array([0]), perturbation["flip"], rng())
    first.set_weight(layer, 2 * WEIGHT)
    np.testing.assert_array_equal(first.weight(layer), 2 * WEIGHT)
    np.testing.assert_array_equal(second.weight(layer)[0], -WEIGHT[0])
    np.testing.assert_array_equal(second.weight(layer)[1:], WEIGHT[1:])
    np.testing.assert_array_equal(Edits(model).weight(layer), WEIGHT)


def test_what_was_read_can_be_changed_without_an_edit() -> None:
    model = gemm()
    edits, layer = Edits(model), only_layer(model)
    edits.weight(layer)[:] = 0
    np.testing.assert_array_equal(edits.weight(layer), WEIGHT)
    assert edits.arrays == {}


@pytest.mark.parametrize("part", ["weight", "bias"])
def test_a_shared_tensor_is_refused_naming_the_other_readers(part: str) -> None:
    square = np.eye(3, dtype=np.float32)
    second = ["z", "v", "b"] if part == "bias" else ["z", "w", "c"]
    nodes = [
        helper.make_node("Gemm", ["x0", "w", "b"], ["z"], name="first"),
        helper.make_node("Gemm", second, ["y"], name="second"),
        helper.make_node("Slice", ["x", "start", "end", "axis"], ["x0"]),
    ]
    ends = {k: np.array([v], np.int64) for k, v in (("start", 0), ("end", 3), ("axis", 1))}
    model = build([nodes[2], *nodes[:2]], w=square, v=square + 1, b=BIAS, c=BIAS + 1, **ends)
    edits, layer = Edits(model), find_layers(model)[0]
    name = {"weight": "w", "bias": "b"}[part]
    with pytest.raises(UnsupportedError, match=f"'first'.*{name!r} is shared with 'second'"):
        edits.set_weight(layer, square) if part == "weight" else edits.set_bias(layer, BIAS)
    assert edits.arrays == {}


def test_a_bias_that_is_not_there_cannot_be_set() -> None:
    model = build([helper.make_node("MatMul", ["x", "w"], ["y"], name="bare")], w=WEIGHT.T.copy())
    edits, layer = Edits(model), only_layer(model)
    assert edits.bias(layer) is None
    with pytest.raises(UnsupportedError, match=r"'bare'.*no bias"):
        edits.set_bias(layer, BIAS)
    edits.perturb_neurons(layer, np.array([0]), perturbation["zero"], rng())
    assert not edits.weight(layer)[0].any()


def test_perturbations_do_what_they_are_called() -> None:
    weights = np.random.default_rng(1).normal(2, 5, (100, 100))
    given = weights.copy()
    assert not perturbation["zero"](weights, rng()).any()
    np.testing.assert_array_equal(perturbation["halve"](weights, rng()), weights / 2)
    np.testing.assert_array_equal(perturbation["flip"](weights, rng()), -weights)
    noise = perturbation["noise"](weights, rng())
    assert noise.std() == pytest.approx(5, rel=0.05)
    assert noise.mean() == pytest.approx(0, abs=0.2)
    np.testing.assert_array_equal(noise, perturbation["noise"](weights, rng()))
    np.testing.assert_array_equal(weights, given)  # none of them writes into what it was given


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", perturbation)
def test_perturbing_no_neurons_changes_nothing(name: str) -> None:
    model = gemm()
    edits, layer, none = Edits(model), only_layer(model), np.empty(0, np.int64)
    edits.perturb_connections(layer, np.array([1]), none, perturbation[name], rng())
    edits.perturb_neurons(layer, none, perturbation[name], rng())
    np.testing.assert_array_equal(edits.weight(layer), WEIGHT)
    np.testing.assert_array_equal(edits.bias(layer), BIAS)


@pytest.mark.parametrize("make", LAYOUTS)
def test_applied_edits_are_in_the_models_own_constants(make: Callable[[], Model]) -> None:
    model = make()
    (layer,) = find_layers(model)
    edits = Edits(model)
    edits.set_weight(layer, -WEIGHT)
    applied = edits.applied()
    np.testing.assert_array_equal(Edits(applied).weight(layer), Edits(model).weight(layer) * -1)
    x = np.eye(4, dtype=np.float32)
    found = create_engine("numpy").session(applied.proto).run({"x": x})["y"]
    np.testing.assert_allclose(found, -WEIGHT.T + BIAS)
    np.testing.assert_array_equal(Edits(model).weight(layer), WEIGHT)
