"""Where a class is one number: behind every trail an exporter puts there, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, find_logits, load

from .models import SAMPLES, Dims, assert_one_line, build, loaded, numbers, tensor, value

AXES = tensor("axes", np.array([2, 3]))
PAIR = tensor("pair", np.array([0, 5]))

#: nodes as (op, input, output, attributes), an input may be two with a comma between
Trail = Sequence[tuple[str, str, str, dict[str, Any]]]


def classifier(
    trail: Trail,
    outputs: Sequence[onnx.ValueInfoProto],
    *,
    head: str = "Gemm",
    batch: str | int = "N",
) -> onnx.ModelProto:
    """A head that makes `h` (five classes; [N, 5], or [N, 5, 1, 1] by a Conv), and what stands behind it."""
    conv = head == "Conv"
    features: Dims = [batch, 4, 1, 1] if conv else [batch, 4]
    weight = numbers(5, 4, 1, 1) if conv else numbers(4, 5)
    nodes = [helper.make_node(head, ["x", "w"], ["h"], name="head")]
    nodes += [
        helper.make_node(op, source.split(","), [target], **attributes)
        for op, source, target, attributes in trail
    ]
    return build(nodes, [value("x", features)], outputs, [tensor("w", weight), AXES, PAIR])


SCORES = value("y", ["N", 5])

TRAILS: dict[str, tuple[Trail, str, Logits]] = {
    "nothing": ([("Identity", "h", "y", {})], "Gemm", Logits("y", "y", 5, None)),
    "softmax": ([("Softmax", "h", "y", {})], "Gemm", Logits("h", "y", 5, "Softmax")),
    "logsoftmax": ([("LogSoftmax", "h", "y", {"axis": 1})], "MatMul", Logits("h", "y", 5, "LogSoftmax")),
    "sigmoid": ([("Sigmoid", "h", "y", {})], "Gemm", Logits("h", "y", 5, "Sigmoid")),
    "reshape behind softmax": (
        [("Softmax", "h", "p", {"axis": 1}), ("Reshape", "p,pair", "y", {})],
        "Conv",
        Logits("h", "y", 5, "Softmax"),
    ),
    "softmax behind reshape": (
        [("Reshape", "h,pair", "r", {}), ("Softmax", "r", "y", {})],
        "Conv",
        Logits("r", "y", 5, "Softmax"),
    ),
    "flatten and cast behind sigmoid": (
        [
            ("Sigmoid", "h", "p", {}),
            ("Flatten", "p", "f", {}),
            ("Cast", "f", "d", {"to": TensorProto.DOUBLE}),
            ("Cast", "d", "y", {"to": TensorProto.FLOAT}),
        ],
        "Conv",
        Logits("h", "y", 5, "Sigmoid"),
    ),
    "squeeze": ([("Squeeze", "h,axes", "y", {})], "Conv", Logits("y", "y", 5, None)),
    "squeeze behind logsoftmax": (
        [("LogSoftmax", "h", "p", {"axis": 1}), ("Squeeze", "p,axes", "y", {})],
        "Conv",
        Logits("h", "y", 5, "LogSoftmax"),
    ),
}


@pytest.mark.parametrize("name", TRAILS)
def test_trails(name: str) -> None:
    trail, head, expected = TRAILS[name]
    assert find_logits(loaded(classifier(trail, [SCORES], head=head))) == expected


def test_an_image_of_one_pixel() -> None:
    proto = classifier([("Identity", "h", "y", {})], [value("y", ["N", 5, 1, 1])], head="Conv")
    assert find_logits(loaded(proto)) == Logits("y", "y", 5, None)


def test_a_softmax_within_the_network_is_not_the_end_of_it() -> None:
    nodes = [
        helper.make_node("Softmax", ["x"], ["attention"]),
        helper.make_node("Gemm", ["attention", "w"], ["y"]),
    ]
    proto = build(nodes, [value("x", ["N", 4])], [SCORES], [tensor("w", numbers(4, 5))])
    assert find_logits(loaded(proto)) == Logits("y", "y", 5, None)


def test_logits_and_their_probabilities_are_one_answer() -> None:
    proto = classifier([("Softmax", "h", "p", {})], [value("h", ["N", 5]), value("p", ["N", 5])])
    assert find_logits(loaded(proto)) == Logits("h", "h", 5, None)


TWO_HEADS = classifier(
    [("Softmax", "h", "y", {}), ("Relu", "h", "z", {})],
    [value("y", ["N", 5]), value("z", ["N", 5]), value("i", ["N"], TensorProto.INT64)],
)
TWO_HEADS.graph.node.append(helper.make_node("ArgMax", ["h"], ["i"], axis=1, keepdims=0))


def test_several_outputs_are_ambiguous() -> None:
    with pytest.raises(InputError) as caught:
        find_logits(loaded(TWO_HEADS))
    assert_one_line(caught.value, "several outputs could hold class scores: y, z", "--output-name")


@pytest.mark.parametrize(
    ("name", "expected"), [("y", Logits("h", "y", 5, "Softmax")), ("z", Logits("z", "z", 5, None))]
)
def test_a_name_chooses_among_several(name: str, expected: Logits) -> None:
    assert find_logits(loaded(TWO_HEADS), name) == expected


def test_a_name_that_is_no_output() -> None:
    with pytest.raises(InputError) as caught:
        find_logits(loaded(TWO_HEADS), "h")
    assert_one_line(caught.value, "no output 'h'; the model has: y, z, i")


def test_a_named_output_without_scores() -> None:
    with pytest.raises(InputError) as caught:
        find_logits(loaded(TWO_HEADS), "i")
    assert_one_line(caught.value, "output 'i' holds no class scores")


def test_an_output_that_holds_no_scores_is_no_candidate() -> None:
    proto = onnx.ModelProto()
    proto.CopyFrom(TWO_HEADS)
    del proto.graph.output[1]
    assert find_logits(loaded(proto)).output == "y"


@pytest.mark.parametrize(
    ("dims", "kind"),
    [
        (["N", 3, 8, 8], TensorProto.FLOAT),
        (["N", 3, "H", "W"], TensorProto.FLOAT),
        (["N", 1, 1, 5], TensorProto.FLOAT),
        (["N", 1], TensorProto.FLOAT),
        (["N"], TensorProto.FLOAT),
        ([], TensorProto.FLOAT),
        (["N", 5], TensorProto.INT64),
        (["N", 5], TensorProto.STRING),
    ],
)
def test_no_usable_logits(dims: Dims, kind: int) -> None:
    proto = build(
        [helper.make_node("Identity", ["x"], ["y"])], [value("x", dims, kind)], [value("y", dims, kind)]
    )
    with pytest.raises(InputError) as caught:
        find_logits(loaded(proto))
    why = "'y' is one score" if dims == ["N", 1] else "must be a classifier"
    assert_one_line(caught.value, "no usable logits", "y", why)


def test_a_constant_output_is_no_logit() -> None:
    proto = build(
        [helper.make_node("Identity", ["x"], ["z"]), helper.make_node("Identity", ["w"], ["y"])],
        [value("x", ["N"])],
        [value("z", ["N"]), value("y", [2, 5])],
        [tensor("w", numbers(2, 5))],
    )
    with pytest.raises(InputError, match="no usable logits"):
        find_logits(loaded(proto))


@pytest.mark.parametrize("kind", [TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BFLOAT16])
def test_other_floats(kind: int) -> None:
    proto = build(
        [helper.make_node("Softmax", ["x"], ["y"])],
        [value("x", ["N", 5], kind)],
        [value("y", ["N", 5], kind)],
    )
    assert find_logits(loaded(proto)) == Logits("x", "y", 5, "Softmax")


def unknown_shape(head: str, attributes: dict[str, Any], weight: np.ndarray) -> onnx.ModelProto:
    """The head's input comes from an op nobody knows, and the file declares a shape without sizes."""
    nodes = [
        helper.make_node("Mystery", ["x"], ["m"], domain="my.company"),
        helper.make_node(head, ["m", "w"], ["h"], **attributes),
    ]
    if head == "MatMul":
        nodes.append(helper.make_node("Add", ["h", "b"], ["s"]))
    nodes.append(helper.make_node("Softmax", ["s" if head == "MatMul" else "h"], ["y"]))
    return build(
        nodes,
        [value("x", ["N", 4])],
        [value("y", [None, None])],
        [tensor("w", weight), tensor("b", numbers(1))],
    )


