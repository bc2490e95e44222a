"""Where the default goes deep, and what it falls back to."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from onnxunlearn.choices import DEEP, LAST_BLOCK
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits, load
from onnxunlearn.methods import Outcome, Workbench
from onnxunlearn.methods.auto import auto
from onnxunlearn.methods.erase.erase import Erasure
from onnxunlearn.methods.erase.scope import in_front
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite

from ..graph.models import build, tensor, value
from ..sample_paths import CNN, MLP, RESNET
from .benches import bench

policy, reaches = (import_module(f"onnxunlearn.methods.{name}") for name in ("auto", "reaches"))

WORDS, WIDTH, CLASSES, LAYERS = 12, 16, 3, 6


def reader(table: bool) -> onnx.ModelProto:
    """ids [N, 5] -> a table -> words [N, 5, WIDTH] (which may be the input) -> their mean, six dense layers
    of one size -> three classes."""
    rng = np.random.default_rng(0)
    words = words_of(rng)
    nodes = [helper.make_node("Gather", ["table", "ids"], ["words"], "table")] if table else []
    nodes.append(helper.make_node("ReduceMean", ["words"], ["a"], axes=[1], keepdims=0))
    stored, name = [tensor("table", words)] if table else [], "a"
    for i in range(LAYERS):
        nodes += [
            helper.make_node("Gemm", [name, f"w{i}"], [f"z{i}"], f"layer {i}", transB=1),
            helper.make_node("Tanh", [f"z{i}"], [f"a{i}"]),
        ]
        stored.append(tensor(f"w{i}", np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0].astype(np.float32)))
        name = f"a{i}"
    nodes.append(helper.make_node("Gemm", [name, "w", "b"], ["y"], "head", transB=1))
    stored.append(tensor("w", rng.normal(size=(CLASSES, WIDTH)).astype(np.float32)))
    stored.append(tensor("b", np.zeros(CLASSES, np.float32)))
    given = value("words", ["N", 5, WIDTH])
    if table:
        given = value("ids", ["N", 5], TensorProto.INT64)
    return build(nodes, [given], [value("y", ["N", CLASSES])], stored)


def words_of(rng: np.random.Generator) -> np.ndarray:
    """What each is to the network, [WORDS, WIDTH]."""
    return 3 * rng.normal(size=(WORDS, WIDTH)).astype(np.float32)


def readings(each: int = 24, *, table: bool = False) -> Workbench:
    """So many probes a class, of each four words of its own; class 0 is to be forgotten."""
    rng = np.random.default_rng(1)
    y = np.arange(each * CLASSES) % CLASSES
    ids = (y * 4)[:, None] + rng.integers(4, size=(len(y), 5))
    feeds = {"ids": ids} if table else {"words": words_of(np.random.default_rng(0))[ids]}
    model = load(reader(table).SerializeToString())
    logits, rules = find_logits(model), parse_composite("lra_npp")
    return Workbench(model, logits, create_engine(), Probes(feeds, y, "made"), (0,), rules, 0.5, 32, 0)


def test_how_much_lies_in_front_of_the_last_block() -> None:
    assert in_front(readings(), 2) == pytest.approx((LAYERS - 2) / LAYERS)
    assert in_front(bench(MLP), 2) == 0  # both layers are the last block
    assert in_front(bench(CNN), 2) < 0.01  # dense layers hold nearly all
    assert in_front(bench(RESNET), 2) == pytest.approx(0.25, abs=0.01)


def test_deep_is_tried_unasked_where_most_weights_lie_in_front(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [e.manner for e in unasked(readings())] == ["firm", "gentle"]
    assert all(e.depth == DEEP and not e.settings.resist for e in unasked(readings()))
    assert [unasked(bench(model)) for model in (MLP, CNN, RESNET)] == [[], [], []]
    reasons: list[str] = []
    assert unasked(readings(19), reasons) == []
    (why,) = reasons
    assert why.startswith("most weights lie in front of the last block, but 19 probes of a class choose")
    assert unasked(readings(table=True)) == []  # a class sits in the table
    several = replace(readings(), logits=replace(readings().logits, normaliser="Sigmoid"))
    assert unasked(several) == []  # a sample may be of several classes
    monkeypatch.setattr("onnxunlearn.methods.erase.scope._WORK", 1e6)
    assert unasked(readings()) == []  # more work than an edit may take


def test_a_table_may_be_one_of_integers_or_computed() -> None:
    """Which no layer is, as dynamic quantisation leaves it."""
    for kind, size in (("Cast", np.int8), ("Tanh", np.float32)):
        proto = reader(table=True)
        (table,) = (stored for stored in proto.graph.initializer if stored.name == "table")
        table.CopyFrom(tensor("table", words_of(np.random.default_rng(0)).astype(size)))
        if kind == "Cast":  # behind the look-up
            proto.graph.node[0].output[0] = "numbers"
            proto.graph.node.insert(1, helper.make_node("Cast", ["numbers"], ["words"], to=TensorProto.FLOAT))
        else:
            proto.graph.node[0].input[0] = "computed"
            proto.graph.node.insert(0, helper.make_node("Tanh", ["table"], ["computed"]))
        model, made = load(proto.SerializeToString()), readings(table=True)
        other = replace(made, model=model, logits=find_logits(model))
        assert all(layer.kind != "embedding" for layer in other.every_layer)
        assert unasked(other) == []


def unasked(made: Workbench, reasons: list[str] | None = None) -> list[Erasure]:
    return reaches.unasked(made, [] if reasons is None else reasons)


def named(*refused: str) -> Callable[..., str | None]:
    return lambda _, __, name, *___: name if name in refused else None


@pytest.mark.parametrize(
    ("refused", "manner", "depth"),
    [
        ((), "firm", DEEP),
        (("firm deep erase",), "gentle", DEEP),
        (("firm deep erase", "gentle deep erase"), None, LAST_BLOCK),
    ],
)
def test_what_costs_too_much_is_followed_by_less(
    refused: tuple[str, ...], manner: str | None, depth: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("onnxunlearn.methods.erase.erase._STEPS", {DEEP: 3, LAST_BLOCK: 3})
    monkeypatch.setattr(policy, "_against", named(*refused))
    details = auto(readings()).details
    assert (details.get("manner"), details["depth"], details["share"]) == (manner, depth, 1.0)
    assert details["why"] == "; ".join(refused)


def test_who_asks_is_given_what_he_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=3))
    monkeypatch.setattr(policy, "_against", named())
    for depth in (DEEP, LAST_BLOCK):
        details = auto(readings(), depth=depth).details
        assert details["depth"] == depth
        assert "manner" not in details


def test_what_no_stand_in_protects_is_said_once_of_two_depths(monkeypatch: pytest.MonkeyPatch) -> None:
    made = readings()
    known = made.y != 2
    probes = Probes({name: v[known] for name, v in made.probes.feeds.items()}, made.y[known], "made")
    made = replace(made, probes=probes)
    nothing = Outcome(Edits(made.model), {"unprotected": [2]})
    monkeypatch.setattr(Erasure, "outcome", lambda *_, **__: nothing)
    monkeypatch.setattr(policy, "_against", lambda _, __, name, *___: f"{name} is refused")
    why = auto(made, depth=DEEP).details["why"]
    assert why.count("pinned by stand-ins but for class 2, which are far from the class") == 1
    assert why.count("no attacker trains along: deep would have to go the whole way") == 1
    assert "; 50% of deep erase is refused; 50% of erase is refused" in why
