"""Weights that linear models have in attributes: found, lowered to the layer they are, edited in place."""

from collections.abc import Sequence
from time import process_time
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, load, patch
from onnxunlearn.graph.wire import varint
from onnxunlearn.judge import diff
from onnxunlearn.lowering import lower
from tests.lowering.lowered import assert_same, normal

ROWS, BIAS = normal(4, 3), normal(4)
X = normal(5, 3)
NAMES = ("label / coefficients", "label / intercepts")


def linear(op: str = "LinearClassifier", x: np.ndarray = X, rows: int = 4, **attributes: Any) -> Model:
    given: dict[str, Any] = {"coefficients": ROWS.ravel().tolist(), "intercepts": BIAS.tolist()}
    given |= {"classlabels_ints": list(range(rows))} if op == "LinearClassifier" else {"targets": rows}
    outputs = ["label", "y"] if op == "LinearClassifier" else ["label"]
    node = helper.make_node(op, ["x"], outputs, name="linear", domain="ai.onnx.ml", **{**given, **attributes})
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    graph = helper.make_graph(
        [node],
        "linear",
        [helper.make_tensor_value_info("x", kind, ["N", x.shape[1]])],
        [onnx.ValueInfoProto(name=name) for name in outputs],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 1)]
    return load(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


@pytest.mark.parametrize("transform", ["NONE", "SOFTMAX", "LOGISTIC"])
@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_a_classifier_as_a_layer(transform: str, kind: Any) -> None:
    x = (X * 10).astype(kind)
    model = linear(x=x, post_transform=transform)
    lowered = lower(model)
    assert [node.kind for node in lowered.nodes if node.traits.linear] == ["Gemm"]
    assert_same(model, lowered, {"x": x}, 2e-6)


def test_a_regressor_as_a_layer() -> None:
    model = linear("LinearRegressor")
    assert_same(model, lower(model), {"x": X}, 2e-6)


def test_labels_that_are_text() -> None:
    ort = pytest.importorskip("onnxruntime")
    model = linear(classlabels_ints=None, classlabels_strings=list("abcd"))
    before, after = (
        ort.InferenceSession(m.proto.SerializeToString()).run(["label"], {"x": X})[0]
        for m in (model, lower(model))
    )
    assert before.tolist() == after.tolist()


@pytest.mark.parametrize(
    "attributes",
    [{"post_transform": "PROBIT"}, {"coefficients": ROWS[:3].ravel().tolist(), "intercepts": [0.0]}],
)
def test_what_is_not_covered_stays(attributes: dict[str, Any]) -> None:
    model = linear(**attributes)
    assert lower(model) is model


def test_one_score_of_two_classes_is_no_layer_of_two() -> None:
    """Four features of one score, not two of each class."""
    one: dict[str, Any] = {"coefficients": [1.0, 2, 3, 4], "intercepts": [0.5]}
    model = linear(x=normal(5, 4), rows=2, **one)
    assert model.array(NAMES[0]).shape == (1, 4)
    assert lower(model) is model


def rewritten(model: Model, pieces: Sequence[int], content: bytes = b"") -> Model:
    """As other writers have it: of so many floats each in one piece, and with something between them."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    node, parts = proto.graph.node[0], []
    for attribute in node.attribute:
        values = np.array_split(np.array(attribute.floats, "<f4"), pieces)
        attribute.ClearField("floats")
        held = [_field(7, piece.tobytes()) for piece in values if len(piece)]
        body = attribute.SerializeToString() + content.join(held)
        parts.append(_field(5, body))
    del node.attribute[:]
    whole = _field(1, node.SerializeToString() + b"".join(parts))
    del proto.graph.node[:]
    graph = _field(7, proto.graph.SerializeToString() + whole)
    proto.ClearField("graph")
    return load(proto.SerializeToString() + graph)


def _field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    "model",
    [
        linear(),
        rewritten(linear(), []),
        rewritten(linear(), [0, 1, 7], b"\x6a\x03doc"),
    ],
    ids=["each", "in one piece", "in pieces"],
)
def test_an_edit_changes_these_floats_alone(model: Model) -> None:
    assert np.array_equal(model.array(NAMES[0]), ROWS)
    edited = ROWS.copy()
    edited[2] = 7
    made = load(bytes(patch(model, {NAMES[0]: edited})))
    assert np.array_equal(made.array(NAMES[0]), edited)
    assert np.array_equal(made.array(NAMES[1]), BIAS)
    found = diff(model, made)
    assert found.others == ()
    (tensor,) = found.tensors
    assert (tensor.name, tensor.layer, tensor.role, tensor.rows) == (NAMES[0], "linear", "weight", (2,))
    assert len(made.content) == len(model.content)
    assert found.bytes <= 12


def test_a_tensor_of_that_name_wins() -> None:
    """Then the node stays what it is, and the tensor what is edited."""
    proto = linear().proto
    proto.graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.float32), NAMES[0]))
    proto.graph.output.append(helper.make_tensor_value_info("z", 1, [2]))
    proto.graph.node.append(helper.make_node("Identity", [NAMES[0]], ["z"]))
    model = load(proto.SerializeToString())
    assert model.array(NAMES[0]).tolist() == [1, 2]
    assert lower(model) is model
    made = load(bytes(patch(model, {NAMES[0]: np.array([3, 4], np.float32)})))
    assert made.array(NAMES[0]).tolist() == [3, 4]
    assert made.graph.node[0] == model.graph.node[0]


def test_many_floats_take_no_longer_than_reading_them() -> None:
    count = 100_000
    model = linear(x=normal(1, count), coefficients=np.ones(4 * count).tolist())
    begun = process_time()
    made = load(bytes(patch(model, {NAMES[0]: np.full((4, count), 2, np.float32)})))
    assert process_time() - begun < 3
    assert np.array_equal(made.array(NAMES[0]), np.full((4, count), 2))


def test_a_graph_in_pieces_is_told() -> None:
    whole = linear().proto
    nodes = _field(1, whole.graph.node[0].SerializeToString())
    del whole.graph.node[:]
    model = load(whole.SerializeToString() + _field(7, nodes))
    with pytest.raises(UnsupportedError, match="the graph is stored in pieces; load and save"):
        patch(model, {NAMES[1]: BIAS + 1})