@pytest.mark.parametrize(
    ("head", "attributes", "weight"),
    [
        ("MatMul", {}, numbers(4, 5)),
        ("Gemm", {}, numbers(4, 5)),
        ("Gemm", {"transB": 1}, numbers(5, 4)),
        ("Conv", {}, numbers(5, 4, 1, 1)),
    ],
)
def test_where_shapes_are_unknown_the_head_knows_the_classes(
    head: str, attributes: dict[str, Any], weight: np.ndarray
) -> None:
    model = loaded(unknown_shape(head, attributes, weight))
    assert model.shapes.get("h", (None, None))[1] in {None, 5}
    assert find_logits(model).classes == 5


@pytest.mark.parametrize("size", [0, -1])
def test_sizes_that_are_none(size: int) -> None:
    """Some exporters write a free size as 0 or -1."""
    proto = unknown_shape("MatMul", {}, numbers(4, 5))
    proto.graph.output[0].CopyFrom(value("y", [size, size]))
    proto.graph.value_info.append(value("s", [size, size]))
    assert find_logits(loaded(proto)).classes == 5


def test_an_unknown_op_before_the_output_hides_the_classes() -> None:
    proto = build(
        [helper.make_node("Mystery", ["x"], ["y"], domain="my.company")],
        [value("x", ["N", 4])],
        [value("y", [None, None])],
    )
    with pytest.raises(InputError, match="no usable logits"):
        find_logits(loaded(proto))


@pytest.mark.parametrize("name", ["mnist_mlp", "mnist_cnn", "mnist_resnet", "fashion_mobile"])
def test_sample_models(name: str) -> None:
    assert find_logits(load(SAMPLES / f"{name}.onnx")) == Logits("logits", "logits", 10, None)
