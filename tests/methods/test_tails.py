"""Whatever lies between the head and the scores: the class that is forgotten is the class that was meant."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from onnxunlearn import unlearn
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_logits
from onnxunlearn.methods import method

from ..graph.ending.ways import B2, ORDER, W2, Array, Way, X, proto
from ..graph.models import assert_one_line, loaded, run
from ..graph.tails import CURVED, SINGLE, STRAIGHT, UNTOLD, decisions

TAILS = {**STRAIGHT, **CURVED, **SINGLE}
#: "y = Where(allowed, z, never)" has no row for it
NEVER = 4


def forgotten(way: Way, method: str, forget: int | None = None) -> tuple[Array, Array, int]:
    """What the file says before and after, of samples that no method has seen, and the class: by default the
    one that it gives most often."""
    model = loaded(proto(way))
    y = run(model.proto, {"x": X[:120]}, ["y"])[0]
    if way in SINGLE.values():
        labels = y > find_logits(model).threshold
        chosen = int(labels.sum(axis=0).argmax())
    else:
        labels = y.argmax(axis=1)
        chosen = int(np.bincount(labels).argmax())
    forget = chosen if forget is None else forget
    result = unlearn(model, forget, {"x": X[:120], "y": labels.astype(int)}, method=method)
    before, after = (run(data, {"x": X[120:]}, ["y"])[0] for data in (model.data, result.model_bytes))
    return before, after, forget


def assert_only_that_class_is_gone(way: Way, before: Array, after: Array, forget: int) -> None:
    others = np.delete(np.arange(before.shape[1]), forget)
    if way in SINGLE.values():
        assert not decisions(way, after)[:, forget].any()
        np.testing.assert_array_equal(decisions(way, after)[:, others], decisions(way, before)[:, others])
        return
    assert not (after.argmax(axis=1) == forget).any()
    best, second = np.sort(before[:, others], axis=1)[:, [-1, -2]].T
    clear = best - second > 1e-6 * np.abs(best)  # not where the function has lost what tells them apart
    assert clear.mean() > 0.3  # five divisions leave four samples in ten
    expected = others[before[:, others].argmax(axis=1)]
    np.testing.assert_array_equal(after.argmax(axis=1)[clear], expected[clear])


@pytest.mark.parametrize("by", ["mask", "head"])
@pytest.mark.parametrize("name", TAILS)
def test_the_class_is_never_given_and_all_other_decisions_stay(name: str, by: str) -> None:
    before, after, forget = forgotten(TAILS[name], by)
    assert_only_that_class_is_gone(TAILS[name], before, after, forget)


@pytest.mark.parametrize("name", sorted(set(method) - {"scatter"}))  # which is for embeddings
def test_no_method_sees_a_difference(name: str) -> None:
    """The same network, its classes in another order and its head negated, and that undone behind it."""
    away, back = np.argsort(ORDER), proto(Way("n = Neg(z); y = Gather <axis = 1> (n, order)", None))
    turned = {"W2": -W2[away], "b2": -B2[away]}
    for tensor in back.graph.initializer:
        if tensor.name in turned:
            tensor.CopyFrom(numpy_helper.from_array(turned[tensor.name], tensor.name))
    straight = proto(Way("y = Identity(z)", None))
    said, again = (run(model, {"x": X}, ["y"])[0] for model in (straight, back))
    np.testing.assert_allclose(said, again, atol=1e-5)
    probes = {"x": X[:120], "y": said[:120].argmax(axis=1)}
    edited = [
        unlearn(loaded(model), 5, probes, method=name, max_retain_drop=20) for model in (straight, back)
    ]
    first, second = (run(result.model_bytes, {"x": X[120:]}, ["y"])[0].argmax(axis=1) for result in edited)
    assert (first == second).mean() > 0.97  # sums are taken in another order
    if name != "ssd":  # of a class that the network is so sure of it finds nothing
        assert (first != said[120:].argmax(axis=1)).any()
    assert edited[0].report["method"]["depth"] == edited[1].report["method"]["depth"]


@pytest.mark.parametrize("by", ["mask", "head", "lra-npp", "erase"])
@pytest.mark.parametrize("name", UNTOLD)
def test_what_cannot_be_told_is_refused_in_one_line(name: str, by: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        forgotten(UNTOLD[name], by)
    assert_one_line(caught.value, "which of their rows makes which class is not known")


@pytest.mark.parametrize("by", ["mask", "head", "lra-npp", "erase"])
def test_a_row_that_makes_two_classes_is_not_changed_for_one(by: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        forgotten(Way("y = Concat <axis = 1> (z, z)", None), by)
    assert_one_line(caught.value, "class", ": its row of node 'head'", "too, so it cannot be changed alone")


@pytest.mark.parametrize("by", ["mask", "head"])
def test_outputs_that_decide_for_themselves_need_their_own_logits(by: str) -> None:
    """To lower one class would raise all others."""
    with pytest.raises(UnsupportedError) as caught:
        forgotten(Way("m = ReduceMean <axes = [1]> (z); d = Sub(z, m); y = Sigmoid(d)", "Sigmoid"), by)
    assert_one_line(caught.value, "bends its outputs before each class decides for itself")


@pytest.mark.parametrize("by", ["mask", "head"])
def test_two_classes_that_one_row_raises_together(by: str) -> None:
    text = "g = Gather <axis = 1> (z, first); h = Mul(g, half); y = Concat <axis = 1> (h, g)"
    with pytest.raises(UnsupportedError, match="makes class 1, too"):
        forgotten(Way(text, None), by, 0)


def test_a_class_without_a_row_is_refused() -> None:
    model = loaded(proto(STRAIGHT["one class never"]))
    with pytest.raises(UnsupportedError, match="class 4: no row"):
        unlearn(model, NEVER, method="mask")


@pytest.mark.parametrize("by", ["mask", "head"])
@pytest.mark.parametrize("forget", [0, 1])
@pytest.mark.parametrize(
    "text",
    [
        "g = Gather <axis = 1> (z, first); p = Sigmoid(g); q = Sub(one, p); y = Concat <axis = 1> (q, p)",
        "g = Gather <axis = 1> (z, first); n = Neg(g); y = Concat <axis = 1> (n, g)",
    ],
)
def test_one_row_that_decides_between_two_classes(text: str, forget: int, by: str) -> None:
    before, after, _ = forgotten(Way(text, None), by, forget)
    assert set(before.argmax(axis=1)) == {0, 1}
    assert (after.argmax(axis=1) == 1 - forget).all()


AFFINE = [
    "Neg({})",
    "Mul({}, signs)",
    "Add({}, priors)",
    "Div({}, scales)",
    "Gather <axis = 1> ({}, order)",
    "Mul({}, two)",
]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.sampled_from(AFFINE), min_size=1, max_size=5), st.booleans())
def test_any_chain_of_them(steps: list[str], normalised: bool) -> None:
    names = ["z", *(f"t{i}" for i in range(len(steps)))]
    lines = [f"{new} = {step.format(old)}" for step, old, new in zip(steps, names, names[1:], strict=False)]
    end = f"y = {'Softmax' if normalised else 'Identity'}(t)"
    way = Way("; ".join([*lines, f"t = Mul({names[-1]}, fiftieth)", end]), None)
    assert_only_that_class_is_gone(way, *forgotten(way, "mask"))
