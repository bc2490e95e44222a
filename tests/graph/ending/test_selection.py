"""Outputs that only name classes, or give the best few: what they read are the class scores."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from onnxunlearn import inspect, unlearn
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, expose, find_logits

from ..models import assert_one_line, loaded, run
from .ways import Way, X, proto

INTEGERS, INT32, FLOATS = TensorProto.INT64, TensorProto.INT32, TensorProto.FLOAT

#: nodes, the type of `y`, the tensor of the scores, the normaliser, what is said to be picked
PICKED = {
    "TopK": ("y, i = TopK <axis = 1> (z, k)", FLOATS, "z", None, "TopK 3"),
    "TopK's indices": ("v, y = TopK <axis = 1> (z, k)", INTEGERS, "z", None, "TopK 3"),
    "TopK of probabilities": (
        "p = Softmax <axis = 1> (z); y, i = TopK <axis = 1> (p, k)",
        FLOATS,
        "p",
        "Softmax",
        "TopK 3",
    ),
    "ArgMax": ("y = ArgMax <axis = 1, keepdims = 0> (z)", INTEGERS, "z", None, "ArgMax"),
    "ArgMax, kept": (
        "a1 = ArgMax <axis = 1> (z); y = Cast <to = 6> (a1)",
        TensorProto.INT32,
        "z",
        None,
        "ArgMax",
    ),
    "names by ArgMax": (
        "a1 = ArgMax <axis = 1, keepdims = 0> (z); y = Gather(names, a1)",
        INTEGERS,
        "z",
        None,
        "ArgMax",
    ),
    "names by TopK": (
        "v, i = TopK <axis = 1> (z, k); y = Gather(names, i)",
        INTEGERS,
        "z",
        None,
        "TopK 3",
    ),
    "scores by TopK": (
        "p = Softmax <axis = 1> (z); v, i = TopK <axis = 1> (p, k); y = GatherElements <axis = 1> (p, i)",
        FLOATS,
        "p",
        "Softmax",
        "TopK 3",
    ),
    "the largest": ("y = ReduceMax <axes = [1], keepdims = 0> (z)", FLOATS, "z", None, "ReduceMax"),
    "Hardmax": ("y = Hardmax <axis = 1> (z)", FLOATS, "z", None, "Hardmax"),
    "OneHot": (
        "a1 = ArgMax <axis = 1, keepdims = 0> (z); y = OneHot(a1, six, off_on)",
        FLOATS,
        "z",
        None,
        "ArgMax",
    ),
    "above ½": (
        "p = Sigmoid(z); g = Greater(p, half); y = Cast <to = 1> (g)",
        FLOATS,
        "p",
        "Sigmoid",
        "above 0.5",
    ),
    "½ below": ("p = Sigmoid(z); y = Less(half, p)", TensorProto.BOOL, "p", "Sigmoid", "above 0.5"),
    "Where": (
        "p = Sigmoid(z); g = Greater(p, half); y = Where(g, one, nothing)",
        FLOATS,
        "p",
        "Sigmoid",
        "above 0.5",
    ),
    "Round": ("p = Sigmoid(z); y = Round(p)", FLOATS, "p", "Sigmoid", "Round"),
}


@pytest.mark.parametrize("name", PICKED)
def test_what_is_picked_from_are_the_scores(name: str) -> None:
    text, kind, scores, normaliser, what = PICKED[name]
    found = find_logits(loaded(proto(Way(text, None), kind=kind)))
    assert found == Logits("z", "y", 6, normaliser, scores)
    assert found.behind == (*([normaliser] if normaliser else []), what)


def test_the_class_is_no_longer_among_the_best() -> None:
    text, kind, *_ = PICKED["TopK's indices"]
    model = loaded(proto(Way(text, None), kind=kind))
    first = run(model.proto, {"x": X}, ["y"])[0]
    result = unlearn(model, 5, {"x": X[:120]}, method="mask")
    assert result.report["figures"]["original"]["retain"] == 100
    after = run(result.model_bytes, {"x": X}, ["y"])[0]
    assert (first == 5).any()
    assert not (after == 5).any()
    for before, now in zip(first, after, strict=True):
        kept = before[before != 5]
        np.testing.assert_array_equal(now[: len(kept)], kept)


@pytest.mark.parametrize("order", [["i", "p"], ["p", "i"]])
def test_an_output_that_holds_all_scores_is_taken_first(order: list[str]) -> None:
    made = proto(
        Way("p = Softmax <axis = 1> (z); y = ArgMax <axis = 1, keepdims = 0> (p)", None), kind=INTEGERS
    )
    made.graph.node[-1].output[0] = "i"
    del made.graph.output[:]
    infos = {
        "i": helper.make_tensor_value_info("i", INTEGERS, ["N"]),
        "p": helper.make_tensor_value_info("p", FLOATS, ["N", 6]),
    }
    made.graph.output.extend(infos[name] for name in order)
    assert find_logits(loaded(made)) == Logits("z", "p", 6, "Softmax")


def test_labels_of_two_heads_are_ambiguous() -> None:
    made = proto(Way("a1 = ArgMax <axis = 1> (z); y = ArgMax <axis = 1> (z2)", None), kind=INTEGERS)
    made.graph.output.append(helper.make_tensor_value_info("a1", INTEGERS, ["N", 1]))
    with pytest.raises(InputError) as caught:
        find_logits(loaded(made))
    assert_one_line(caught.value, "several outputs could hold class scores: y, a1", "--output-name")
    assert find_logits(loaded(made), "a1").tensor == "z"


def test_an_argmax_of_pixels_names_no_class_of_a_sample() -> None:
    text = "r = Reshape(z, pixels); y = ArgMax <axis = 1> (r)"
    with pytest.raises(InputError, match="no usable logits"):
        find_logits(loaded(proto(Way(text, None), kind=INTEGERS)))


def test_inspect_says_it() -> None:
    text, kind, *_ = PICKED["TopK of probabilities"]
    model = loaded(proto(Way(text, None), kind=kind))
    found = inspect(model)
    assert (found.output, found.logits, found.classes) == ("y", "z", 6)
    assert found.behind == ("Softmax", "TopK 3")
    assert found.missing == {}  # what lies behind the logits need not be passed
    assert expose(model, ["z"]).graph.output[0].name == "z"
