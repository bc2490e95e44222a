"""Exposed tensors have the values they have in the model; a trial is run with the values that are fed."""

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.graph import SHAPE, FileBytes, Model, expose, load, patch

from .models import SAMPLES, build, loaded, numbers, run, tensor, value

WEIGHT, SHIFT = numbers(4, 3), numbers(3, seed=1)
X = numbers(2, 4, seed=2)


def two_steps(ir_version: int = 8, *, listed: bool = False) -> onnx.ModelProto:
    """h = x·w by an initializer, y = relu(h + c) by a Constant node; `listed`: w is an input too."""
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor("inside", SHIFT)),
        helper.make_node("MatMul", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "c"], ["s"]),
        helper.make_node("Relu", ["s"], ["y"]),
    ]
    inputs = [value("x", ["N", 4]), *([value("w", [4, 3])] if listed else [])]
    return build(nodes, inputs, [value("y", ["N", 3])], [tensor("w", WEIGHT)], ir_version=ir_version)


H = X @ WEIGHT
S = H + SHIFT
Y = np.maximum(S, 0)


@pytest.fixture(params=["ir 8", "ir 3", "ir 8, listed"])
def model(request: pytest.FixtureRequest) -> Model:
    """Until IR 4 initializers had to be listed among the inputs, and still may be."""
    ir_version = 3 if request.param == "ir 3" else 8
    return loaded(two_steps(ir_version, listed=request.param != "ir 8"))


def test_the_models_inputs_are_not_its_initializers(model: Model) -> None:
    assert [i.name for i in model.inputs] == ["x"]
    assert "w" not in model.activations
    assert model.activations == {"x", "h", "s", "y"}


def test_exposed_values(model: Model) -> None:
    exposed = expose(model, ["s", "h"])
    assert [o.name for o in exposed.graph.output] == ["s", "h"], "exactly these, in this order"
    s, h = run(exposed, {"x": X})
    np.testing.assert_array_equal(h, H)
    np.testing.assert_array_equal(s, S)


def test_what_nobody_needs_is_left_out(model: Model) -> None:
    assert [node.op_type for node in expose(model, ["h"]).graph.node] == ["MatMul"]
    exposed = expose(model, ["h"], shapes=["s"])
    assert [node.op_type for node in exposed.graph.node] == ["Constant", "MatMul", "Add", "Shape"]


def test_what_a_body_reads_is_kept() -> None:
    """And text that nobody reads is dropped: not every engine has it."""
    info = [value("b", ["N", 3])]
    one = helper.make_graph([helper.make_node("Add", ["h", "c"], ["b"])], "one", [], info)
    other = helper.make_graph([helper.make_node("Relu", ["h"], ["b"])], "other", [], info)
    proto = two_steps()
    proto.graph.node.append(helper.make_node("If", ["yes"], ["z"], then_branch=one, else_branch=other))
    proto.graph.node.append(helper.make_node("Gather", ["names", "best"], ["label"]))
    names = tensor("names", np.array(["ant", "bee"], object))
    proto.graph.initializer.extend([tensor("yes", np.array(True)), names, tensor("best", np.array([1]))])
    exposed = expose(Model(FileBytes(proto.SerializeToString()), proto), ["z"])
    assert [node.op_type for node in exposed.graph.node] == ["Constant", "MatMul", "If"]
    assert "names" not in {t.name for t in exposed.graph.initializer}
    np.testing.assert_array_equal(run(exposed, {"x": X})[0], S)


def test_outputs_inputs_and_stored_tensors_can_be_exposed_too(model: Model) -> None:
    y, w, c = run(expose(model, ["y", "w", "c"]), {"x": X})
    np.testing.assert_array_equal(y, Y)
    np.testing.assert_array_equal(w, WEIGHT)
    np.testing.assert_array_equal(c, SHIFT)


