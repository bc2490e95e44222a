"""What images say of an edit's cost that it was not fitted to."""

from dataclasses import replace
from types import SimpleNamespace
from unittest.mock import MagicMock

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn.detectors import Detector, forget, loaded_detector
from onnxunlearn.detectors import price as price_module
from onnxunlearn.detectors.forget import Forgotten
from onnxunlearn.detectors.moved import _MOVES
from onnxunlearn.detectors.price import Answer, Price
from onnxunlearn.graph import Model, load
from onnxunlearn.inquiry import Options
from onnxunlearn.judge import Detected
from onnxunlearn.methods import Outcome
from tests import tiny_detector as tiny

pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")


@pytest.fixture(scope="module")
def price(tmp_path_factory: pytest.TempPathFactory) -> Price:
    folder = tiny.write(tmp_path_factory.mktemp("squares") / "data", 40, 5)
    _, detector = loaded_detector(tiny.trained(), "green", Options(labels=tiny.NAMES))
    assert isinstance(detector, Detector)
    return Price.of(detector, detector.read(folder))


def _moved(column: int, by: float) -> Model:
    """The detector with a class's score moved."""
    proto = onnx.load_from_string(tiny.trained())
    (bias,) = (i for i in proto.graph.initializer if i.name == "classes.2.bias")
    values = numpy_helper.to_array(bias).copy()
    values[column] += by
    bias.CopyFrom(numpy_helper.from_array(values, bias.name))
    return load(proto.SerializeToString())


