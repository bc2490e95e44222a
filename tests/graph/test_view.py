"""Who makes a tensor, who reads it, what is constant: also where domains and subgraphs make it hard."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.graph import FileBytes, Model, find_layers

from .models import Dims, build, dense, loaded, numbers, tensor, value


def small() -> Model:
    """x → h = x·wᵀ, with the transposed shape computed from constants, → y = h + h."""
    nodes = [
        helper.make_node("Shape", ["w"], ["sizes"], name="named"),
        helper.make_node("Reshape", ["flat", "sizes"], ["v"]),
        helper.make_node("MatMul", ["x", "v"], ["h"]),
        helper.make_node("Add", ["h", "h"], ["y"]),
    ]
    constants = [tensor("w", numbers(4, 3)), tensor("flat", numbers(12, seed=1))]
    return loaded(build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], constants))


def test_nodes() -> None:
    model = small()
    assert [node.name for node in model.nodes] == ["named", "Reshape_1", "MatMul_2", "Add_3"]
    assert {node.opset for node in model.nodes} == {17}
    assert str(model.nodes[0]) == "node 'named', op Shape, opset 17"


def test_producers_and_consumers() -> None:
    model = small()
    assert model.producer["h"].op == "MatMul"
    assert "x" not in model.producer
    assert [node.op for node in model.consumers["h"]] == ["Add"], "once, though it reads it twice"
    assert "y" not in model.consumers
    assert [node.op for node in model.upstream("y")] == ["Add", "MatMul"]


def test_what_depends_on_the_input_and_what_does_not() -> None:
    model = small()
    assert model.activations == {"x", "h", "y"}
    constant = model.constant("v")
    assert constant is not None
    np.testing.assert_array_equal(constant, numbers(12, seed=1).reshape(4, 3))
    assert model.constant("h") is None
    assert model.constant("no such tensor") is None


def test_an_op_nobody_knows_has_no_known_value() -> None:
    nodes = [
        helper.make_node("Mystery", ["w"], ["m"], domain="my.company"),
        helper.make_node("Neg", ["m"], ["n"]),
        helper.make_node("Add", ["x", "n"], ["y"]),
    ]
    model = loaded(build(nodes, [value("x", [3])], [value("y", [3])], [tensor("w", numbers(3))]))
    assert model.constant("n") is None
    assert model.nodes[0].kind == "my.company::Mystery"


def chosen(condition: str, inner: str) -> Model:
    """y = inner, out of both branches of an If, + x."""
    branches = [
        helper.make_graph([helper.make_node("Neg", [inner], [name])], name, [], [value(name, None)])
        for name in ("a", "b")
    ]
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node(
            "If", [condition], ["z"], name="if", then_branch=branches[0], else_branch=branches[1]
        ),
        helper.make_node("Add", ["r", "z"], ["y"]),
    ]
    constants = [tensor("w", numbers(3)), tensor("always", np.array(True))]
    inputs = [value("x", [3]), value("sometimes", [], TensorProto.BOOL)]
    return loaded(build(nodes, inputs, [value("y", [3])], constants))


@pytest.mark.parametrize(
    ("condition", "inner", "depends"),
    [("sometimes", "w", True), ("always", "r", True), ("always", "w", False)],
)
def test_a_subgraph_reads_from_the_outer_graph(condition: str, inner: str, depends: bool) -> None:
    model = chosen(condition, inner)
    assert ("z" in model.activations) == depends
    assert "if" in [node.name for node in model.consumers[inner]]
    assert model.constant("z") is None, "subgraphs are not folded"


@pytest.mark.parametrize(
    ("dims", "size"),
    [
        (["N", 4], None),
        ([1, 4], 1),
        ([8, 4], 8),
        ([None, 4], None),
        ([-1, 4], None),
        ([0, 4], None),
        ([], None),
    ],
)
def test_batch_size(dims: Dims, size: int | None) -> None:
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    assert loaded(build(nodes, [value("x", dims)], [value("y", dims)])).batch_size == size


def test_shapes_are_inferred_and_free_sizes_unknown() -> None:
    assert small().shapes["h"] == (None, 3)
    assert small().shapes["sizes"] == (2,)
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    free = loaded(build(nodes, [value("x", [-1, "C", 3])], [value("y", [-1, "C", 3])]))
    assert free.shapes["x"] == (None, None, 3)


def test_shapes_that_contradict_each_other_do_not_hide_the_declared_ones() -> None:
    proto = dense(tensor("w", numbers(4, 3)))
    proto.graph.output[0].CopyFrom(value("y", ["N", 7]))
    assert loaded(proto).shapes["x"] == (None, 4)


def test_stored_tensors_are_initializers_and_constants() -> None:
    nodes = [
        helper.make_node("Constant", [], ["c"], value=tensor("inside", numbers(3))),
        helper.make_node("Constant", [], ["f"], value_float=2.0),
        helper.make_node("Mul", ["x", "c"], ["h"]),
        helper.make_node("Mul", ["h", "f"], ["y"]),
    ]
    model = loaded(build(nodes, [value("x", [3])], [value("y", [3])], [tensor("unused", numbers(2))]))
    assert model.stored.keys() == {"c", "unused"}
    np.testing.assert_array_equal(model.array("c"), numbers(3))
    assert model.constant("f") == 2.0


@pytest.mark.skipif(tuple(map(int, onnx.__version__.split(".")[:2])) < (1, 23), reason="onnx refuses it")
def test_the_standard_domain_by_its_long_name() -> None:
    proto = dense(tensor("w", numbers(3, 4)))
    proto.graph.node.insert(0, helper.make_node("Transpose", ["w"], ["v"], perm=[1, 0]))
    proto.graph.node[1].input[1] = "v"
    proto.opset_import[0].domain = "ai.onnx"
    model = loaded(proto)
    assert model.opsets == {"": 17}
    assert {node.opset for node in model.nodes} == {17}
    assert [layer.weight.shape for layer in find_layers(model)] == [(3, 4)]


def test_element_types() -> None:
    model = small()
    assert model.element_types["h"] == TensorProto.FLOAT
    assert model.element_types["sizes"] == TensorProto.INT64


def test_what_a_node_captures_is_what_its_subgraphs_read() -> None:
    model = chosen("always", "w")
    assert set(model.nodes[1].captured) == {"w", "a", "b"}
    assert all(not node.captured for node in model.nodes if node.op != "If")
    assert isinstance(model.nodes[1].attribute("then_branch"), onnx.GraphProto)


def test_what_the_evaluator_cannot_run_is_not_known() -> None:
    nodes = [helper.make_node("MatMul", ["a", "b"], ["w"]), helper.make_node("MatMul", ["x", "w"], ["y"])]
    constants = [tensor("a", numbers(4, 3)), tensor("b", numbers(4, 3))]
    data = build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], constants)
    model = Model(FileBytes(data.SerializeToString()), data)  # the checker would refuse it
    assert model.constant("w") is None
    assert find_layers(model) == []


def test_a_batch_normalization_of_constants_is_that_of_inference() -> None:
    """Weights standardised at run time by a BatchNormalization in training form, with five outputs."""
    outputs = ["w", "m1", "v1", "m2", "v2"]
    nodes = [
        helper.make_node("BatchNormalization", ["raw", "scale", "shift", "mean", "var"], outputs),
        helper.make_node("MatMul", ["x", "w"], ["y"]),
    ]
    ones, zeros = np.ones(3, np.float32), np.zeros(3, np.float32)
    constants = [tensor("raw", numbers(4, 3)), tensor("scale", ones), tensor("shift", zeros)]
    constants += [tensor("mean", zeros), tensor("var", 4 * ones)]
    data = build(nodes, [value("x", ["N", 4])], [value("y", ["N", 3])], constants, opset=13)
    model = Model(FileBytes(data.SerializeToString()), data)  # the checker knows that op no more
    made = model.constant("w")
    assert made is not None
    np.testing.assert_allclose(made, numbers(4, 3).astype(np.float32) / 2, rtol=1e-4)
    assert model.constant("v1") is None
    assert find_layers(model) == [], "no stored tensor has those values"
