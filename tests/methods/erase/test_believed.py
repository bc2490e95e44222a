"""What the model itself believes a sample to forget is like."""

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from onnxunlearn.methods.erase.neighbours import believed

SCORES = np.array([[3.0, -2.0, -4.0, 0.0], [-3.0, 2.0, -4.0, 0.0], [2.5, -4.0, -2.0, 0.0]], np.float32)


def bench(posed: str, scores: np.ndarray = SCORES) -> Any:
    """Three samples, of which class 0 is to be forgotten; the last column is of no class."""
    task = SimpleNamespace(retained=[1, 2, 3])
    forgotten = np.array([True, False, True])
    return cast(Any, SimpleNamespace(before=scores, forget=(0,), forgotten=forgotten, posed=posed, task=task))


def test_that_there_is_nothing_else_tells_not_what_a_pixel_is_like() -> None:
    found = believed(bench("segmentation"))
    assert found[:, [0, 3]].max() == 0
    assert found.argmax(axis=1).tolist() == [1, 2]
    assert found.sum(axis=1) == pytest.approx(1)


def test_elsewhere_it_does() -> None:
    assert believed(bench("detection")).argmax(axis=1).tolist() == [3, 3]
    assert believed(bench("auto")).argmax(axis=1).tolist() == [3, 3]


def test_where_all_others_are_the_same_everywhere_they_are_what_there_is() -> None:
    flat = SCORES.copy()
    flat[:, 1:] = [-1, -2, 0]
    assert believed(bench("tagging", flat)).argmax(axis=1).tolist() == [3, 3]
