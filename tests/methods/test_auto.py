"""What the default takes, what it decides by, and what it says of it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from onnx import helper

from onnxunlearn import unlearn
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import find_logits, load
from onnxunlearn.inquiry import inquiry
from onnxunlearn.methods import Workbench, reaches
from onnxunlearn.methods import auto as policy
from onnxunlearn.methods.auto import auto, deciding
from onnxunlearn.methods.cost import Cost, Estimate
from onnxunlearn.methods.erase.erase import Erasure
from onnxunlearn.methods.head import head
from onnxunlearn.methods.outcome import Outcome
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.relevance import parse_composite

from ..graph.models import build, tensor, value
from ..sample_paths import MLP, RESNET, images
from .benches import bench


def network(sure: float = 1.0) -> bytes:
    """20 inputs, 32 hidden neurons, six classes. sure: times the logits."""
    rng = np.random.default_rng(0)
    shapes = {"w1": (32, 20), "b1": (32,), "w2": (6, 32), "b2": (6,)}
    arrays = {name: rng.normal(size=s) * (sure if name in ("w2", "b2") else 1) for name, s in shapes.items()}
    tensors = [tensor(name, array.astype(np.float32)) for name, array in arrays.items()]
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["a"], "hidden", transB=1),
        helper.make_node("Relu", ["a"], ["h"]),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["y"], "head", transB=1),
    ]
    made = build(nodes, [value("x", ["N", 20])], [value("y", ["N", 6])], tensors)
    return bytes(made.SerializeToString())


def random_network(x: np.ndarray) -> Workbench:
    """Random weights, labels from the model: every sample lies close to where classes meet."""
    model = load(network())
    logits = find_logits(model)
    scores = create_engine().session(model.proto).run({"x": x})[logits.tensor]
    probes = Probes({"x": x}, scores.argmax(axis=1), "random")
    return Workbench(
        model, logits, create_engine(), probes, (3,), parse_composite("lra_npp"), 0.5, 32, 0
    )  # fmt: skip


def test_a_sixth_of_each_retained_class_decides() -> None:
    made = bench(MLP)
    y = np.repeat([3, 1, 2, 4, 5], [30, 24, 5, 2, 3])
    some = replace(made, probes=Probes({"x": np.zeros((len(y), 1, 28, 28), np.float32)}, y, "some"))
    held = deciding(some)
    assert [int(held[y == c].sum()) for c in (3, 1, 2, 4, 5)] == [0, 4, 1, 0, 1]
    np.testing.assert_array_equal(held, deciding(some))
    assert not np.array_equal(held, deciding(replace(some, seed=1)))
    flags = replace(some, probes=replace(some.probes, made=y == 1))
    assert not deciding(flags)[y == 1].any()  # what was made from the model tells nothing of real samples


def test_what_decides_was_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other samples in the place of those that decide change nothing of the edit."""
    found = []
    for noise in (0, 1):
        made = bench(MLP)
        held = deciding(made)
        x = made.probes.feeds["x"] + noise * held[:, None, None, None].astype(np.float32)
        other = replace(made, probes=Probes({"x": x}, made.y, "mnist"))
        edits = Erasure(other, steps=5).outcome(~made.forgotten & ~held).edits
        found.append(edits.feeds)
    for name, values in found[0].items():
        np.testing.assert_array_equal(values, found[1][name])


def test_probes_that_were_pinned_see_nothing_of_what_those_that_decide_do() -> None:
    """A random network turns an eighth of all unseen samples; the pinned ones stay."""
    rng = np.random.default_rng(1)
    made = random_network(rng.normal(size=(400, 20)).astype(np.float32))
    unseen = random_network(rng.normal(size=(5000, 20)).astype(np.float32))
    held = deciding(made)
    whole = Erasure(made).outcome(~made.forgotten & ~held).edits
    before, after = made.scores(Edits(made.model)).argmax(axis=1), made.scores(whole).argmax(axis=1)
    pinned = ~made.forgotten & ~held
    found = policy._cost(made, made.scores(whole), held)
    assert found is not None
    truly = 100 * (unseen.scores(whole).argmax(axis=1) != unseen.y)[unseen.y != 3].mean()
    assert truly > 8
    assert 100 * (before != after)[pinned].mean() < 5
    assert abs(found.turned.points - truly) < 2 * found.turned.deviation
    taken = auto(made)
    lost = (unseen.scores(taken.edits).argmax(axis=1) != unseen.y)[unseen.y != 3].mean()
    assert lost < 0.005
    assert "erase would cost" in taken.details["why"]
    assert taken.details["chosen"] != "erase"


