"""Messages of a kind are found at any depth, each once."""

import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.graph.messages import messages

from .models import build, numbers, tensor, value


def nested(depth: int) -> onnx.GraphProto:
    """A graph with a tensor in it, and another such graph in the branch of its If."""
    name = f"level {depth}"
    nodes = [helper.make_node("Identity", [name], [f"{name} copy"])]
    if depth:
        inner = nested(depth - 1)
        nodes.append(helper.make_node("If", ["c"], [f"{name} out"], then_branch=inner, else_branch=inner))
    return helper.make_graph(nodes, name, [], [value(f"{name} copy", None)], [tensor(name, numbers(2))])


def model() -> onnx.ModelProto:
    constant = helper.make_node("Constant", [], ["k"], value=tensor("constant", numbers(1)))
    many = helper.make_node(
        "Mystery", [], ["m"], tensors=[tensor("first", numbers(1)), tensor("second", numbers(1))]
    )
    choice = helper.make_node("If", ["c"], ["y"], then_branch=nested(1), else_branch=nested(0))
    proto = build(
        [constant, many, choice], [value("x", ["N", 2])], [value("y", ["N", 2])], [tensor("w", numbers(3))]
    )
    proto.graph.sparse_initializer.add(values=tensor("sparse", numbers(2)), indices=tensor("at", numbers(2)))
    proto.functions.add(name="f", node=[constant])
    proto.graph.input.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, ["N", None]))
    return proto


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            onnx.TensorProto,
            [
                "at",
                "constant",
                "constant",
                "first",
                "level 0",
                "level 0",
                "level 0",
                "level 1",
                "second",
                "sparse",
                "w",
            ],
        ),
        (onnx.GraphProto, ["g", "level 0", "level 0", "level 0", "level 1"]),
    ],
)
def test_every_message_at_any_depth(kind: type[onnx.TensorProto | onnx.GraphProto], names: list[str]) -> None:
    assert sorted(message.name for message in messages(model(), kind)) == names


def test_types_within_types() -> None:
    proto = onnx.ModelProto()
    proto.graph.input.append(helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2]))
    assert [t.elem_type for t in messages(proto, onnx.TypeProto.Tensor)] == [TensorProto.FLOAT]


def test_an_empty_message_has_none() -> None:
    assert list(messages(onnx.ModelProto(), onnx.NodeProto)) == []
