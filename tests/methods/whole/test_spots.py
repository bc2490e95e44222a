"""Rows of a map, and gradients back into it."""

import numpy as np
import pytest

from onnxunlearn.methods.whole.spots import Spots

SHAPES = [((3, 3), (2, 3, 5, 4)), ((1, 1), (2, 3, 5, 4)), (None, (2, 6, 3))]


@pytest.mark.parametrize(("kernel", "shape"), SHAPES)
def test_gradients_are_added_where_rows_are_from(
    kernel: tuple[int, int] | None, shape: tuple[int, ...]
) -> None:
    """⟨rows(v), g⟩ = ⟨v, add(g)⟩; places may be asked twice, and at the border."""
    rng, spots = np.random.default_rng(0), Spots("x", kernel)
    values = rng.normal(size=shape)
    places = shape[1] if kernel is None else shape[2] * shape[3]
    where = np.array([0, 1, 1, 1]), np.array([0, places - 1, 2, 2])
    rows = spots.rows(values, where)
    signal, gradient = rng.normal(size=rows.shape), np.zeros(shape)
    spots.add(gradient, where, signal)
    assert np.sum(rows * signal) == pytest.approx(np.sum(values * gradient))
    assert np.array_equal(rows[2], rows[3])


def test_a_window_is_what_a_convolution_reads() -> None:
    values = np.arange(2 * 4 * 5, dtype=np.float32).reshape(1, 2, 4, 5)
    row = Spots("x", (3, 3)).rows(values, (np.array([0]), np.array([6])))[0]  # y 1, x 1
    assert np.array_equal(row.reshape(2, 3, 3), values[0, :, 0:3, 0:3])
    corner = Spots("x", (3, 3)).rows(values, (np.array([0]), np.array([0])))[0].reshape(2, 3, 3)
    assert not corner[:, 0].any()
    assert np.array_equal(corner[:, 1:, 1:], values[0, :, 0:2, 0:2])


def test_of_no_place_there_is_no_row() -> None:
    nowhere = np.empty(0, int), np.empty(0, int)
    assert Spots("x", (3, 3)).rows(np.zeros((2, 4, 5, 5)), nowhere).shape == (0, 36)
