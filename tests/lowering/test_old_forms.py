"""Ops as opset 7 to 10 wrote them compute the same in the words of opset 11, and keep every name."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from onnxunlearn.graph import FileBytes, Logits, Model
from onnxunlearn.lowering import renew
from onnxunlearn.lowering.old_forms import NEWER
from tests.lowering.lowered import ENGINES, normal, relevance, values

X = normal(2, 3, 4, 6)
_FOUR = [normal(3), normal(3), normal(3), np.abs(normal(3)) + 0.5]
_PLACES = np.array([[[[0, 2]]]])

#: op, opset, attributes, operands after the first
CASES: list[tuple[str, int, dict[str, Any], Sequence[np.ndarray]]] = [
    ("Slice", 7, {"starts": [1, -3], "ends": [3, 2**31 - 1], "axes": [1, 3]}, []),
    ("Slice", 9, {"starts": [0, 1], "ends": [2, 3]}, []),
    ("Pad", 7, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "value": 0.5}, []),
    ("Pad", 10, {"pads": [0, 0, 1, 2, 0, 0, 0, 1], "mode": "reflect"}, []),
    ("Clip", 7, {"min": -0.5, "max": 0.25}, []),
    ("Clip", 9, {"max": 0.25}, []),
    ("Clip", 10, {"min": 0.0}, []),
    ("TopK", 9, {"k": 2, "axis": 1}, []),
    ("BatchNormalization", 7, {"spatial": 1, "epsilon": 1e-3}, _FOUR),
    ("Scatter", 9, {"axis": 3}, [_PLACES, normal(1, 1, 1, 2)]),
    ("Upsample", 7, {"scales": [1.0, 1.0, 2.0, 3.0]}, []),
    ("Upsample", 9, {"mode": "linear"}, [np.array([1, 1, 1.5, 2], np.float32)]),
    ("Upsample", 9, {}, [np.array([1, 1, 1.5, 2], np.float32)]),
    ("Resize", 10, {"mode": "linear"}, [np.array([1, 1, 0.5, 2], np.float32)]),
    ("Resize", 10, {}, [np.array([1, 1, 1, 0.6], np.float32)]),
]


def network(op: str, opset: int, attributes: dict[str, Any], operands: Sequence[np.ndarray]) -> Model:
    """The op behind a Relu; its first output is averaged over space."""
    names = ["h", *(f"i{i}" for i in range(len(operands)))]
    made = ["y", "places"] if op == "TopK" else ["y"]
    nodes = [
        helper.make_node("Relu", ["x"], ["h"]),
        helper.make_node(op, names, made, name="the node", **attributes),
        helper.make_node("GlobalAveragePool", ["y"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "one",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, X.shape)],
        [onnx.ValueInfoProto(name="y"), onnx.ValueInfoProto(name="logits")],
        [numpy_helper.from_array(v, n) for n, v in zip(names[1:], operands, strict=True)],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=6)
    return Model(FileBytes(proto.SerializeToString()), proto)


@pytest.mark.parametrize(("op", "opset", "attributes", "operands"), CASES, ids=lambda v: str(v)[:30])
def test_it_computes_the_same(
    op: str, opset: int, attributes: dict[str, Any], operands: Sequence[np.ndarray]
) -> None:
    model = network(op, opset, attributes, operands)
    made = renew(model)
    assert made.opsets[""] == NEWER
    assert renew(made) is made
    assert made.producer["y"].name == "the node"
    wanted = values(model, {"x": X})
    for engine in ENGINES if op in {"TopK", "Upsample", "Resize"} else [*ENGINES, "torch"]:
        for name, value in values(made, {"x": X}, engine).items():
            np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("case", [c for c in CASES if c[0] in {"Upsample", "Resize"}], ids=str)
def test_gradients_are_those_of_what_is_computed(
    case: tuple[str, int, dict[str, Any], Sequence[np.ndarray]],
) -> None:
    """Of the sum of what is behind a resize: a place counts as often as it is taken."""
    model = network(*case)
    x = np.abs(X) + 0.1
    classes = 3
    targets = np.arange(len(x)) % classes
    found = relevance(model, {"x": x}, ["x"], "gradient", Logits("logits", "logits", classes, None), targets)[
        "x"
    ]
    before = values(model, {"x": x})["logits"]
    step, wanted = 1e-2, np.zeros_like(x)
    for place in np.ndindex(*x.shape[1:]):
        moved = x.copy()
        moved[(slice(None), *place)] += step
        change = values(model, {"x": moved})["logits"] - before
        wanted[(slice(None), *place)] = change[np.arange(len(x)), targets] / step
    wanted *= before[np.arange(len(x)), targets][:, None, None, None]  # which the way back begins with
    np.testing.assert_allclose(found, wanted, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize(
    ("op", "opset", "attributes", "operands"),
    [
        ("Relu", 6, {}, []),
        ("BatchNormalization", 7, {"spatial": 0}, [np.ones((3, 4, 6), np.float32)] * 4),
        ("Resize", 10, {}, [np.array([1, 1, 0.5, 2], np.float32)]),
        ("ConvTranspose", 10, {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, [normal(3, 2, 3, 3)]),
    ],
    ids=["before opset 7", "a mean of each place", "both larger and smaller", "padded by itself"],
)
def test_what_cannot_be_written_so_is_left(
    op: str, opset: int, attributes: dict[str, Any], operands: Sequence[np.ndarray]
) -> None:
    model = network(op, opset, attributes, operands)
    assert renew(model) is model


@pytest.mark.parametrize("read", [False, True])
def test_the_mask_of_a_dropout(read: bool) -> None:
    """It was of floats, and is of truth values now: what is declared of it does not hold; one read stays."""
    proto = onnx.parser.parse_model("""<ir_version: 6, opset_import: ["" : 7]>
        g (float[2, 3] x) => (float[2, 3] z) <float[2, 3] mask> {
            y, mask = Dropout <ratio = 0.5> (x)
            z = Relu (y) }""")
    if read:
        proto.graph.output.append(onnx.helper.make_tensor_value_info("mask", TensorProto.FLOAT, [2, 3]))
    model = Model(FileBytes(proto.SerializeToString()), proto)
    made = renew(model)
    assert (made is model) == read
    if not read:
        assert made.opsets[""] == NEWER
        x = {"x": normal(2, 3)}
        assert np.array_equal(values(model, x)["z"], values(made, x)["z"])


def test_a_graph_within_is_left_with_all_around_it() -> None:
    """What stands there would be read as what it means in the newer opset."""
    proto = onnx.parser.parse_model("""<ir_version: 6, opset_import: ["" : 10]>
        g (float[2, 3] x, bool c) => (float[2, 3] z) <float[1] one = {1}> {
            y = Clip <min = 0.0> (x)
            z = If (c) <then_branch = t () => (float[2, 3] a) { a = Clip <max = 1.0> (y) },
                        else_branch = e () => (float[2, 3] b) { b = Add (y, one) }> }""")
    model = Model(FileBytes(proto.SerializeToString()), proto)
    assert renew(model) is model


@pytest.mark.parametrize("node", ["Pad <pads = [0, 1, 0, 1], value = 0.5> (x)", "Clip <min = 0.0> (x)"])
@pytest.mark.parametrize("kind", ["double", "float16"])
def test_what_was_an_attribute_is_of_the_type_of_what_is_read(kind: str, node: str) -> None:
    proto = onnx.parser.parse_model(f"""<ir_version: 6, opset_import: ["" : 9]>
        g ({kind}[2, 3] x) => ({kind}[2, n] y) {{ y = {node} }}""")
    made = renew(Model(FileBytes(proto.SerializeToString()), proto))
    assert made.opsets[""] == NEWER
    onnx.checker.check_model(onnx.load_from_string(made.proto.SerializeToString()), full_check=True)


def test_a_name_that_the_model_has_is_given_to_nothing_else() -> None:
    """Once the model's own constant took the place of the bound, without a word."""
    proto = onnx.parser.parse_model("""<ir_version: 6, opset_import: ["" : 9]>
        g (float[2, 3] x) => (float[2, 3] z, float[2, 3] y) <float five = {5}> {
            y = Clip <min = -0.5, max = 0.5> (x) z = Add (y, five) }""")
    proto.graph.initializer[0].name = proto.graph.node[1].input[1] = "y / constant 0"
    model, x = Model(FileBytes(proto.SerializeToString()), proto), normal(2, 3)
    wanted, found = values(model, {"x": x}), values(renew(model), {"x": x})
    for name in ("y", "z"):
        np.testing.assert_array_equal(found[name], wanted[name])
