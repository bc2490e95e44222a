"""Average precision, recall and absorption of boxes, on a few images whose figures are known by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from onnxunlearn.judge.detected import Detected, same_boxes
from onnxunlearn.judge.detections import Boxed
from onnxunlearn.judge.place_targets import _Judged, _worst
from onnxunlearn.judge.precision import Truth

pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")

BOX, OTHER = [10.0, 10, 30, 30], [50.0, 50, 80, 80]


def truth(*classes: int) -> Truth:
    boxes = np.array([BOX, OTHER][: len(classes)])
    return Truth(boxes, np.array(classes), np.zeros(len(classes), bool))


def said(*entries: tuple[list[float], int, float]) -> Boxed:
    boxes, classes, scores = zip(*entries, strict=True) if entries else ((), (), ())
    return Boxed(np.array(boxes, float).reshape(-1, 4), np.array(classes, int), np.array(scores, float))


def detected(found: dict[str, list[Boxed]], *there: Truth, forget: int = 0) -> Detected:
    return Detected(there, found, (0, 1, 2), (forget,), 0.25)


ONCE = np.ones(2, int)


def test_what_is_found_and_what_is_not() -> None:
    """Of two objects of class 1 one is found, in a worse box; class 2 is found, behind a false one."""
    close = [10.0, 10, 30, 34]  # overlap 0.83
    found = [
        said((close, 1, 0.9), (OTHER, 2, 0.8)),
        said((OTHER, 2, 0.9)),
    ]
    one = detected({"original": found}, truth(1, 2), truth(1))
    assert one.ap("original", [1], ONCE, half=True) == pytest.approx(100 * 51 / 101)
    assert one.ap("original", [1], ONCE, half=False) == pytest.approx(100 * 51 / 101 * 7 / 10)
    assert one.ap("original", [2], ONCE, half=True) == pytest.approx(50)
    assert one.present == [1, 2]
    assert one.quality("original", ONCE) == pytest.approx(100 * (20 / 24 + 1) / 2)


def test_images_that_are_drawn_anew() -> None:
    found = [said((BOX, 1, 0.9)), said()]
    one = detected({"original": found}, truth(1), truth(1))
    assert one.ap("original", [1], np.array([2, 0]), half=True) == pytest.approx(100)
    assert one.ap("original", [1], np.array([0, 2]), half=True) == 0
    assert one.ap("original", [1], np.array([2, 0]), half=True) == pytest.approx(100)
    assert np.isnan(one.ap("original", [2], ONCE, half=True))


def test_of_nothing_found_the_bound_is_what_so_few_images_tell() -> None:
    """Eight of ten images show the class, and no box of it is left: drawing them anew finds none, either."""
    gone = detected({"original": [said()] * 10}, *[truth(0, 1)] * 8, *[truth(1)] * 2)
    for nothing in (
        gone.found_in(lambda times: gone.recall("original", times)),
        gone.measured_ap("original", [0], half=True),
    ):
        assert (nothing.value, nothing.samples) == (0, 8)
        assert nothing.high == pytest.approx(100 * (1 - 0.05 ** (1 / 8)), rel=1e-3)
    kept = gone.measured_ap("original", [1], half=True)
    assert (kept.value, kept.samples) == (0, 10)


def test_objects_of_the_class_are_no_mistakes_of_others() -> None:
    """A box of another class on an object to forget costs that class nothing; `absorbed` counts it."""
    found = {
        "original": [said((BOX, 0, 0.9), (OTHER, 1, 0.8)), said((BOX, 0, 0.9))],
        "edited": [said((BOX, 1, 0.9), (OTHER, 1, 0.8)), said((BOX, 0, 0.2))],
    }
    one = detected(found, truth(0, 1), truth(0))
    assert one.ap("edited", [1], ONCE, half=True) == pytest.approx(100)
    assert (one.recall("original", ONCE), one.recall("edited", ONCE)) == (100, 0)
    assert (one.absorbed("original", ONCE), one.absorbed("edited", ONCE)) == (0, 50)


def test_crowds_count_neither_way() -> None:
    crowd = Truth(np.array([BOX]), np.array([1]), np.array([True]))
    one = detected({"original": [said((BOX, 1, 0.9)), said((BOX, 1, 0.5))]}, crowd, truth(1))
    assert one.ap("original", [1], ONCE, half=True) == pytest.approx(100)
    assert one.judged == {"inputs": 2, "places": 2}


def test_boxes_that_two_models_have_in_common() -> None:
    """One to one, of the same class, from the threshold on; none where the original finds what is to go."""
    near = [11.0, 10, 31, 30]
    said_by = {
        "original": [said((BOX, 1, 0.9), (OTHER, 2, 0.5), (OTHER, 1, 0.1)), said((BOX, 0, 0.9))],
        "edited": [said((BOX, 1, 0.9), (near, 1, 0.8), (OTHER, 1, 0.5)), said((near, 2, 0.9))],
    }
    same, asked = same_boxes(said_by, [0], 0.25)
    assert {name: values.tolist() for name, values in same.items()} == {"original": [4, 0], "edited": [2, 0]}
    assert {name: values.tolist() for name, values in asked.items()} == {"original": [4, 0], "edited": [5, 0]}


def test_one_image_tells_little_of_a_class() -> None:
    found = [said((BOX, 1, 0.9)), said((BOX, 2, 0.9))]
    one = detected({"original": found, "edited": [found[0], said()]}, truth(1), truth(2))
    (target,) = _worst(SimpleNamespace(short_name=str), _Judged.of_boxes(one))  # type: ignore[arg-type]
    assert target.reached.value == pytest.approx(100)
    assert target.reached.low == pytest.approx(5)  # one of one: a share of 5 % is that in one case of twenty
    assert (target.reached.samples, target.met) == (1, False)
