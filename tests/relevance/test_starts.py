"""What is put on the logits."""

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.relevance.starts import given, start

LOGITS = np.array([[1.0, 5.0, -2.0], [4.0, 0.5, 3.0]])
TARGETS = np.array([0, 0])


def test_logit() -> None:
    np.testing.assert_array_equal(start["logit"](LOGITS, TARGETS), [[1, 0, 0], [4, 0, 0]])


def test_contrast_is_against_the_strongest_other() -> None:
    np.testing.assert_array_equal(start["contrast"](LOGITS, TARGETS), [[1, -5, 0], [4, 0, -3]])


def test_contrast_mean() -> None:
    np.testing.assert_array_equal(start["contrast-mean"](LOGITS, TARGETS), [[1, -2.5, 1], [4, -0.25, -1.5]])


def test_given() -> None:
    np.testing.assert_array_equal(given(np.array([1, 0, -1]), 2, 3), [[1, 0, -1], [1, 0, -1]])
    np.testing.assert_array_equal(given(LOGITS, 2, 3), LOGITS)
    for wrong in (np.zeros((3, 3)), np.zeros(2), np.array(["a", "b", "c"])):
        with pytest.raises(InputError, match="expected numbers of shape"):
            given(wrong, 2, 3)
