"""Free sizes given by the user."""

import pytest
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, load, parse_shapes, with_input_shapes


def free_model() -> Model:
    """x [n, 3, h, w] → GlobalAveragePool → Flatten → logits."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "free", [x], [logits])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return load(proto.SerializeToString())


@pytest.mark.parametrize("text", ["x:1,3,8,9", "x:[1,3,8,9]", "x:1x3x8x9", "x: 1, 3, 8, 9"])
def test_parse(text: str) -> None:
    assert parse_shapes([text]) == {"x": (1, 3, 8, 9)}


def test_a_name_may_hold_colons() -> None:
    assert parse_shapes(["serving:0:2,3"]) == {"serving:0": (2, 3)}


@pytest.mark.parametrize("text", ["x", "x:", ":1,2", "x:1,-2", "x:1,a", "x:0,1"])
def test_parse_errors(text: str) -> None:
    with pytest.raises(InputError, match="expected NAME:SIZE"):
        parse_shapes([text])


def test_free_sizes_are_fixed_and_the_batch_is_not() -> None:
    model = free_model()
    fixed = with_input_shapes(model, {"x": (1, 3, 8, 9)})
    assert fixed.shapes["x"] == (None, 3, 8, 9)
    assert fixed.data == model.data
    assert model.shapes["x"] == (None, 3, None, None)


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        ({"y": (1, 3, 8, 8)}, "the model's inputs are x"),
        ({"x": (1, 3, 8)}, "does not fit"),
        ({"x": (1, 4, 8, 8)}, r"x:1,4,8,8 does not fit the declared \[\?, 3, \?, \?\]"),
    ],
)
def test_what_does_not_fit_is_named(shapes: dict[str, tuple[int, ...]], named: str) -> None:
    with pytest.raises(InputError, match=named):
        with_input_shapes(free_model(), shapes)