def test_a_sixth_of_both_kinds_of_images_is_held(price: Price) -> None:
    showing = price.every.showing(price.detector.forgotten)
    held = price.held.showing(price.detector.forgotten)
    assert (held.sum(), (~held).sum()) == (showing.sum() // 6, (~showing).sum() // 6)
    assert len(price.held.truth) + len(price.fitted.truth) == len(price.every.truth) == 40
    seen = [p.scenes.probes.feeds["images"] for p in (price.held, price.fitted)]
    assert len(np.unique(np.concatenate(seen), axis=0)) == 40


def test_one_image_tells_nothing(price: Price) -> None:
    """Drawn anew it is the same: its deviation was 0, and what it said was believed."""
    showing = price.every.showing(price.detector.forgotten)
    few = np.concatenate([np.flatnonzero(side)[:9] for side in (showing, ~showing)])
    found = Price.of(price.detector, price.every.select(few))
    assert len(found.held.truth) == len(found.fitted.truth) == 18


def test_of_those_that_are_held_there_are_moved_copies(price: Price) -> None:
    """Mostly: it is another image."""
    held, (every, copies) = price.held, price.moved
    count = len(held.truth)
    assert copies == len(_MOVES)
    assert len(every.truth) == len(every.own) == len(every.hidden) == copies * count
    assert {len(v) for v in every.scenes.probes.feeds.values()} == {copies * count}
    assert [a is b for a, b in zip(every.truth, held.truth, strict=False)] == [True] * count
    found = [len(each.select(each.scores > 0.5).boxes) for each in every.own]
    assert np.sum(found[:count]) == pytest.approx(np.mean(found) * count, rel=0.2)


def test_hiding_the_class_costs_nothing(price: Price) -> None:
    why, told, _ = price.asked("it", _moved(1, -30))
    assert why is None
    assert told["expected cost"]["images"] == len(price.held.truth)
    assert told["expected cost"]["mAP"]["points"] == pytest.approx(0, abs=0.1)


def test_losing_another_class_costs_too_much(price: Price) -> None:
    """Red is one of two that are left: half of the mAP, on all images its whole AP50."""
    why, told, _ = price.asked("it", _moved(0, -30))
    assert why is not None
    assert why.startswith("it would cost ")
    assert why.endswith("points of mAP (0.5 may be lost)")
    assert told["expected cost"]["mAP"]["points"] > 20


def test_what_one_image_shows_tells_nothing_of_its_class(price: Price) -> None:
    """Drawn anew it is always the same, so chance seemed to be nothing: of 80 classes one is always lost."""
    red = np.array([0 in truth.classes for truth in price.every.truth])
    few = price.every.select(np.sort(np.append(np.flatnonzero(~red), np.flatnonzero(red)[:1])))
    detector = replace(price.detector, options=replace(price.detector.options, max_retain_drop=100.0))
    assert replace(price, detector=detector, every=few).asked("it", _moved(0, -30)).why is None


def test_where_nobody_annotated_what_one_image_shows_tells_nothing_of_the_mean(price: Price) -> None:
    """It weighed as much as a class of a hundred images."""
    red = np.array([0 in truth.classes for truth in price.every.truth])
    few = price.every.select(np.sort(np.append(np.flatnonzero(~red), np.flatnonzero(red)[:1])))
    drawn = replace(few, believed=tuple((truth,) for truth in few.truth))
    held = (few, 1)
    assert replace(price, every=few, moved=held).asked("it", _moved(0, -30)).points > 20
    assert replace(price, every=drawn, moved=held).asked("it", _moved(0, -30)).points == pytest.approx(0)
    assert replace(price, every=drawn, moved=held).asked("it", _moved(2, -30)).points > 20


@pytest.mark.parametrize(
    ("cost", "chance", "annotated", "drawn"),
    [(0.4, 0.0, True, True), (0.7, 0.3, False, True), (0.9, 0.3, False, False), (3.0, 2.9, False, False)],
)
def test_where_nobody_annotated_one_deviation_beyond_the_budget_is_chance(
    price: Price, monkeypatch: pytest.MonkeyPatch, cost: float, chance: float, annotated: bool, drawn: bool
) -> None:
    """Several points are not, whatever few images deviate by."""

    def lost(_: object, __: object, *, half: bool, copies: int = 1) -> tuple[float, float]:
        return (0.0, 0.0) if half or copies > 1 else (cost, chance)

    monkeypatch.setattr(price_module, "_lost", lost)
    judged = MagicMock(spec=Detected, present=[0])
    judged.showing.return_value = 40
    monkeypatch.setattr(price_module, "judged", lambda *_: judged)
    believed = replace(price.every, believed=tuple((truth,) for truth in price.every.truth))
    taken = [replace(price, every=s).asked("it", MagicMock()).why is None for s in (price.every, believed)]
    assert taken == [annotated, drawn]


def test_a_class_of_its_own_may_cost_too_much(price: Price) -> None:
    detector = replace(price.detector, options=replace(price.detector.options, max_retain_drop=100.0))
    why, _, _ = replace(price, detector=detector).asked("it", _moved(0, -30))
    assert why is not None
    assert why.startswith("it costs red ")


def test_what_costs_far_too_much_in_whole_images_is_not_made_weaker(
    price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of strengths and parts the first; then where class scores alone are made, and head by head, where the
    cost is asked again."""
    asked: list[str] = []

    def dear(_: Price, name: str, __: Model) -> Answer:
        asked.append(name)
        return Answer(f"{name} is dear", {}, 30.0)

    monkeypatch.setattr(Price, "asked", dear)
    monkeypatch.setattr(forget, "in_full", lambda *_: True)
    monkeypatch.setattr(forget, "_everywhere", lambda *_, **__: iter([edit_of_nothing()] * 3))
    monkeypatch.setattr(
        forget, "_in_branches", lambda *_: iter([("erase in the branches", edit_of_nothing(), None)])
    )
    monkeypatch.setattr(forget, "_head_by_head", lambda *_, **__: edit_of_nothing())
    places = SimpleNamespace(detector=price.detector, choosing=price.every, held=None)
    forget.forget_all(places, "auto", {})  # type: ignore[arg-type]
    assert asked == [
        "erase at strength 4 in whole images",
        "erase in the branches",
        "erase of a share of 1 head by head",
        "erase of a share of 0.6 head by head",
    ]


def test_of_queries_a_weaker_edit_is_tried_first(price: Price, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Detector, "of_queries", True)
    monkeypatch.setattr(forget, "in_full", lambda *_: True)
    places = SimpleNamespace(detector=price.detector)
    whole = [a for a in forget._attempts(places, price, {}) if a.in_whole_images]  # type: ignore[arg-type]
    monkeypatch.setattr(forget, "_everywhere", lambda *_, **__: iter([edit_of_nothing()] * 3))
    names = [next(attempt.offers())[0] for attempt in whole]
    assert names == [f"erase at strength {beta} in whole images" for beta in (2, 1)]


def edit_of_nothing() -> MagicMock:
    """An edit that nobody looks at."""
    return MagicMock()


def test_where_nothing_tells_what_others_lose_whole_images_are_left_alone(
    price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    green = np.array([set(truth.classes.tolist()) == {1} for truth in price.every.truth])
    alone = price.every.select(green)
    assert price.tells
    assert not Price.of(price.detector, alone).tells
    done = Forgotten(MagicMock(), {0: Outcome(MagicMock(), {"why": "few probes"})}, MagicMock(), {}, "")
    monkeypatch.setattr(forget, "_head_by_head", lambda *_, **__: done)
    places = SimpleNamespace(detector=price.detector, choosing=alone, held=None)
    found = forget.forget_all(places, "auto", {})  # type: ignore[arg-type]
    why = "no image shows another class: nothing tells what a deeper edit costs; few probes"
    assert found.outcomes[0].details == {"why": why}


def test_of_a_large_detector_whole_images_are_not_tried(
    price: Price, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forget, "in_full", lambda *_: False)
    places = SimpleNamespace(detector=price.detector, choosing=price.every, held=None)
    tried = list(forget._attempts(places, price, {}))  # type: ignore[arg-type]
    assert len(tried) == 3
    assert not any(each.in_whole_images for each in tried)
