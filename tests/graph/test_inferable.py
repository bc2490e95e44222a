"""Files that take onnx's shape inference down are described all the same."""

import onnx
import pytest
from onnx import TensorProto as T
from onnx import helper

import onnxunlearn
from onnxunlearn.graph import find_logits
from onnxunlearn.graph.inferable import inferable
from tests.small_network import ML, loaded, network, node


def encoded(before: onnx.NodeProto) -> onnx.ModelProto:
    """A label that is made of a tensor whose type is not inferred."""
    encoder = node("LabelEncoder", ["untyped"], ["label"], domain=ML, keys_floats=[0.0], values_int64s=[7])
    model = network([before, encoder])
    model.graph.output.append(helper.make_tensor_value_info("label", T.INT64, ["N", 6]))
    return model


def scaled() -> onnx.ModelProto:
    return encoded(node("Scaler", ["logits"], ["untyped"], domain=ML, offset=[0.0], scale=[1.0]))


def test_a_label_behind_what_nothing_is_inferred_for() -> None:
    model = loaded(scaled())
    assert model.shapes["logits"] == (None, 6)
    assert find_logits(model, "logits").classes == 6
    assert onnxunlearn.inspect(model, "logits").obstacle is None


@pytest.mark.parametrize("where", ["a body", "a function"])
def test_wherever_it_stands(where: str) -> None:
    plain = scaled()
    nodes = [plain.graph.node[-1]]
    info = helper.make_tensor_value_info("label", T.INT64, ["N", 6])
    if where == "a body":
        body = helper.make_graph(nodes, "body", [], [info])
        nodes = [node("If", ["yes"], ["either"], then_branch=body, else_branch=body)]
        plain.graph.node.append(nodes[0])
    else:
        opsets = [helper.make_opsetid(ML, 3)]
        plain.functions.append(helper.make_function("own", "Label", ["untyped"], ["label"], nodes, opsets))
    del plain.graph.node[len(network().graph.node) + 1]
    found = inferable(plain)
    assert found is not plain
    assert b"LabelEncoder" in plain.SerializeToString()
    assert b"LabelEncoder" not in found.SerializeToString()


def test_other_models_are_left_alone() -> None:
    model = network()
    assert inferable(model) is model