def test_a_tensor_asked_for_twice_is_one_output(model: Model) -> None:
    exposed = expose(model, ["h", "h"], shapes=["h", "h"])
    assert [o.name for o in exposed.graph.output] == ["h", SHAPE + "h"]
    assert len(run(exposed, {"x": X})) == 2


def test_shapes(model: Model) -> None:
    exposed = expose(model, [], shapes=["x", "y", "w"])
    for size in (1, 5):
        shapes = run(exposed, {"x": np.zeros((size, 4), np.float32)})
        assert [list(s) for s in shapes] == [[size, 4], [size, 3], [4, 3]]
        assert all(s.dtype == np.int64 for s in shapes)


def test_what_is_fed_is_what_the_model_computes_with(model: Model) -> None:
    exposed = expose(model, ["y"], fed=["w", "c"])
    for w, c, y in (
        (WEIGHT, SHIFT, Y),
        (WEIGHT, -SHIFT, np.maximum(H - SHIFT, 0)),
        (-WEIGHT, SHIFT, np.maximum(SHIFT - H, 0)),
        (-WEIGHT, -SHIFT, np.maximum(-SHIFT - H, 0)),
    ):
        np.testing.assert_array_equal(run(exposed, {"x": X, "w": w, "c": c})[0], y)


def test_a_trial_is_what_the_saved_file_will_be(model: Model) -> None:
    edits = {"w": WEIGHT * 2, "c": SHIFT + 1}
    trial = run(expose(model, ["y"], fed=edits), {"x": X, **edits})
    np.testing.assert_array_equal(trial[0], run(bytes(patch(model, edits)), {"x": X})[0])


def test_what_is_fed_is_one_input_and_no_longer_stored(model: Model) -> None:
    graph = expose(model, ["y"], fed=["w", "c", "w", "c"]).graph
    assert sorted(i.name for i in graph.input) == ["c", "w", "x"]
    assert not graph.initializer


def test_before_ir_4_what_is_not_fed_stays_stored() -> None:
    model = loaded(two_steps(3, listed=True))
    exposed = expose(model, ["y"], fed=["c"])
    assert exposed.ir_version == 3
    assert [t.name for t in exposed.graph.initializer] == ["w"]
    np.testing.assert_array_equal(run(exposed, {"x": X, "c": -SHIFT})[0], np.maximum(H - SHIFT, 0))


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8], ids=str)
def test_a_fed_tensor_keeps_its_type(kind: type) -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor("", SHIFT.astype(kind))),
        helper.make_node("Cast", ["c"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["x", "f"], ["y"]),
    ]
    model = loaded(build(nodes, [value("x", ["N", 3])], [value("y", ["N", 3])]))
    x = np.zeros((1, 3), np.float32)
    (y,) = run(expose(model, ["y"], fed=["c"]), {"x": x, "c": -SHIFT.astype(kind)})
    np.testing.assert_array_equal(y[0], -SHIFT)


@pytest.mark.parametrize(
    "change",
    [
        lambda model: expose(model, ["h"], shapes=["s"], fed=["c"]),
        lambda model: expose(model, ["c"]),
    ],
)
def test_the_original_stays_as_it_is(model: Model, change: Callable[[Model], onnx.ModelProto]) -> None:
    change(model).graph.initializer[0].raw_data = b""
    assert model.proto == onnx.ModelProto.FromString(model.data)
    np.testing.assert_array_equal(run(model.proto, {"x": X})[0], Y)


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_resnet", "fashion_mobile"])
def test_every_activation_of_a_sample_model(name: str) -> None:
    model = load(SAMPLES / f"{name}.onnx")
    names = [o for node in model.nodes for o in node.outputs if o in model.activations]
    x = np.load(SAMPLES / "mnist_probes.npz")["x"][:2]
    values = run(expose(model, names, shapes=names), {"x": x})
    for tensor_value, shape in zip(values[: len(names)], values[len(names) :], strict=True):
        assert list(tensor_value.shape) == list(shape)
    np.testing.assert_array_equal(values[names.index("logits")], run(model.data, {"x": x})[0])
