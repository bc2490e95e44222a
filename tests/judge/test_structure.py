"""What an edited file has otherwise than other weights, in words; and what is no such thing."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import departures, remarks
from onnxunlearn.judge.structure import Structure, behind_the_last

from ..sample_paths import MLP, mlp


def loaded(proto: onnx.ModelProto) -> Model:
    return load(proto.SerializeToString())


def test_an_edit_of_weights_is_none() -> None:
    model = load(MLP)
    assert departures(model, load(patch(model, {"5.weight": 0 * model.array("5.weight")}))) == []


def test_an_edit_of_weights_in_attributes_is_none() -> None:
    def linear(rows: int, first: float, transform: str = "SOFTMAX") -> Model:
        given: dict[str, Any] = {"coefficients": [first] * 3 * rows, "intercepts": [first] * rows}
        given |= {"classlabels_ints": [*range(rows)], "post_transform": transform}
        node = helper.make_node("LinearClassifier", ["x"], ["label", "y"], domain="ai.onnx.ml", **given)
        x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", 3])
        outputs = [onnx.ValueInfoProto(name=name) for name in node.output]
        opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
        graph = helper.make_graph([node], "linear", [x], outputs)
        return loaded(helper.make_model(graph, opset_imports=opsets, ir_version=8))

    assert departures(linear(4, 1.0), linear(4, 2.0)) == []
    for other in (linear(5, 1.0), linear(4, 1.0, "LOGISTIC")):
        assert departures(linear(4, 1.0), other) != []


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


def test_indices_of_32_bits_are_none_either_but_a_bias_of_whole_numbers_is() -> None:
    def with_whole(values: list[int], op: str) -> Model:
        proto = mlp()
        proto.graph.initializer.append(numpy_helper.from_array(np.array(values, np.int32), "whole"))
        proto.graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), "scale"))
        last = proto.graph.node[-1].output[0]
        proto.graph.node[-1].output[0] = "z"
        if op == "Gather":
            proto.graph.node.append(helper.make_node(op, ["z", "whole"], [last], axis=1))
        else:
            proto.graph.node.append(helper.make_node(op, ["whole", "scale"], ["bias"]))
            proto.graph.node.append(helper.make_node("Add", ["z", "bias"], [last]))
        return loaded(proto)

    same, other = list(range(10)), [0, 1, 2, 8, 4, 5, 6, 7, 3, 9]
    assert departures(with_whole(same, "Gather"), with_whole(other, "Gather")) != []
    assert departures(with_whole(same, "DequantizeLinear"), with_whole(other, "DequantizeLinear")) == []


def test_branches_are_compared_by_what_they_compute_and_neither_by_names_nor_by_weights() -> None:
    def branching(op: str, weight: float, prefix: str) -> Model:
        def branch(op: str, name: str) -> onnx.GraphProto:
            tensor = numpy_helper.from_array(np.full(10, weight, np.float32), f"{prefix}w")
            node = helper.make_node(op, ["z", f"{prefix}w"], [f"{prefix}{name}"])
            out = helper.make_tensor_value_info(f"{prefix}{name}", onnx.TensorProto.FLOAT, None)
            return helper.make_graph([node], f"{prefix}{name}", [], [out], [tensor])

        proto = mlp()
        last = proto.graph.node[-1].output[0]
        proto.graph.node[-1].output[0] = "z"
        proto.graph.initializer.append(numpy_helper.from_array(np.array(True), "told"))
        bodies = {"then_branch": branch(op, "a"), "else_branch": branch("Add", "b")}
        proto.graph.node.append(helper.make_node("If", ["told"], [last], **bodies))  # type: ignore[arg-type]
        return loaded(proto)

    assert departures(branching("Mul", 1, "p"), branching("Mul", 2, "q")) == []
    assert departures(branching("Mul", 1, "p"), branching("Sub", 1, "p")) != []


def test_a_few_words_of_metadata_are_remarked_and_many_are_a_departure() -> None:
    def saying(words: str) -> Model:
        proto = mlp()
        proto.metadata_props.add(key="exported", value=words)
        return loaded(proto)

    assert departures(saying("Monday"), saying("Tuesday")) == []
    said = "its metadata say something else (exported): no node reads them"
    assert remarks(saying("Monday"), saying("Tuesday")) == [said]
    assert remarks(saying("Monday"), saying("Monday")) == []
    much = departures(saying("Monday"), saying("ab" * 3000))
    assert much == ["it says something else in its metadata (exported)"]
    assert remarks(saying("Monday"), saying("ab" * 3000)) == []


def test_other_values_that_no_node_reads_are_told() -> None:
    def with_spare(value: float) -> Model:
        proto = mlp()
        proto.graph.initializer.append(numpy_helper.from_array(np.full(3, value, np.float32), "spare"))
        return loaded(proto)

    said = ["it stores other values where no output needs them (spare)"]
    assert departures(with_spare(0), with_spare(1)) == said
    assert departures(with_spare(0), with_spare(0)) == []


def test_what_is_read_for_nothing_is_read_by_nobody_and_other_names_hide_nothing() -> None:
    def with_spare(value: float, name: str, op: str | None) -> Model:
        proto = mlp()
        proto.graph.initializer.append(numpy_helper.from_array(np.full(3, value, np.float32), name))
        if op:
            proto.graph.node.append(helper.make_node(op, [name], ["for nothing"]))
        return loaded(proto)

    said = "it stores other values where no output needs them ({})"
    for op in ("Relu", "Identity"):
        assert departures(with_spare(0, "a", op), with_spare(1, "a", op)) == [said.format("a")]
    assert departures(with_spare(0, "a", None), with_spare(1, "b", None)) == [said.format("b")]
    assert departures(with_spare(0, "a", None), with_spare(0, "b", None)) == []


def test_values_in_what_is_no_tensor_of_the_graph_are_told() -> None:
    def with_all(value: float, where: str) -> Model:
        proto, tensor = mlp(), numpy_helper.from_array(np.full(3, value, np.float32), "spare")
        if where == "training_info":
            proto.training_info.add().initialization.initializer.append(tensor)
        elif where == "sparse":
            indices = numpy_helper.from_array(np.arange(3), "at")
            proto.graph.sparse_initializer.append(helper.make_sparse_tensor(tensor, indices, [9]))
        else:
            body = [helper.make_node("Constant", [], ["b"], value=tensor)]
            made = helper.make_function("mine", "f", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
            proto.functions.append(made)
            proto.opset_import.append(helper.make_opsetid("mine", 1))
        return loaded(proto)

    for where in ("training_info", "sparse", "function"):
        (said,) = departures(with_all(1, where), with_all(2, where))
        assert said.startswith("it stores other values where no output needs them ("), where
        assert departures(with_all(1, where), with_all(1, where)) == []


def test_words_that_no_node_reads_are_the_same_words() -> None:
    """Each time they are read they lie elsewhere in memory."""
    proto, words = mlp(), numpy_helper.from_array(np.array(["a" * 99, "b"], object), "words")
    proto.graph.initializer.append(words)
    assert departures(loaded(proto), loaded(proto)) == []


def test_weights_in_attributes_are_weights() -> None:
    def linear(weight: float) -> Model:
        proto = mlp()
        last = proto.graph.node[-1].output[0]
        proto.graph.node[-1].output[0] = "z"
        given: dict[str, Any] = {"coefficients": [weight] * 100, "intercepts": [0.5] * 10}
        outputs, labels = ["label", last], [*range(10)]
        made = helper.make_node(
            "LinearClassifier", ["z"], outputs, domain="ai.onnx.ml", classlabels_ints=labels, **given
        )
        proto.graph.node.append(made)
        proto.opset_import.append(helper.make_opsetid("ai.onnx.ml", 1))
        return loaded(proto)

    assert departures(linear(0.25), linear(0.5)) == []


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
