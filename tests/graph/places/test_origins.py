"""Boxes are not made of class scores that they were joined with on the way."""

import pytest

from onnxunlearn.graph.places import find_detection, made_of
from onnxunlearn.lowering import lower
from tests.graph.models import loaded
from tests.graph.places.detectors import FAMILIES


@pytest.mark.parametrize("family", ["yolov8", "yolov8, classes last"])
def test_boxes_parted_from_scores_are_not_made_of_them(family: str) -> None:
    model = lower(loaded(FAMILIES[family]()))
    found = find_detection(model, ())
    assert found is not None
    made = made_of(model, found.beside)
    assert {"x", "box0", "box1"} <= made
    assert not {"classes0", "classes1"} & made


def test_not_beyond_ends() -> None:
    model = lower(loaded(FAMILIES["yolov8"]()))
    assert made_of(model, ["box0"], ["box0"]) == set()
    assert "classes0" in made_of(model, ["classes0"])
