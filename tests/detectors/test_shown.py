"""Where in an image its objects are, on a grid."""

import numpy as np

from onnxunlearn.detectors.shown import shown
from onnxunlearn.judge import BoxForm, SaidAtPlaces
from onnxunlearn.methods.whole import ASIDE, FORGET

CORNERS = BoxForm("corners", False)


def _said(scores: list[list[float]], boxes: list[list[float]]) -> SaidAtPlaces:
    return SaidAtPlaces(np.array([scores], np.float32), np.array([boxes], np.float32))


def test_middles_of_boxes_are_of_their_class() -> None:
    """16 × 16 cells of 64 × 64 pixels: a box of class 0, one to forget that is next like class 2."""
    said = _said([[0.9, 0, 0], [0, 0.6, 0.2]], [[0, 0, 32, 32], [32, 32, 64, 64]])
    found = shown(said, CORNERS, (64, 64), [1])
    assert found.labels.shape == (1, 16, 16)
    assert (found.labels[0, 2:6, 2:6] == 0).all()
    assert (found.labels[0, 10:14, 10:14] == FORGET).all()
    assert (found.near[0, 10:14, 10:14] == 2).all()
    assert found.labels[0, 8, 8] == found.labels[0, 15, 15] == ASIDE
    assert found.labels[0, 0, 15] == -3


def test_what_is_in_doubt_counts_for_the_class_to_forget_alone() -> None:
    said = _said([[0.1, 0], [0, 0.1]], [[0, 0, 32, 32], [32, 32, 64, 64]])
    labels = shown(said, CORNERS, (64, 64), [1]).labels[0]
    assert labels[4, 4] == -3
    assert labels[12, 12] == FORGET


def test_beside_a_box_to_forget_nothing_is_taken_for_an_example() -> None:
    """A box of another class over the same place."""
    said = _said([[0.9, 0], [0, 0.6]], [[0, 0, 32, 32], [0, 0, 32, 32]])
    labels = shown(said, CORNERS, (64, 64), [1]).labels[0]
    assert not (labels == 0).any()
