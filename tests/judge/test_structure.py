"""What an edited file has otherwise than other weights, in words; and what is no such thing."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import departures
from onnxunlearn.judge.structure import Structure, behind_the_last

from ..sample_paths import MLP, mlp


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def test_an_edit_of_weights_is_none() -> None:
    model = load(MLP)
    assert departures(model, load(patch(model, {"5.weight": 0 * model.array("5.weight")}))) == []


def test_an_edit_of_weights_in_attributes_is_none() -> None:
    """As LinearClassifier has them; its other attributes count, and how many weights it has."""

    def linear(rows: list[float], **others: str) -> Model:
        given: dict[str, Any] = {"coefficients": rows, "intercepts": [0.0, 1.0], **others}
        given["classlabels_ints"] = [0, 1]
        node = helper.make_node("LinearClassifier", ["x"], ["label", "y"], domain="ai.onnx.ml", **given)
        x = helper.make_tensor_value_info("x", 1, ["N", len(rows) // 2])
        outputs = [onnx.ValueInfoProto(name="label"), helper.make_tensor_value_info("y", 1, ["N", 2])]
        graph = helper.make_graph([node], "linear", [x], outputs)
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
        return loaded(helper.make_model(graph, opset_imports=opsets, ir_version=8))

    model = linear([1.0, 2.0, 3.0, 4.0])
    assert departures(model, linear([1.0, 2.0, 0.0, 0.0])) == []
    assert departures(model, linear([1.0, 2.0, 3.0, 4.0], post_transform="SOFTMAX"))
    assert departures(model, linear([1.0] * 6)) == ["its weights have other shapes (label / coefficients)"]


def test_other_names_are_none_and_what_does_nothing() -> None:
    proto = onnx.compose.add_prefix(mlp(), "again/", rename_inputs=False, rename_outputs=False)
    proto.graph.node[0].input[0] = "same"
    proto.graph.node.insert(0, helper.make_node("Identity", ["x"], ["same"]))
    model, other = load(MLP), loaded(proto)
    assert Structure(model).alike(Structure(other))


def test_what_reads_another_tensor_is_told_though_the_nodes_are_as_many() -> None:
    proto, twice = mlp(), mlp()
    for one in (proto, twice):
        one.graph.node.insert(1, helper.make_node("Relu", [one.graph.node[0].output[0]], ["unread"]))
    twice.graph.node[2].input[0] = "unread"
    assert departures(loaded(proto), loaded(twice)) == [
        "its graph has 1 more (Gemm) and 1 fewer (Gemm) nodes"
    ]


def test_indices_are_no_weights() -> None:
    def ordered(order: list[int]) -> Model:
        proto = mlp()
        proto.graph.initializer.append(numpy_helper.from_array(np.array(order), "order"))
        last = proto.graph.node[-1].output[0]
        proto.graph.node[-1].output[0] = "z"
        proto.graph.node.append(helper.make_node("Gather", ["z", "order"], [last], axis=1))
        return loaded(proto)

    same, other = list(range(10)), [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]
    assert departures(ordered(same), ordered(same)) == []
    assert departures(ordered(same), ordered(other)) == ["its nodes read other tensors"]


def test_other_values_that_no_node_reads_are_told() -> None:
    def with_spare(value: float) -> Model:
        proto = mlp()
        proto.graph.initializer.append(numpy_helper.from_array(np.full(3, value, np.float32), "spare"))
        return loaded(proto)

    said = ["it stores other values where no node reads them (spare)"]
    assert departures(with_spare(0), with_spare(1)) == said
    assert departures(with_spare(0), with_spare(0)) == []


def test_the_body_of_a_function_is_part_of_what_calls_it_but_for_its_numbers() -> None:
    def calling(op: str, number: float) -> Model:
        proto = mlp()
        constant = numpy_helper.from_array(np.array(number, np.float32))
        body = [
            helper.make_node("Constant", [], ["c"], value=constant),
            helper.make_node(op, ["a", "c"], ["b"]),
        ]
        proto.functions.append(
            helper.make_function("mine", "f", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
        )
        proto.opset_import.append(helper.make_opsetid("mine", 1))
        last = proto.graph.node[-1].output[0]
        proto.graph.node[-1].output[0] = "z"
        proto.graph.node.append(helper.make_node("f", ["z"], [last], domain="mine"))
        return loaded(proto)

    assert departures(calling("Mul", 1), calling("Mul", 2)) == []
    assert departures(calling("Mul", 1), calling("Add", 1)) == ["its nodes read other tensors"]


def test_what_lies_behind_the_last_layer_that_both_have() -> None:
    proto = mlp()
    last = proto.graph.node[-1]
    last.output[0] = "z"
    proto.graph.node.append(helper.make_node("Hardmax", ["z"], ["logits"], axis=1))
    assert behind_the_last(load(MLP), loaded(proto)) == [last.input[0], "z"]
