"""Where a class is one number: behind every trail an exporter puts there, and nowhere else."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, are_probabilities, every_logits, expose, find_logits, load

from .models import SAMPLES, Dims, assert_one_line, build, loaded, numbers, run, tensor, value

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


def test_all_that_could_be_meant_in_the_order_of_outputs() -> None:
    assert every_logits(loaded(TWO_HEADS)) == [Logits("h", "y", 5, "Softmax"), Logits("z", "z", 5, None)]
    again = classifier(
        [("Softmax", "h", "y", {}), ("Relu", "h", "z", {}), ("LogSoftmax", "h", "p", {})],
        [value("y", ["N", 5]), value("z", ["N", 5]), value("p", ["N", 5])],
    )
    assert [found.output for found in every_logits(loaded(again))] == ["y", "z"]


def test_several_outputs_are_ambiguous() -> None:
    with pytest.raises(InputError) as caught:
        find_logits(loaded(TWO_HEADS))
    assert_one_line(caught.value, "several outputs could hold class scores: y, z", "--output-name")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("y", Logits("h", "y", 5, "Softmax")),
        ("z", Logits("z", "z", 5, None)),
        ("i", Logits("h", "i", 5, None, "h")),
    ],
)
def test_a_name_chooses_among_several(name: str, expected: Logits) -> None:
    assert find_logits(loaded(TWO_HEADS), name) == expected


def test_a_name_that_is_no_output() -> None:
    with pytest.raises(InputError) as caught:
        find_logits(loaded(TWO_HEADS), "h")
    assert_one_line(caught.value, "no output 'h'; the model has: y, z, i")


def test_a_named_output_without_scores() -> None:
    proto = classifier([("Identity", "h", "y", {})], [SCORES, value("c", ["N"], TensorProto.INT64)])
    proto.graph.node.append(helper.make_node("Cast", ["h"], ["c"], to=TensorProto.INT64))
    with pytest.raises(InputError) as caught:
        find_logits(loaded(proto), "c")
    assert_one_line(caught.value, "output 'c' holds no class scores")


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


def rows_of_places(batch: int | str) -> onnx.ModelProto:
    """As detectors whose exports drop the axis of samples: [1, 3, 4, 4] as [16, 3]."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["t", "rows"], ["z"]),
        helper.make_node("Softmax", ["z"], ["y"], axis=1),
    ]
    ends = [value("y", [None, None]), value("z", [None, None])]
    return build(nodes, [value("x", [batch, 3, 4, 4])], ends, [tensor("rows", np.array([16, 3]))])


@pytest.mark.parametrize(("batch", "samples"), [(1, "1 sample"), (2, "2 samples"), ("N", "any number of")])
def test_rows_that_are_no_samples(batch: int | str, samples: str) -> None:
    model = loaded(rows_of_places(batch))
    assert every_logits(model) == []
    with pytest.raises(InputError) as caught:
        find_logits(model)
    assert_one_line(caught.value, "no usable logits", "'y' has 16 rows for", samples)
    with pytest.raises(InputError) as caught:
        find_logits(model, "y")
    assert_one_line(caught.value, "output 'y' holds no class scores", "16 rows for", samples)


def test_what_is_written_of_an_output_is_not_believed_where_its_nodes_make_a_row_for_each_sample() -> None:
    """As where the number of samples that go in was freed afterwards, and nothing else."""
    proto = build(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [value("x", ["N", 4])],
        [value("y", [8, 3])],
        [tensor("w", numbers(4, 3))],
    )
    assert find_logits(loaded(proto)).classes == 3


def test_one_score_is_no_class_score_where_shapes_are_unknown_either() -> None:
    proto = unknown_shape("MatMul", {}, numbers(4, 1))
    proto.graph.node[-1].op_type = "Sigmoid"
    proto.graph.output[0].CopyFrom(value("y", [None, 1]))
    with pytest.raises(InputError, match="'y' is one score, but each class needs its own"):
        find_logits(loaded(proto))


