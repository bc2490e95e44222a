"""Sizes declared as −1 or 0 are free, wherever they stand."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import onnxunlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, load, with_input_shapes
from onnxunlearn.graph.dimensions import free_sizes, sizes_of
from onnxunlearn.judge import diff
from tests.small_network import X, columns, loaded, logits_of, network

ENGINES = ["onnxruntime", "numpy", "torch"]


def declared(size: int, axis: int = 0) -> onnx.ModelProto:
    model = network()
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[axis].dim_value = size
    return model


def test_sizes() -> None:
    info = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", None, -1, 0, 7])
    assert sizes_of(info) == (None, None, None, None, 7)
    assert sizes_of(onnx.ValueInfoProto(name="x")) == ()


def test_they_are_left_open_in_bodies_too() -> None:
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["z"])],
        "body",
        [],
        [helper.make_tensor_value_info("z", TensorProto.FLOAT, [-1, 3])],
    )
    node = helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)
    info = helper.make_tensor_value_info("y", TensorProto.FLOAT, [0, -1])
    model = helper.make_model(helper.make_graph([node], "g", [], [info]))
    free_sizes(model)
    (then, otherwise) = (a.g.output[0] for a in model.graph.node[0].attribute)
    assert sizes_of(then) == sizes_of(otherwise) == (None, 3)
    assert not any(d.HasField("dim_value") for d in model.graph.output[0].type.tensor_type.shape.dim)


@pytest.mark.parametrize("size", [-1, 0, -7])
def test_a_loaded_model_keeps_its_bytes(size: int) -> None:
    data = declared(size).SerializeToString()
    model = load(data)
    assert model.data == data
    assert model.batch_size is None
    assert model.shapes["x"] == (None, 20)
    assert model.shapes["logits"] == (None, 6)
    assert onnxunlearn.inspect(model).inputs["x"]["shape"] == ["?", 20]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [-1, 0])
def test_data_of_any_size_fits(size: int, engine: str) -> None:
    """ONNX Runtime itself refuses everything where 0 is declared."""
    model = loaded(declared(size))
    values = create_engine(engine).session(model.proto).run({"x": X[:5]})
    np.testing.assert_allclose(values["logits"], logits_of()[:5], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [-1, 0])
def test_every_command_takes_it(size: int) -> None:
    model = loaded(declared(size))
    data = {"x": X, "y": columns()}
    relevance = onnxunlearn.explain(model, data, 3)["x"]
    np.testing.assert_array_equal(relevance, onnxunlearn.explain(loaded(network()), data, 3)["x"])
    result = onnxunlearn.unlearn(model, 3, data, method="erase", parameters={"steps": 5})
    edited = load(result.model_bytes)
    assert diff(model, edited).others == ()
    said = create_engine("onnxruntime").session(edited.proto).run({"x": X})["logits"]
    assert 3 not in said.argmax(axis=1)
    found = onnxunlearn.examine(model, edited, 3, data, by_layer=False)
    assert found.accuracies["original"].forget == 100
    assert found.accuracies["edited"].forget == 0


@pytest.mark.parametrize("size", [-1, 0])
def test_elsewhere_than_in_the_batch(size: int) -> None:
    model = loaded(declared(size, axis=1))
    assert model.shapes["x"] == (None, None)
    data = {"x": X, "y": columns()}
    assert onnxunlearn.explain(model, data, 3)["x"].shape == (240, 20)
    assert onnxunlearn.unlearn(model, 3, data, method="head").report["model"]["classes"] == 6


def test_free_sizes_can_be_given() -> None:
    model: Model = with_input_shapes(loaded(declared(-1, axis=1)), {"x": (1, 20)})
    assert model.shapes["x"] == (None, 20)


def test_what_else_differs_is_still_found() -> None:
    """The comparison is of the files as they are, not as they are read."""
    first, second = loaded(declared(-1)), loaded(network())
    assert "graph.input" in diff(first, second).others


def for_one_sample(*nodes: onnx.NodeProto, ends: str = "logits") -> onnx.ModelProto:
    """Declared for one sample everywhere but at the input, as PyTorch 2.9 does that was shown one."""
    model = network(nodes, outputs=((ends, 6),))
    for name, width in (("a", 32), ("z", 32), ("logits", 6)):
        model.graph.value_info.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, width]))
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    return model


def test_outputs_declared_for_one_sample_take_any_number() -> None:
    model = loaded(for_one_sample())
    assert model.batch_size is None
    assert model.shapes["a"] == (None, 32)
    assert model.shapes["logits"] == (None, 6)
    told, plain = (
        onnxunlearn.explain(m, {"x": X[:5]}, 1, composite="epsilon")["x"] for m in (model, loaded(network()))
    )
    np.testing.assert_allclose(told, plain)


def test_outputs_that_are_one_row_stay_so() -> None:
    mean = helper.make_node("ReduceMean", ["logits"], ["mean"], axes=[0], keepdims=1)
    model = loaded(for_one_sample(mean, ends="mean"))
    assert model.shapes["mean"] == (1, 6)
    assert model.shapes["logits"] == (1, 6)
