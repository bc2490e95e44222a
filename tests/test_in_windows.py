"""A segmenter forgets in its last layers by windows of all inputs, where samples of places would not do."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from onnxunlearn import in_windows as windowed
from onnxunlearn import load
from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.graph import Edited
from onnxunlearn.inquiry import Options
from onnxunlearn.inquiry.maps import maps_of
from onnxunlearn.methods import Outcome, Workbench
from onnxunlearn.methods.whole import FORGET, Branch, Windows, end_of_places

from .patterns import MODEL, NAMES, scenes

BOARD = NAMES.index("board")


def prepared(count: int, **options: object) -> tuple[Fit, Workbench]:
    chosen = Options(labels=NAMES, **options)  # type: ignore[arg-type]
    fit = Fit.of(MODEL, "board", scenes(count, 1), "epsilon", chosen, Clock(), hold_back=True)
    return fit, fit.inquiry.bench(fit.choosing, fit.composite)


def tried(fit: Fit, bench: Workbench) -> Outcome:
    assert fit.chosen is not None
    return windowed.in_windows(fit.inquiry, bench, fit.chosen, None, {})


@pytest.fixture(autouse=True)
def _few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "Branch", partial(Branch, steps=40))
    kept = Outcome(Edits(load(MODEL)), {"chosen": "head", "why": "for a reason"})
    monkeypatch.setattr(windowed, "run_method", lambda *_: kept)


def test_layers_in_front_of_the_head_change_and_the_class_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "_LEAST", -100.0)  # so few steps bring little
    fit, bench = prepared(240, max_retain_drop=50.0)
    found = tried(fit, bench)
    assert found.details["chosen"] == "erase in windows"
    assert len(found.details["layers"]) >= 2
    changed = bench.depth(found.edits)
    assert all(layer in changed for layer in found.details["layers"])
    inquiry, x = fit.inquiry, scenes(30, 2)["x"]
    edited = Edited.of(inquiry.model, found.edits.arrays, inquiry.files).model()
    before, after = (
        create_engine().session(m.proto).run({"x": x})["scores"].argmax(axis=1)
        for m in (inquiry.model, edited)
    )
    assert (before == BOARD).any()
    assert not (after == BOARD).any()
    assert (after == before)[before != BOARD].mean() > 0.95


def test_what_brings_nothing_is_refused_with_what_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windowed, "_LEAST", 100.0)
    fit, bench = prepared(240, max_retain_drop=50.0)
    found = tried(fit, bench)
    assert found.details["chosen"] == "head"
    assert found.details["why"].endswith("for a reason")
    assert "brings too little: a new head finds" in found.details["why"]


def test_few_inputs_tell_nothing() -> None:
    fit, bench = prepared(40)
    found = tried(fit, bench)
    assert found.details["chosen"] == "head"
    assert found.details["why"].endswith("for a reason")
    assert "8 tell what an edit brings" in found.details["why"]


def test_places_of_inputs_to_retain_that_show_the_class_are_not_fitted_to() -> None:
    fit, _ = prepared(40, retain={"x": scenes(60, 3)["x"]})
    assert fit.retained is not None
    assert fit.chosen is not None
    assert fit.inquiry.placing is not None
    model, found = fit.inquiry.placing.view.whole, fit.inquiry.placing.found
    end = end_of_places(model, found, 0)
    every = [fit.chosen.probes.feeds, *(probes.feeds for probes in fit.retained.read)]
    windows = Windows.of(model, fit.inquiry.engine, end, fit.inquiry.forget, every, 8, 0)
    price = windowed.Price.of(fit.inquiry, fit.chosen, fit.retained.read)
    trial = windowed._Trial.of(windows, price, len(fit.chosen))
    own = windows.sampled.labels == FORGET
    named = windows.sampled.images < len(fit.chosen)
    assert not trial.fitted[own & ~named].any()
    assert trial.fitted[own & named].any()
    held = np.isin(windows.sampled.images, np.flatnonzero(price.apart))
    assert trial.fitted[~own & ~named & ~held].all()
    assert not trial.fitted[held].any()


def test_some_inputs_to_retain_tell_the_price_too_where_nobody_said_what_is_where() -> None:
    x = scenes(60, 3)["x"]
    fit, _ = prepared(40, retain={"x": x})
    assert fit.retained is not None
    assert fit.chosen is not None
    unsaid = replace(fit.chosen, given=False)
    price = windowed.Price.of(fit.inquiry, unsaid, fit.retained.read)
    read = np.concatenate([probes.feeds["x"] for probes in fit.retained.read])
    more = len(read) // 6
    assert more >= 5
    assert price.held.sum() == price.apart.sum() >= more + 2
    np.testing.assert_array_equal(
        price.scenes.probes.feeds["x"][-more:], read[price.apart[len(fit.chosen) :]]
    )
    said = maps_of(fit.inquiry.original, price.scenes)
    assert price.scenes.maps is not None
    np.testing.assert_array_equal(price.scenes.maps, said)
    only = windowed.Price.of(fit.inquiry, fit.chosen, fit.retained.read)
    assert len(only.scenes) == len(fit.chosen)


def test_an_edit_that_places_chose_is_held_to_the_price_of_whole_inputs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fit, bench = prepared(40)
    broken = Edits(bench.model)
    layer = bench.layers[1]
    broken.set_weight(layer, 0 * broken.weight(layer))
    monkeypatch.setattr(windowed, "is_full", lambda _: True)
    monkeypatch.setattr(
        windowed, "run_method", lambda *_: Outcome(broken, {"chosen": "erase", "share": 0.75})
    )
    found = tried(fit, bench)
    assert found.details["chosen"] == "head"
    assert "75% of erase by places would cost" in found.details["why"]
