"""In double precision every float tensor is double, and the results are those of float32, only better."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, as_float64, expose, load

from .models import SAMPLES, build, dense, external, loaded, numbers, run, tensor, value


def in_float64(model: Model, feeds: dict[str, np.ndarray], engine: str = "numpy") -> dict[str, np.ndarray]:
    """Every activation of the model in double precision."""
    double = as_float64(model)
    names = [o for node in double.nodes for o in node.outputs if o in double.activations]
    wide = {name: x.astype(np.float64) if x.dtype == np.float32 else x for name, x in feeds.items()}
    return create_engine(engine).session(expose(double, names)).run(wide)


def images(name: str, count: int) -> np.ndarray:
    data = "fashion" if name.startswith("fashion") else "mnist"
    return np.load(SAMPLES / f"{data}_test.npz")["x"][:count]


def test_the_sample_model_on_the_numpy_engine() -> None:
    model, x = load(SAMPLES / "mnist_cnn.onnx"), images("mnist_cnn", 16)
    single = run(model.data, {"x": x})[0]
    double = in_float64(model, {"x": x})["logits"]
    assert single.dtype == np.float32
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, single, atol=1e-4, rtol=1e-4)
    assert (double != double.astype(np.float32)).any(), "it must have been computed in double precision"


@pytest.mark.parametrize("engine", ["numpy", "torch"])
@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_resnet", "fashion_mobile"])
def test_every_activation_of_the_sample_models(name: str, engine: str) -> None:
    if engine == "torch":
        pytest.importorskip("torch")
    model, x = load(SAMPLES / f"{name}.onnx"), images(name, 2)
    double = in_float64(model, {"x": x}, engine)
    single = run(expose(model, double), {"x": x})
    for (tensor_name, wide), narrow in zip(double.items(), single, strict=True):
        assert wide.dtype == (np.float64 if narrow.dtype == np.float32 else narrow.dtype), tensor_name
        np.testing.assert_allclose(wide, narrow, atol=1e-4, rtol=1e-4)


def test_the_original_stays_as_it_is() -> None:
    model = load(SAMPLES / "mnist_mlp.onnx")
    double = as_float64(model)
    assert double.proto != model.proto
    assert model.proto == onnx.ModelProto.FromString(model.data)
    assert double.proto == onnx.ModelProto.FromString(double.data)
    assert double.path == model.path


X = numbers(2, 4)
SCALE = tensor("scale", np.array([0.1, 0.2, 0.3, 0.7], np.float32))
SIZES = tensor("sizes", np.array([4]))
IN_FIELD = TensorProto(name="scale", data_type=TensorProto.FLOAT, dims=[4], float_data=[0.1, 0.2, 0.3, 0.7])


def node(op: str, *inputs: str, makes: str = "y", **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(op, inputs, [makes], **attributes)


def branch(name: str, factor: float) -> onnx.GraphProto:
    """x · factor, where the factor lies in the subgraph, cast to float32 there."""
    nodes = [
        node("Cast", "x", makes=f"{name} cast", to=TensorProto.FLOAT),
        node("Mul", f"{name} cast", f"{name} factor", makes=name),
    ]
    factors = [tensor(f"{name} factor", np.array(factor, np.float32))]
    return helper.make_graph(nodes, name, [], [value(name, ["N", 4])], factors)


CASES: dict[str, tuple[Sequence[onnx.NodeProto], Sequence[onnx.TensorProto]]] = {
    "initializer": ([node("Mul", "x", "scale")], [SCALE]),
    "float_data": ([node("Mul", "x", "scale")], [IN_FIELD]),
    "constant": ([node("Constant", makes="c", value=SCALE), node("Mul", "x", "c")], []),
    "value_float": ([node("Constant", makes="c", value_float=0.1), node("Mul", "x", "c")], []),
    "value_floats": ([node("Constant", makes="c", value_floats=[0.1] * 4), node("Mul", "x", "c")], []),
    "constant of shape": (
        [
            node("ConstantOfShape", "sizes", makes="c", value=tensor("", np.full(1, 0.1, np.float32))),
            node("Mul", "x", "c"),
        ],
        [SIZES],
    ),
    "zeros of shape": ([node("ConstantOfShape", "sizes", makes="c"), node("Add", "x", "c")], [SIZES]),
    "half, then back": (
        [node("Cast", "x", makes="h", to=TensorProto.FLOAT16), node("Cast", "h", to=TensorProto.FLOAT)],
        [],
    ),
    "cast": ([node("Cast", "x", makes="c", to=TensorProto.FLOAT), node("Mul", "c", "scale")], [SCALE]),
    "like": ([node("CastLike", "x", "scale", makes="c"), node("Exp", "c")], [SCALE]),
    "clip": ([node("Clip", "x", "", "limit")], [tensor("limit", np.array(0.1, np.float32))]),
    "branches": (
        [node("If", "choice", then_branch=branch("a", 0.1), else_branch=branch("b", 0.2))],
        [tensor("choice", np.array(True))],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_wherever_float32_may_hide(name: str) -> None:
    nodes, initializers = CASES[name]
    model = loaded(build(nodes, [value("x", ["N", 4])], [value("y", ["N", 4])], initializers))
    (single,) = run(model.data, {"x": X})
    double = in_float64(model, {"x": X})["y"]
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, single, rtol=1e-6)
    declared = as_float64(model).proto.graph
    assert declared.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    assert declared.output[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    onnx.checker.check_model(as_float64(model).data)


@pytest.mark.parametrize(
    ("op", "groups", "opset", "attributes"),
    [
        ("LayerNormalization", 1, 17, {"epsilon": 1e-3}),
        ("LayerNormalization", 1, 17, {"epsilon": 1e-3, "stash_type": 1}),
        ("GroupNormalization", 2, 21, {"epsilon": 1e-3, "num_groups": 2}),
        ("GroupNormalization", 2, 21, {"epsilon": 1e-3, "num_groups": 2, "stash_type": 1}),
    ],
)
def test_statistics_are_double_too(op: str, groups: int, opset: int, attributes: dict[str, Any]) -> None:
    made = build(
        [node(op, "x", "scale", *["scale"] * (groups > 1), **attributes)],
        [value("x", ["N", 4])],
        [value("y", ["N", 4])],
        [SCALE],
        ir_version=10,
        opset=opset,
    )
    x = X.reshape(2, groups, -1).astype(np.float64)
    epsilon = float(np.float32(1e-3))
    spread = np.sqrt(x.var(axis=2, keepdims=True) + epsilon)
    scale = numpy_helper.to_array(SCALE).astype(np.float64)
    wanted = ((x - x.mean(axis=2, keepdims=True)) / spread).reshape(2, 4) * scale
    if groups > 1:
        wanted += scale
    np.testing.assert_allclose(in_float64(loaded(made), {"x": X})["y"], wanted, rtol=1e-9, atol=1e-12)


def test_other_types_stay() -> None:
    kept = [np.float16, np.float64, np.int8, np.int64, np.bool_]
    model = loaded(
        build(
            [node("Identity", "x")],
            [value("x", ["N"])],
            [value("y", ["N"])],
            [tensor(np.dtype(kind).name, np.ones(2, kind)) for kind in kept],
        )
    )
    double = as_float64(model)
    for kind in kept:
        assert double.array(np.dtype(kind).name).dtype == kind


def test_external_data_is_taken_in(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(numbers(4, 3).tobytes())
    (tmp_path / "m.onnx").write_bytes(dense(external("w", "w.bin", [4, 3])).SerializeToString())
    double = as_float64(load(tmp_path / "m.onnx"))
    (tmp_path / "w.bin").unlink()
    assert double.array("w").dtype == np.float64
    np.testing.assert_array_equal(double.array("w"), numbers(4, 3))
