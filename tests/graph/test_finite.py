"""Weights that are not numbers are named; masks of minus infinity are not weights."""

import ml_dtypes
import numpy as np
import pytest

from onnxunlearn.graph import not_finite

from .models import dense, loaded, numbers, tensor


def lines(values: np.ndarray) -> list[str]:
    model = dense(tensor("w", numbers(4, 3)))
    model.graph.initializer.append(tensor("t", values))
    return not_finite(loaded(model))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16])
def test_weights(dtype: type) -> None:
    values: np.ndarray = numbers(4, 3).astype(dtype)
    assert lines(values) == []
    values[0, 0], values[1, 1:] = np.nan, -np.inf
    assert lines(values) == [
        "tensor 't' holds 1 NaN and 2 infinite values of 12; figures and relevances may mean nothing"
    ]


def test_masks() -> None:
    assert lines(np.triu(np.full((4, 4), -np.inf, np.float32), 1)) == []
    assert lines(np.array(-np.inf, np.float32)) == []


def test_nan_alone() -> None:
    assert len(lines(np.full(3, np.nan))) == 1


def test_other_types() -> None:
    assert lines(np.arange(3)) == []
    assert lines(np.zeros((0, 3), np.float32)) == []
