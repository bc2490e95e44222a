"""Boxes from what a detector says at places: decoded, and the best of those that overlap."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph.places import find_detection, read_detection
from onnxunlearn.judge.detections import BoxForm, SaidAtPlaces, box_form, boxed, overlaps, say_all
from onnxunlearn.lowering import lower
from tests.graph.models import loaded, run
from tests.graph.places.detectors import SIZE, C, ssd, yolov5, yolov8

FRAME = (100, 50)


@pytest.mark.parametrize(
    ("form", "numbers"),
    [
        (BoxForm("corners", False), [10, 20, 30, 40]),
        (BoxForm("turned corners", False), [20, 10, 40, 30]),
        (BoxForm("centre", False), [20, 30, 20, 20]),
        (BoxForm("centre", True), [0.2, 0.6, 0.2, 0.4]),
    ],
)
def test_every_form_is_the_same_box(form: BoxForm, numbers: list[float]) -> None:
    np.testing.assert_allclose(form.corners(np.array([numbers]), FRAME), [[10, 20, 30, 40]], rtol=1e-6)


@pytest.mark.parametrize("layout", ["corners", "turned corners", "centre"])
@pytest.mark.parametrize("shares", [False, True])
def test_the_form_is_told_by_what_is_there(layout: str, shares: bool) -> None:
    truth = np.array([[10.0, 5, 60, 25], [50, 20, 90, 45]])
    boxes = truth / [*FRAME, *FRAME] if shares else truth
    if layout == "turned corners":
        boxes = boxes[:, [1, 0, 3, 2]]
    elif layout == "centre":
        boxes = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    said = SaidAtPlaces(np.ones((1, 2, 1)), boxes[None])
    found = box_form(said, FRAME, [truth])
    assert (found.layout, found.shares) == (layout, shares)


def test_without_truth_the_form_is_told_by_how_the_numbers_lie() -> None:
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 40, (1, 50, 2))
    corners = np.concatenate([low, low + rng.uniform(5, 20, low.shape)], axis=2)
    sizes = np.concatenate([low + 30, rng.uniform(5, 20, low.shape)], axis=2)
    scores = np.ones((1, 50, 1))
    assert box_form(SaidAtPlaces(scores, corners), FRAME) == BoxForm("corners", False)
    assert box_form(SaidAtPlaces(scores, sizes), FRAME) == BoxForm("centre", False)
    assert box_form(SaidAtPlaces(scores, sizes / 100), FRAME) == BoxForm("centre", True)


def test_overlaps_by_hand() -> None:
    one = np.array([[0.0, 0, 10, 10]])
    others = np.array([[0.0, 0, 10, 10], [5, 0, 15, 10], [20, 20, 30, 30]])
    np.testing.assert_allclose(overlaps(one, others), [[1, 1 / 3, 0]])


def test_of_boxes_that_overlap_the_best_of_each_class_stays() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 9], [30, 30, 40, 40]])
    scores = np.array([[0.9, 0.0], [0.8, 0.7], [0.3, 0.005]])
    (found,) = boxed(SaidAtPlaces(scores[None], boxes[None]), BoxForm("corners", False), FRAME)
    assert found.classes.tolist() == [0, 1, 0]
    np.testing.assert_allclose(found.scores, [0.9, 0.7, 0.3])
    (hidden,) = boxed(SaidAtPlaces(scores[None], boxes[None]), BoxForm("corners", False), FRAME, [0])
    assert hidden.classes.tolist() == [1]


@pytest.mark.parametrize("build", [yolov5, yolov8, ssd])
def test_what_is_said_is_what_the_outputs_hold(build: object) -> None:
    """Objectness times class, in probabilities; boxes as they are."""
    proto = build()  # type: ignore[operator]
    model = loaded(proto)
    found = find_detection(lower(model))
    assert found is not None
    x = np.random.default_rng(1).normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    said = say_all(model, found, create_engine("onnxruntime"), {"x": x}, 2)
    outputs = run(proto, {"x": x})
    first = outputs[0] if build is not yolov8 else outputs[0].transpose(0, 2, 1)
    if build is yolov5:
        scores, boxes = first[..., 5:] * first[..., 4:5], first[..., :4]
    elif build is yolov8:
        scores, boxes = first[..., 4:], first[..., :4]
    else:
        scores, boxes = first[..., 1:], outputs[1]
    assert said.scores.shape[2] == C
    np.testing.assert_allclose(said.scores, scores, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(said.boxes, boxes, rtol=1e-3, atol=1e-4)


#: of small detectors: what a file would say of them
_ANCHORS = "columns: [[0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17]]\nbackground: 0\n"
_OF_YOLO = [[10 * way + 5 + c for c in range(C)] for way in range(3)]
TOLD = {
    ssd: "scores: [conf0, conf1]\nclasses: 6\nnormaliser: Softmax\n"
    f"{_ANCHORS}boxes: {{tensor: boxes, axis: 2}}\n",
    yolov8: "scores: [classes0, classes1]\nclasses: 5\nnormaliser: Sigmoid\n"
    "boxes: {tensor: output0, axis: 1, columns: [0, 1, 2, 3]}\n",
    yolov5: f"scores: [m.0, m.1]\nclasses: 5\nnormaliser: Sigmoid\ncolumns: {_OF_YOLO}\n"
    "objectness: [{tensor: m.0, columns: [4, 14, 24]}, {tensor: m.1, columns: [4, 14, 24]}]\n"
    "boxes: {tensor: output, axis: 2, columns: [0, 1, 2, 3]}\nanchors: first\n",
}


@pytest.mark.parametrize("build", TOLD)
def test_what_a_file_says_is_what_the_graph_tells(
    build: Callable[[], onnx.ModelProto], tmp_path: Path
) -> None:
    """Scores of all anchors, in the order in which the file's places are."""
    model, path = loaded(build()), tmp_path / "head.yaml"
    path.write_text("task: detection\nclass_axis: 1\nplace_axes: [2, 3]\n" + TOLD[build])
    told, found = read_detection(path, lower(model)), find_detection(lower(model))
    assert told is not None
    assert found is not None
    assert told.decoded
    x = np.random.default_rng(1).normal(size=(2, 3, SIZE, SIZE)).astype(np.float32)
    ours, theirs = (say_all(model, each, create_engine("onnxruntime"), {"x": x}, 2) for each in (told, found))
    assert ours.scores.shape == theirs.scores.shape
    np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(ours.boxes, theirs.boxes)