@pytest.mark.parametrize(("given", "share"), [([3, 1, 2], 0.5), ([3, 0, 1, 2, 4, 6, 7, 9], 0.5)])
def test_classes_without_probes_stay(given: list[int], share: float) -> None:
    made = replace(bench(MLP, only=given), budget=2.0)
    found = auto(made)
    unseen = sorted(set(range(10)) - set(given))
    assert found.details["chosen"] == "erase"
    assert found.details["share"] <= share  # with eight probes a class, too few decide
    assert found.details["stand-ins"] == unseen
    assert Labels(10).listed(unseen) in found.details["why"]
    x, y = images("mnist_test")
    wide = replace(bench(MLP), probes=Probes({"x": x}, y, "mnist"))
    before, after = (wide.scores(e).argmax(axis=1) == y for e in (Edits(made.model), found.edits))
    for c in unseen:
        assert 100 * (before[y == c].mean() - after[y == c].mean()) <= 2


def test_without_a_stand_in_the_head_alone_is_edited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.methods.erase.stand_ins._EACH", 0)
    made = bench(RESNET, only=[3, 1, 2])
    found = auto(made)
    assert made.depth(found.edits) == "head only"
    assert "no stand-in could be made for classes 0, 4, 5, 6 and 3 more" in found.details["why"]


def test_classes_far_from_the_class_may_go_without_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where probes of several classes decide, and by how many of these turn."""
    monkeypatch.setattr("onnxunlearn.methods.erase.stand_ins._EACH", 0)
    monkeypatch.setattr(policy, "_SEVERAL", 2)
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=20))
    unseen = [0, 4, 5, 6, 7, 8, 9]
    for near, turned, chosen, why in (
        (2.0, 100.0, "erase", f" but for {Labels(10).listed(unseen)}, which are far from the class"),
        (2.0, -1.0, "head", "25% of erase would turn"),
        (0.0, 100.0, "head", "no stand-in could be made"),
    ):
        monkeypatch.setattr(policy, "_NEAR", near)
        monkeypatch.setattr(policy, "_UNSEEN_TURNED", turned)
        found = auto(bench(MLP, only=[3, 1, 2]))
        assert found.details["chosen"] == chosen
        assert why in found.details["why"]
        if chosen == "erase":
            assert found.details["unprotected"] == unseen


def test_of_many_classes_with_a_probe_each_a_third_decides() -> None:
    made = bench(MLP)
    y = np.concatenate([np.full(12, 100), np.arange(40)])
    some = replace(made, probes=Probes({"x": np.zeros((len(y), 1, 28, 28), np.float32)}, y, "some"))
    held = deciding(some)
    assert held[:12].sum() == 2
    assert held[12:].sum() == 39 // 3  # the class to forget is one of the forty
    assert not held[12 + 3]


def test_what_is_unsupported_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise UnsupportedError("node 'a' is not covered")

    monkeypatch.setattr(Erasure, "outcome", refuse)
    found = auto(bench(MLP))
    assert found.details["chosen"] == "lra-npp"
    assert found.details["why"] == "erase: node 'a' is not covered"


def test_lra_npp_is_judged_by_probes_that_its_search_did_not_see(monkeypatch: pytest.MonkeyPatch) -> None:
    """On those that it saw a multilayer perceptron lost half a point, and 6.5 on others."""
    made, seen = bench(MLP), list[int]()
    scores = Workbench.scores

    def fitted(given: Workbench) -> Outcome:
        seen.append(len(given.probes))
        return head(given)

    def scored(self: Workbench, edits: Edits) -> np.ndarray:
        found = scores(self, edits)
        if edits.feeds:
            found[deciding(made)] *= -1
        return found

    monkeypatch.setattr(Erasure, "outcome", lambda *_, **__: (_ for _ in ()).throw(UnsupportedError("no")))
    monkeypatch.setattr(policy, "lra_npp", fitted)
    monkeypatch.setattr(Workbench, "scores", scored)
    found = auto(made)
    assert seen == [len(made.probes) - deciding(made).sum()]
    assert found.details["chosen"] == "head"
    assert "lra-npp would cost" in found.details["why"]


def test_the_report_tells_what_was_chosen_and_what_it_costs() -> None:
    x, y = images("mnist_probes")
    details = unlearn(MLP, 3, {"x": x, "y": y}).report["method"]["details"]
    assert (details["chosen"], details["share"], details["why"]) == ("erase", 1.0, "")
    cost = details["expected cost"]
    assert cost["probes"] == 36
    assert cost["lost"]["points"] <= 0.5
    alone = unlearn(MLP, 3).report["method"]["details"]
    assert alone["chosen"] == "head"
    assert alone["why"] == "without probes nothing can tell what a deeper edit costs"


def test_an_edit_is_refused_where_it_costs_too_much_by_more_than_chance() -> None:
    for points, deviation, refused in ((0.49, 0.1, False), (0.76, 0.8, False), (0.73, 0.33, True)):
        assert Estimate(points, deviation).beyond(0.5) is refused


def test_what_hiding_the_class_gives_back_may_be_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The budget is from the original's accuracy, and that took a tenth of the others for the class."""
    made = bench(MLP)
    dear = Cost(Estimate(2.0, 0.3), Estimate(4.0, 1.0), 36)
    monkeypatch.setattr(policy, "cost", lambda *_, **__: dear)
    refused = policy._cost(made, made.before, deciding(made))
    assert refused is not None
    assert refused.against_original.beyond(0.5)  # digits: hardly any is taken for another
    taken = np.flatnonzero(~made.forgotten)[::10]
    before = made.before.copy()
    before[taken, 3] = 99.0
    monkeypatch.setitem(vars(made), "before", before)
    found = policy._cost(made, before, deciding(made))
    assert found is not None
    assert 8 < found.gained.points < 12
    assert not found.against_original.beyond(0.5)


