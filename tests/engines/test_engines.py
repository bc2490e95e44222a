"""What every engine promises, whichever it is."""

import importlib
import logging
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.choices import ENGINES
from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from tests.engines.single_node import assert_same
from tests.engines.small_models import cnn, images, linear, model_of

X = np.array([[1, 2, 3], [4, 5, 6]], np.float32)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return create_engine(request.param)


def test_all_outputs_or_the_named_ones(engine: Engine) -> None:
    session = engine.session(linear())
    values = session.run({"x": X})
    assert list(values) == ["y", "xw"]
    np.testing.assert_allclose(values["y"], X @ [[0, 1], [2, 3], [4, 5]] + [10, 20])
    only = session.run({"x": X}, ["xw"])
    assert list(only) == ["xw"]
    np.testing.assert_array_equal(only["xw"], values["xw"])


def test_fed_initializer_replaces_the_stored_one_for_one_run(engine: Engine) -> None:
    session = engine.session(linear())
    zero = np.zeros((3, 2), np.float32)
    np.testing.assert_array_equal(session.run({"x": X, "w": zero})["y"], [[10, 20], [10, 20]])
    assert session.run({"x": X})["y"].max() > 20


def test_small_integer_initializer_can_be_fed(engine: Engine) -> None:
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    model = model_of(nodes, {"x": [2, 3]}, ["y"], {"shape": np.array([3, 2])}, promoted=("shape",))
    session = engine.session(model)
    assert session.run({"x": X})["y"].shape == (3, 2)
    assert session.run({"x": X, "shape": np.array([6, 1])})["y"].shape == (6, 1)


def test_wrong_feeds_are_one_line_errors(engine: Engine) -> None:
    session = engine.session(linear())
    for feeds, outputs, message in (
        ({}, None, "no value for graph input 'x'; feed 'x'"),
        ({"x": X[:, :2]}, None, "input 'x' has shape 2 × 2, the graph takes any × 3; reshape it"),
        ({"x": X[0]}, None, "input 'x' has shape 3, the graph takes any × 3; reshape it"),
        ({"x": X.astype(float)}, None, "input 'x' has dtype float64, the graph takes float32; convert it"),
        ({"x": X, "z": X}, None, "'z' is not an input of the graph; it takes 'x', 'w', 'b'"),
        ({"x": X}, ["z"], "'z' is not an output of the graph; it has 'y', 'xw'"),
    ):
        with pytest.raises(InputError) as error:
            session.run(feeds, outputs)
        assert str(error.value) == message


def test_initializer_that_is_no_input_cannot_be_fed(engine: Engine) -> None:
    for model in (linear(promoted=False), linear(ir_version=3)):
        session = engine.session(model)
        assert session.run({"x": X})["y"].shape == (2, 2)
        with pytest.raises(InputError, match="'w' is not an input of the graph; it takes 'x'"):
            session.run({"x": X, "w": np.zeros((3, 2), np.float32)})


