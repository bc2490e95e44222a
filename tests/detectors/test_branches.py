"""Class branches of a detector alone, at places."""

import numpy as np

from onnxunlearn.detectors.detector import loaded_detector
from onnxunlearn.detectors.whole import forget_in_branches
from onnxunlearn.graph import Edited
from onnxunlearn.inquiry.options import Options
from onnxunlearn.judge import say_all
from tests.tiny_detector import as_inputs, squares, trained


def test_boxes_stay_and_the_class_goes() -> None:
    _, detector = loaded_detector(trained(), (0,), Options())
    assert detector is not None
    seen = detector.read({"images": as_inputs(squares(60, 1)[0])})
    (outcome,) = forget_in_branches(detector, seen, {"steps": 40})
    edited = Edited.of(detector.model, outcome.edits.arrays, detector.files).model()
    feeds = {"images": as_inputs(squares(30, 2)[0])}
    before, after = (say_all(m, detector.found, detector.engine, feeds, 8) for m in (detector.model, edited))
    np.testing.assert_array_equal(before.boxes, after.boxes)
    assert outcome.details["layers"] == ["/classes/classes.0/Conv"]
    others = before.scores[..., 1:], after.scores[..., 1:]
    assert np.abs(others[0] - others[1]).mean() < 0.01
    print(outcome.details)
