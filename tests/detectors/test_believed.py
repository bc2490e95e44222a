"""Truths drawn by a detector's own confidence."""

import numpy as np
import pytest

from onnxunlearn.detectors.believed import believed
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.judge import Boxed
from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.precision import Truth

SIZE = (64, 96)  # width, height
SCORES = np.array([0.9, 0.5, 0.3, 0.2])


def found_at_the_dot(feeds: Feeds) -> list[Boxed]:
    """A box of eight pixels a side at the brightest one, said of four classes."""
    found = []
    for image in feeds["images"]:
        y, x = np.unravel_index(image[0].argmax(), image[0].shape)
        box = np.array([x, y, x + 8, y + 8], np.float32)
        found.append(Boxed(np.tile(box, (len(SCORES), 1)), np.arange(len(SCORES)), SCORES))
    return found


def dots(count: int) -> Feeds:
    images = np.zeros((count, 1, SIZE[1], SIZE[0]), np.float32)
    images[:, 0, 40, 30] = 1
    return {"images": images}


def test_objects_are_as_many_as_confidence_says_and_where_they_were() -> None:
    """Of what is said with less than 0.25 none."""
    count = 500
    drawn = believed(found_at_the_dot, dots(count), SIZE, 0)
    assert (len(drawn), {len(each) for each in drawn}) == (count, {8})
    assert {len(each) for each in believed(found_at_the_dot, dots(3), SIZE, 0)} == {16}
    truths = [truth for each in drawn for truth in each]
    classes = np.concatenate([truth.classes for truth in truths])
    shares = np.bincount(classes, minlength=4) / (count * 8)
    np.testing.assert_allclose(shares[:3], SCORES[:3], atol=0.04)
    assert shares[3] == 0
    boxes = np.concatenate([truth.boxes for truth in truths])
    np.testing.assert_array_equal(boxes, np.tile([30, 40, 38, 48], (len(boxes), 1)))
    assert not any(truth.crowds.any() for truth in truths)


def test_the_seed_says_which() -> None:
    one, same, other = (
        [t.classes.tolist() for each in believed(found_at_the_dot, dots(20), SIZE, seed) for t in each]
        for seed in (0, 0, 1)
    )
    assert one == same
    assert one != other


def test_precision_goes_by_what_is_believed() -> None:
    """Of two truths one has the object that the original says: it is right once of twice. Scores that are
    lower by a factor lose nothing, as their order is the same; a box that is gone loses all."""
    pytest.importorskip("pycocotools", reason="judging detectors needs the extra `detection`")
    box = np.array([[10.0, 10, 30, 30]])
    here, nothing = (
        Truth(boxes, np.ones(len(boxes), int), np.zeros(len(boxes), bool))
        for boxes in (box, np.zeros((0, 4)))
    )
    said = {
        "original": Boxed(box, np.array([1]), np.array([0.8])),
        "lower": Boxed(box, np.array([1]), np.array([0.4])),
        "gone": Boxed(np.zeros((0, 4)), np.zeros(0, int), np.zeros(0)),
    }
    one = Detected(
        [here] * 3,
        {name: [found] * 3 for name, found in said.items()},
        (0, 1, 2),
        (0,),
        0.25,
        believed=[(nothing, here)] * 3,
    )
    scores = {name: one.ap(name, [1], np.ones(3, int), half=True) for name in said}
    assert scores["original"] == pytest.approx(50)
    assert scores["lower"] == scores["original"]
    assert scores["gone"] == 0
    assert one.present == [1]