def test_rows_that_are_the_samples_of_a_fixed_batch() -> None:
    assert find_logits(loaded(rows_of_places(16)), "y").classes == 3


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


def mixed(tail: Trail) -> onnx.ModelProto:
    """Behind the Softmax `p` stands what the tail says; `m` mixes classes, its rows add up to 1."""
    proto = classifier([("Softmax", "h", "p", {}), *tail], [SCORES])
    mixing = np.random.default_rng(0).dirichlet(np.ones(5), 5).astype(np.float32)
    proto.graph.initializer.append(tensor("m", mixing))
    return proto


def test_probabilities_that_nobody_traced_are_no_logits() -> None:
    model = loaded(mixed([("MatMul", "p,m", "y", {})]))
    found = find_logits(model)
    assert found == Logits("y", "y", 5, None)
    x = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    y = run(model.proto, {"x": x}, ["y"])[0]
    assert are_probabilities(y)
    (line,) = found.doubts(y)
    assert "output 'y': its scores are probabilities" in line
    seen = found.as_seen(model, y)
    assert (seen.normaliser, seen.output, seen.scores, seen.classes) == ("Softmax", "y", "y", 5)
    z = run(expose(seen.within(model), [seen.tensor]), {"x": x})[0]
    np.testing.assert_allclose(np.exp(z), y, rtol=1e-5)
    assert seen.within(seen.within(model)).proto.ByteSize() == seen.within(model).proto.ByteSize()
    assert seen.doubts(y) == []  # said once


def test_what_was_made_of_probabilities_is_said_where_it_got_lost() -> None:
    model = loaded(mixed([("Sin", "p", "s", {}), ("Relu", "s", "y", {})]))
    found = find_logits(model)
    assert (found.tensor, found.normaliser) == ("y", None)
    assert found.lost is not None
    assert "op Sin" in found.lost
    (line,) = found.doubts(np.full((3, 5), 0.4))
    assert "what node 'Sin" in line
    assert found.doubts(np.full((3, 5), 1.5)) == []  # no probabilities


def test_raw_scores_are_not_doubted() -> None:
    model = loaded(classifier([("Identity", "h", "y", {})], [SCORES]))
    found = find_logits(model)
    scores = np.random.default_rng(0).normal(size=(20, 5))
    assert found.doubts(scores) == []
    assert found.as_seen(model, scores) is found
    assert not are_probabilities(np.abs(scores))
    assert not are_probabilities(np.zeros((0, 5)))


def test_logits_that_no_tensor_holds_are_made_in_memory() -> None:
    trail: Trail = [("Softmax", "h", "p", {}), ("Gather", "p,order", "y", {"axis": 1})]
    proto = classifier(trail, [SCORES])
    proto.graph.initializer.append(tensor("order", np.array([4, 3, 2, 1, 0])))
    model = loaded(proto)
    found = find_logits(model)
    assert (found.tensor, found.of) == ("logits of y", "h at 4, 3, 2, 1, 0")
    assert found.made is not None
    seen = found.within(model)
    assert seen.origin is model
    assert found.tensor not in model.producer
    x = np.random.default_rng(1).normal(size=(20, 4)).astype(np.float32)
    h, z = run(expose(seen, ["h", found.tensor]), {"x": x})
    np.testing.assert_array_equal(z, h[:, ::-1])


@pytest.mark.parametrize(
    ("normaliser", "top", "threshold"),
    [
        (None, 1, 0),
        ("Sigmoid", 1, 0.5),
        ("Sigmoid", 100, 50),
        ("LogSigmoid", 1, np.log(0.5)),
    ],
)
def test_thresholds(normaliser: str | None, top: float, threshold: float) -> None:
    found = Logits("z", "y", 5, normaliser, top=top)
    assert found.threshold == pytest.approx(threshold)
    assert found.independent == (normaliser is not None)
