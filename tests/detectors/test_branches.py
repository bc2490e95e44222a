"""Class branches of a detector alone, at places."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.detectors.branches import Branches, check_branches
from onnxunlearn.detectors.detector import Detector, loaded_detector
from onnxunlearn.detectors.forget import Places, _in_branches
from onnxunlearn.detectors.gain import Gain, check_tells
from onnxunlearn.detectors.price import Price
from onnxunlearn.detectors.whole import in_full
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Edited, find_layers
from onnxunlearn.inquiry.options import Options
from onnxunlearn.judge import say_all
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import parse_composite
from tests.tiny_detector import NAMES, as_inputs, squares, trained, write


def _detector(said: list[str] | None = None) -> Detector:
    options = Options() if said is None else Options(progress=said.append)
    _, detector = loaded_detector(trained(), (0,), options)
    assert detector is not None
    return detector


def test_boxes_stay_and_the_class_goes() -> None:
    said: list[str] = []
    detector = _detector(said)
    seen = detector.read({"images": as_inputs(squares(60, 1)[0])})
    half, whole = Branches.of(detector, seen).forget({"steps": 150}, (0.5, 1.0))
    models = [Edited.of(detector.model, o.edits.arrays, detector.files).model() for o in (half, whole)]
    feeds = {"images": as_inputs(squares(30, 2)[0])}
    every = (detector.model, *models)
    before, *after = (say_all(model, detector.found, detector.engine, feeds, 8) for model in every)
    moved = [np.abs(before.scores[..., 1:] - own.scores[..., 1:]).mean() for own in after]
    assert moved[0] < moved[1] < 0.03
    for own in after:
        np.testing.assert_array_equal(before.boxes, own.boxes)
    assert whole.details["layers"] == ["/classes/classes.0/Conv"]
    distances = [float(line.rsplit(" ", 1)[1]) for line in said if "distance" in line]
    assert distances[-1] < distances[0] / 2


def test_where_all_layers_make_boxes_too_there_is_no_branch() -> None:
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(30, 1)[0])})
    shared = replace(detector)
    shared.__dict__["others"] = frozenset(layer.key for layer in find_layers(detector.seen))
    with pytest.raises(UnsupportedError, match="no layer before its head makes class scores alone"):
        Branches.of(shared, seen)
    check_branches(detector)
    with pytest.raises(UnsupportedError, match="no layer before its head makes class scores alone"):
        check_branches(shared)  # without images, of which more would not help


def test_more_images_are_asked_for_only_where_there_is_a_branch() -> None:
    detector = _detector()
    few = {"images": as_inputs(squares(8, 1)[0])}
    detector.__dict__["others"] = frozenset(layer.key for layer in find_layers(detector.seen))
    parts = [detector.read(few)] * 2
    places = Places.drawn(detector, parts[0], parts[1], parse_composite("lra_npp"))
    with pytest.raises(UnsupportedError, match="makes class scores alone"):
        next(_in_branches(places, Price.of(detector, parts[0]), {}))


def test_a_small_detector_is_edited_in_whole_images_in_full() -> None:
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(8, 1)[0])})
    assert in_full(detector, seen, {})
    assert not in_full(detector, seen, {"steps": 10**9})


def test_an_edit_that_brings_nothing_is_refused() -> None:
    """The original's own features: a new head finds what it found."""
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(60, 1)[0])})
    fitted, held = seen.select(np.arange(30)), seen.select(np.arange(30, 60))
    gain = Gain.of(detector, fitted, [held])
    assert gain.judging.any()
    assert "it brings too little: a new head finds" in (gain.refused("it", detector.model) or "")
    (outcome,) = Branches.of(detector, fitted).forget({"steps": 400, "beta": 20.0})
    edited = Edited.of(detector.model, outcome.edits.arrays, detector.files).model()
    assert gain.refused("it", edited) is None


def test_few_held_images_tell_nothing() -> None:
    """Of three it was believed that an edit brought something."""
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(40, 1)[0])})
    showing = np.flatnonzero(seen.showing(detector.forgotten))
    eight, three = (seen.select(showing[:count]) for count in (8, 3))
    check_tells(detector, seen, eight)
    for fitted, held, count in ((seen, three, 3), (eight, eight, 0)):
        with pytest.raises(
            UnsupportedError, match=f"{count} of the images that are held show the class; 8 tell"
        ):
            check_tells(detector, fitted, held)


def test_images_to_retain_pin_places_and_tell_what_an_edit_brings() -> None:
    """Places of the class in them are not fitted to; the images that show them are known after."""
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(20, 1)[0])})
    parts = [Probes({"images": as_inputs(squares(30, seed)[0])}, None, "more") for seed in (2, 3)]
    alone, branches = Branches.of(detector, seen), Branches.of(detector, seen, parts)
    (few,), (many,) = alone.gathered.sampled.values(), branches.gathered.sampled.values()
    assert len(many.own) == len(few.own)
    assert len(many.things) > 2 * len(few.things)
    shown = sum(int(detector.saying(part.feeds).sum()) for part in parts)
    assert shown == branches.shown == int(branches.gathered.aside.sum())
    assert not branches.gathered.aside[:20].any()
    held = branches.showing_among(seen)
    assert held is not None
    assert detector.saying(held.scenes.probes.feeds).all()
    gain = Gain.of(detector, seen, [held])
    assert int(gain.judging.sum()) > 20
    assert alone.showing_among(seen) is None


def test_where_there_is_no_room_every_image_counts_with_fewer_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once those that came last were left out."""
    detector = _detector()
    seen = detector.read({"images": as_inputs(squares(60, 1)[0])})
    (every,) = Branches.of(detector, seen).gathered.sampled.values()
    room = sum(values.nbytes for values in every.rows.values()) // 2
    monkeypatch.setattr("onnxunlearn.methods.whole.gathered._BYTES", room)
    (fewer,) = Branches.of(detector, seen).gathered.sampled.values()
    assert sum(values.nbytes for values in fewer.rows.values()) <= room
    assert len(fewer.own) == len(every.own)
    last = {
        tuple(row.ravel()) for values in every.rows.values() for row in values[-len(every.labels) // 10 :]
    }
    kept = {tuple(row.ravel()) for values in fewer.rows.values() for row in values}
    assert last & kept


def test_of_a_large_detector_all_images_to_retain_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of the few that are annotated shows enough of the class to tell what an edit brings."""
    monkeypatch.setattr("onnxunlearn.detectors.forget.in_full", lambda *_: False)
    monkeypatch.setattr("onnxunlearn.streams.readers.HELD", 1)
    images = as_inputs(squares(90, 9)[0])
    monkeypatch.setattr("onnxunlearn.inquiry.unnamed.HELD", 2 * 10 * images[0].nbytes)
    np.savez(tmp_path / "more.npz", images=images)
    said: list[str] = []
    found = unlearn(
        trained(),
        "green",
        write(tmp_path / "data", 24, 1),
        labels=NAMES,
        retain=tmp_path / "more.npz",
        max_retain_drop=100.0,
        progress=said.append,
    )
    assert [line for line in said if line.startswith("reading ")] == [
        "reading 10 images to retain",
        "reading 50 images to retain",
    ]
    assert "class branches" not in str(found.report["method"]["details"].get("why"))
    (told,) = found.report["method"]["details"]["heads"].values()
    assert told["beta"] == 6
    assert "expected cost" in told
    assert found.report["probes"]["retain"]["choosing"] == 60
