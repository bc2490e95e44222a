"""Nodes in another order than ONNX asks for, as converters to float16 leave them."""

from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Edited, load
from onnxunlearn.graph.order import put_in_order

SHAPE: list[str | int | None] = ["N", 4]


def unsorted(count: int = 1) -> onnx.ModelProto:
    """y = Relu(x·w + x), the weight made by a Constant behind all its readers, as often as asked."""
    weight = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    nodes, name = [], "x"
    for i in range(count):
        made = "y" if i == count - 1 else f"y{i}"
        nodes += [
            helper.make_node("Relu", [f"s{i}"], [made]),
            helper.make_node("Add", [f"m{i}", name], [f"s{i}"]),
            helper.make_node("MatMul", [name, "w"], [f"m{i}"]),
        ]
        name = made
    nodes.append(helper.make_node("Constant", [], ["w"], value=weight))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, SHAPE)],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_it_is_read_in_order_and_its_bytes_stay() -> None:
    data = unsorted().SerializeToString()
    model = load(data)
    assert [node.kind for node in model.nodes] == ["Constant", "MatMul", "Add", "Relu"]
    assert model.data == data


def test_a_weight_is_patched_where_the_file_has_it(tmp_path: Path) -> None:
    model = load(unsorted().SerializeToString())
    edited = Edited.of(model, {"w": np.full((4, 4), 2, np.float32)})
    edited.save(tmp_path / "edited.onnx")
    written = onnx.load(tmp_path / "edited.onnx")
    assert [node.op_type for node in written.graph.node] == ["Relu", "Add", "MatMul", "Constant"]
    x = np.ones((1, 4), np.float32)
    for found in (edited.model(), load(tmp_path / "edited.onnx")):
        session = create_engine("numpy").session(found.proto, None)
        np.testing.assert_allclose(session.run({"x": x}, ["y"])["y"], 9)


def test_what_is_in_order_is_left_alone() -> None:
    proto = unsorted(50)
    assert put_in_order(proto.graph)
    before = proto.SerializeToString()
    assert not put_in_order(proto.graph)
    assert proto.SerializeToString() == before
    onnx.checker.check_model(proto)


def test_a_graph_inside_reads_what_is_outside() -> None:
    proto = unsorted()
    body = helper.make_graph(
        [helper.make_node("Identity", ["late"], ["out"])],
        "body",
        [],
        [helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, None)],
    )
    true = numpy_helper.from_array(np.array(True), "true")
    proto.graph.initializer.append(true)
    proto.graph.node.insert(
        0, helper.make_node("If", ["true"], ["chosen"], then_branch=body, else_branch=body)
    )
    proto.graph.node.append(helper.make_node("Neg", ["y"], ["late"]))
    assert put_in_order(proto.graph)
    assert [node.op_type for node in proto.graph.node][-2:] == ["Neg", "If"]


def test_a_cycle_is_left_alone() -> None:
    proto = unsorted()
    proto.graph.node[3].CopyFrom(helper.make_node("Neg", ["y"], ["w"]))
    assert not put_in_order(proto.graph)