def test_op_that_fails_on_its_operands(engine: Engine) -> None:
    """As when the batch size is baked into a Reshape."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"], name="to rows")]
    model = model_of(nodes, {"x": ["n", 3]}, ["y"], {"shape": np.array([1, 3])})
    with pytest.raises(InputError, match="to rows") as error:
        engine.session(model).run({"x": X})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("op", "domain", "named"),
    [
        ("NoSuchOp", "", "ai.onnx::NoSuchOp (opset 17)"),
        ("Relu", "com.example", "com.example::Relu (opset 2)"),
    ],
)
def test_missing_op(engine: Engine, op: str, domain: str, named: str) -> None:
    model = model_of([helper.make_node(op, ["x"], ["y"], name="odd", domain=domain)], {"x": [1]}, ["y"])
    model.opset_import.append(helper.make_opsetid("com.example", 2))
    with pytest.raises(UnsupportedError) as error:
        engine.session(model)
    assert str(error.value).startswith(f"node 'odd': op {named} is not in the {engine.name} engine")
    assert "\n" not in str(error.value)


def test_node_without_a_name_is_named_by_its_output(engine: Engine) -> None:
    with pytest.raises(UnsupportedError, match=r"node 'y': op ai\.onnx::Strange"):
        engine.session(model_of([helper.make_node("Strange", ["x"], ["y"])], {"x": [1]}, ["y"]))


@pytest.mark.parametrize("name", ENGINES)
def test_without_cuda_it_falls_back_to_cpu(name: str, caplog: pytest.LogCaptureFixture) -> None:
    if name == "torch" and importlib.import_module("torch").cuda.is_available():
        pytest.skip("CUDA is there")
    with caplog.at_level(logging.WARNING):
        engine = create_engine(name, ("cuda", "cpu"))
    if "CUDAExecutionProvider" in engine.providers:
        pytest.skip("CUDA is there")
    assert engine.providers == (("CPUExecutionProvider",) if name == "onnxruntime" else ("cpu",))
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == 1
    assert "CUDA" in warnings[0]
    assert engine.session(linear()).run({"x": X})["y"].shape == (2, 2)


@pytest.mark.parametrize("name", ["onnxruntime", "torch"])
def test_missing_package(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"onnxunlearn.engines.{name}", raising=False)
    with pytest.raises(InputError, match=rf"engine {name}: .*`pip install {name}`.*--engine numpy"):
        create_engine(name)


def test_unknown_engine_and_provider() -> None:
    with pytest.raises(InputError, match="unknown engine 'tvm'; known: onnxruntime, torch, numpy"):
        create_engine("tvm")
    for name in ENGINES:
        with pytest.raises(InputError, match="unknown provider 'tpu'; known: cpu, cuda"):
            create_engine(name, ("tpu",))


def test_external_data(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    onnx.save_model(linear(), path, save_as_external_data=True, location="weights", size_threshold=0)
    model = onnx.load(path, load_external_data=False)
    values = engine.session(model, tmp_path).run({"x": X})
    np.testing.assert_array_equal(values["y"], engine.session(linear()).run({"x": X})["y"])
    assert not model.graph.initializer[0].HasField("raw_data")  # the model given is left as it was
    with pytest.raises(InputError, match="tensor 'w' has its values in another file"):
        engine.session(model)


def test_embedded_model_ignores_the_folder(engine: Engine, tmp_path: Path) -> None:
    assert engine.session(linear(), tmp_path).run({"x": X})["y"].shape == (2, 2)


def test_graph_with_local_functions_and_both_spellings_of_the_domain(engine: Engine) -> None:
    body = [helper.make_node("Add", ["a", "a"], ["b"])]
    double = helper.make_function("local", "Double", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("Double", ["x"], ["d"], domain="local"),
        helper.make_node("Softmax", ["d"], ["s"], domain="ai.onnx"),
        helper.make_node("Relu", ["d"], ["y"], domain="ai.onnx"),
    ]
    model = model_of(nodes, {"x": [2, 3]}, ["y", "s"])
    model.functions.append(double)
    model.opset_import.append(helper.make_opsetid("local", 1))
    np.testing.assert_array_equal(engine.session(model).run({"x": X}, ["y"])["y"], 2 * X)


@pytest.mark.parametrize("name", ["onnxruntime", "numpy"])
def test_subgraphs_see_outer_values(name: str) -> None:
    def branch(op: str) -> onnx.GraphProto:
        output = helper.make_tensor_value_info("out", TensorProto.FLOAT, None)
        return helper.make_graph([helper.make_node(op, ["square", "x"], ["out"])], op, [], [output])

    nodes = [
        helper.make_node("Mul", ["x", "x"], ["square"]),
        helper.make_node("If", ["flag"], ["y"], then_branch=branch("Add"), else_branch=branch("Sub")),
        helper.make_node("Neg", ["x"], ["unused"]),
    ]
    model = model_of(nodes, {"x": [2, 3]}, ["y"], {"flag": np.array(False)}, promoted=("flag",))
    session = create_engine(name).session(model)
    np.testing.assert_array_equal(session.run({"x": X})["y"], X * X - X)
    np.testing.assert_array_equal(session.run({"x": X, "flag": np.array(True)})["y"], X * X + X)


def test_the_engines_agree_on_a_cnn() -> None:
    values = {name: create_engine(name).session(cnn()).run({"x": images(4)}) for name in ENGINES}
    want = list(values["onnxruntime"].values())
    for name in ("torch", "numpy"):
        assert_same(list(values[name].values()), want)


def test_a_run_is_repeatable(engine: Engine) -> None:
    session, feeds = engine.session(cnn()), {"x": images(4)}
    first, second = session.run(feeds), session.run(feeds)
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])