def test_why_names_classes_by_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("onnxunlearn.methods.erase.stand_ins._EACH", 0)
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    found = auto(replace(bench(MLP, only=[3, 0, 1, 2, 4, 5, 6]), labels=Labels(10, names)))
    missing = (
        "no stand-in could be made for seven, eight and nine, of which there are no probes; with a few it"
    )
    assert missing in found.details["why"]
    assert "pinned by stand-ins" not in found.details["why"]  # of nothing that there was none of


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], "the probes of all other classes were made from the model"),
        ([1], "the probes of all other classes but class 1 were made from the model"),
        ([1, 2], "the probes of all other classes but classes 1 and 2 were made from the model"),
    ],
)
def test_which_probes_were_given_and_which_made_is_said(
    given: list[int], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whole `erase` is not tried on made probes, however many real ones of other classes can decide."""
    made = bench(MLP)
    flags = ~np.isin(made.y, [3, *given])
    tripled = np.tile(np.arange(len(made.y)), 6)
    probes = made.probes.select(tripled)
    some = replace(made, probes=replace(probes, made=flags[tripled]))
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    details = auto(some).details
    assert f"{expected}: they cannot tell what more would cost" in details["why"]
    assert details.get("share", 0) <= 0.5


def test_where_deep_costs_too_much_the_last_block_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    monkeypatch.setattr(policy, "_against", lambda _, __, name, ___: name if "deep" in name else None)
    details = auto(bench(MLP), depth="deep").details
    assert details["why"] == (
        "deep erase against an attacker (1); deep erase against an attacker (0.4); "
        "deep erase (likewise 75%, 50% of it)"
    )
    assert (details["chosen"], details["share"], details["depth"]) == ("erase", 1.0, "last-block")


def test_why_deep_is_not_tried_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(MLP)
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    details = auto(replace(made, probes=replace(made.probes, made=made.y != 3)), depth="deep").details
    assert "less than half of deep is no deeper than the last block" in details["why"]
    assert details["depth"] == "last-block"


@pytest.mark.parametrize("left", [1.0, 0.4, None])
def test_deep_resists_less_where_to_resist_costs_too_much(
    left: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = [f"deep erase against an attacker ({r:g})" for r in (1.0, 0.4) if left is None or r > left]
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    monkeypatch.setattr(policy, "_against", lambda _, __, name, ___: name if name in refused else None)
    details = auto(bench(MLP), depth="deep").details
    assert (details["why"], details["share"], details["depth"]) == ("; ".join(refused), 1.0, "deep")
    assert details.get("resist") == left


def test_every_share_is_run_once_and_the_original_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made = bench(MLP)
    asked = []
    scores = Workbench.scores

    def counted(self: Workbench, edits: Edits) -> np.ndarray:
        asked.append(bool(edits.feeds))
        return scores(self, edits)

    monkeypatch.setattr(Workbench, "scores", counted)
    monkeypatch.setattr(policy, "_against", lambda *_: "no")
    monkeypatch.setattr(policy, "lra_npp", lambda bench: head(bench))
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=2))
    auto(made)
    # the original, four shares, and what stands in for lra-npp
    assert (asked.count(False), asked.count(True)) == (1, 5)


def test_answers_near_a_border_are_hardly_lost_where_the_model_gave_the_labels() -> None:
    made = bench(MLP)
    x, _ = images("mnist_test")
    asked = replace(made, probes=Probes({"x": x}, np.zeros(len(x), int), "mnist"))
    own = asked.before.argmax(axis=1)
    edits = Edits(made.model)
    noise = np.random.default_rng(0).normal(size=(10, 64)).astype(np.float32)
    edits.set_weight(made.head, edits.weight(made.head) + 0.05 * noise)
    lost = []
    for by_model in (True, False):
        wide = replace(made, probes=Probes({"x": x}, own, "mnist", by_model=by_model))
        before, after = wide.original.figures.retain, wide.trial(edits).figures.retain
        lost.append((before or 0) - (after or 0))
    assert lost[1] == pytest.approx(100 * (wide.scores(edits).argmax(axis=1) != own)[own != 3].mean())
    assert 0 < lost[0] < 0.8 * lost[1]


def test_an_unsure_model_that_gave_the_labels_keeps_its_answers_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No answer is believed, so accuracy as it is expected hardly falls where a third of the answers turn."""
    monkeypatch.setattr(reaches, "Erasure", partial(Erasure, steps=60))
    x = np.random.default_rng(1).normal(size=(400, 20)).astype(np.float32)
    kept = unlearn(network(0.01), 3, {"x": x})
    assert "25% of erase would turn" in kept.report["method"]["details"]["why"]
    assert "lra-npp would turn" in kept.report["method"]["details"]["why"]
    target = kept.findings.target("agreement on others")
    assert (target.reached.value, target.limit, target.met) == (100, 95, True)
    monkeypatch.setattr(inquiry, "own_turned", lambda _: 100.0)
    gone = unlearn(network(0.01), 3, {"x": x})
    assert gone.report["method"]["details"]["why"] == ""
    assert gone.findings.target("retain accuracy lost").met
    assert gone.findings.target("agreement on others").status == "missed"


def test_a_model_of_one_layer_has_nothing_to_forget_in_front_of_it_and_says_so() -> None:
    rng = np.random.default_rng(0)
    weight, bias = rng.normal(size=(6, 20)).astype(np.float32), np.zeros(6, np.float32)
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], "head", transB=1)
    inputs, outputs = [value("x", ["N", 20])], [value("y", ["N", 6])]
    model = build([node], inputs, outputs, [tensor("w", weight), tensor("b", bias)])
    x = rng.normal(size=(240, 20)).astype(np.float32)
    result = unlearn(model.SerializeToString(), 2, {"x": x, "y": (x @ weight.T).argmax(axis=1)})
    told = result.report["method"]
    assert told["depth"] == "head only"
    assert told["details"]["why"] == "no layer in front of the head may change"
