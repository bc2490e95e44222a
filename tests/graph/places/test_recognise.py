"""Class scores at places are told from a model's outputs, whatever stands behind them."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.errors import InputError
from onnxunlearn.graph import find_logits
from onnxunlearn.graph.places import find_places

from ..models import build, loaded, numbers, tensor, value
from . import heads


@pytest.mark.parametrize(
    ("end", "scores", "normaliser", "output_axis", "behind"),
    [
        (heads.plain, "y", None, 1, ()),
        (heads.enlarged, "s", None, 1, ("enlarged",)),
        (heads.enlarged_by_convolution, "s", None, 1, ("enlarged",)),
        (heads.decided, "s", None, None, ("ArgMax",)),
        (heads.channels_last, "s", "Softmax", 3, ("Softmax",)),
        (heads.sigmoid, "s", "Sigmoid", 1, ("Sigmoid",)),
        (heads.tiles, "y", None, 1, ()),
    ],
)
def test_a_segmenter(
    end: heads.MakeEnd, scores: str, normaliser: str | None, output_axis: int | None, behind: tuple[str, ...]
) -> None:
    found = find_places(loaded(heads.segmenter(end)))
    assert found is not None
    assert (found.task, found.classes, found.heads) == ("segmentation", heads.CLASSES, ("head",))
    assert (found.scores, found.class_axis, found.place_axes) == ((scores,), 1, (2, 3))
    assert (found.normaliser, found.output_axis, found.behind) == (normaliser, output_axis, behind)
    assert found.decided == (end is heads.decided)
    assert found.independent == (end is heads.sigmoid)


def test_a_segmenter_with_a_linear_head_and_channels_last() -> None:
    found = find_places(loaded(heads.segmenter(heads.dense_channels_last)))
    assert found is not None
    assert (found.task, found.classes, found.heads) == ("segmentation", heads.CLASSES, ("head",))
    assert (found.scores, found.class_axis, found.place_axes) == (("s",), 3, (1, 2))
    assert (found.normaliser, found.output_axis) == ("Softmax", 3)


def test_a_tagger() -> None:
    found = find_places(loaded(heads.tagger()))
    assert found is not None
    assert (found.task, found.class_axis, found.place_axes) == ("tagging", 2, (1,))
    assert (found.scores, found.heads, found.objects) == (("y",), ("head",), (0, 1, 2, 3))


def test_a_tagger_of_any_number_of_tokens_is_no_classifier() -> None:
    proto = heads.tagger()
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[1].Clear()
    model = loaded(proto)
    assert model.shapes["y"] == (None, None, heads.CLASSES)
    with pytest.raises(InputError, match="no usable logits"):
        find_logits(model)
    found = find_places(model)
    assert found is not None
    assert found.task == "tagging"


def hidden(tokens: str | int, *, decided: bool = False) -> onnx.ModelProto:
    """[N, 8] seen as [N, 1, 8] by a shape that inference does not tell -> classes at so many places, as it
    declares; or the best of them."""
    end = helper.make_node(*(("ArgMax", ["s"]) if decided else ("Softmax", ["s"])), ["y"], axis=-1)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "one"], ["x3"]),
        helper.make_node("Shape", ["x3"], ["sizes"]),
        helper.make_node("Compress", ["sizes", "all"], ["same"]),
        helper.make_node("Reshape", ["x3", "same"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["s"], "head"),
        end,
    ]
    stored = [tensor("one", np.array([1])), tensor("all", np.ones(3, bool)), tensor("w", numbers(8, 5))]
    kind = TensorProto.INT64 if decided else TensorProto.FLOAT
    said = value("y", ["N", tokens, 1 if decided else 5], kind)
    return build(nodes, [value("x", ["N", 8])], [said], stored)


def test_what_is_declared_tells_places_where_nothing_was_inferred() -> None:
    model = loaded(hidden("T"))
    assert "s" not in model.shapes
    found = find_places(model)
    assert found is not None
    assert (found.task, found.class_axis, found.place_axes) == ("tagging", 2, (1,))
    assert find_places(loaded(hidden(1))) is None  # a classifier that kept its only place
    assert find_places(loaded(hidden("T", decided=True))) is None  # of whose axes one may be lost


def test_a_softmax_over_places_is_no_class_at_each() -> None:
    assert find_places(loaded(heads.segmenter(heads.wrong_axis))) is None


def test_a_map_that_no_layer_makes_is_none() -> None:
    node = helper.make_node("Relu", ["x"], ["y"])
    assert (
        find_places(loaded(build([node], [value("x", ["N", 3, 8, 8])], [value("y", ["N", 3, 8, 8])]))) is None
    )


def with_both(first: onnx.ModelProto) -> onnx.ModelProto:
    """What it decides is an output, too."""
    first.graph.node.append(helper.make_node("ArgMax", ["y"], ["decided"], axis=1, keepdims=0))
    first.graph.output.append(value("decided", ["N", None, None], TensorProto.INT64))
    return first


def test_of_outputs_that_say_the_same_the_scores_count() -> None:
    found = find_places(loaded(with_both(heads.segmenter(heads.plain))))
    assert found is not None
    assert (found.outputs, found.decided) == (("y",), False)
    named = find_places(loaded(with_both(heads.segmenter(heads.plain))), "decided")
    assert named is not None
    assert (named.outputs, named.decided) == (("decided",), True)


def test_several_outputs_have_to_be_chosen_from() -> None:
    proto = heads.segmenter(heads.plain)
    nodes, _ = heads.plain()
    nodes[0].input[:] = ["r1", "w", "b"]
    nodes[0].output[:] = ["z"]
    proto.graph.node.extend(nodes)
    proto.graph.output.append(value("z", ["N", None, None, None]))
    with pytest.raises(InputError, match="several outputs could hold class scores at places: y, z; choose"):
        find_places(loaded(proto))
    found = find_places(loaded(proto), "z")
    assert found is not None
    assert found.scores == ("z",)
    with pytest.raises(InputError, match="no output 'w'"):
        find_places(loaded(proto), "w")
