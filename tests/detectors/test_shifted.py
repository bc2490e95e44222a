"""Images shifted by some pixels, with what is in them."""

import numpy as np
import pytest

from onnxunlearn.detectors.shifted import shifted, within
from onnxunlearn.judge import Truth


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "last"])
def test_images_move_and_are_mirrored_at_the_border(last: bool) -> None:
    image = np.arange(20, dtype=np.float32).reshape(1, 1, 4, 5)
    given = np.moveaxis(image, 1, -1) if last else image
    found = shifted(given, 1, -2)
    found = np.moveaxis(found, -1, 1) if last else found
    np.testing.assert_array_equal(found[0, 0, 1:, :3], image[0, 0, :3, 2:])
    np.testing.assert_array_equal(found[0, 0, 0, :3], image[0, 0, 0, 2:])
    np.testing.assert_array_equal(found[0, 0, 1:, 3:], image[0, 0, :3, [4, 3]].T)


def test_objects_move_along_and_are_cut() -> None:
    boxes = np.array([[0, 0, 4, 4], [6, 6, 9, 10], [0, 0, 1, 2]], np.float32)
    found = within(Truth(boxes, np.array([0, 1, 2]), np.zeros(3, bool)), -1, 2, (10, 10))
    np.testing.assert_array_equal(found.boxes[:2], [[2, 0, 6, 3], [8, 5, 10, 9]])
    assert found.crowds.tolist() == [False, False, False]
    far = within(Truth(boxes, np.array([0, 1, 2]), np.zeros(3, bool)), -1, 3, (10, 10))
    assert far.crowds.tolist() == [False, True, False]  # of the second a third is left
