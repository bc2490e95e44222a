import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.methods.erase.readout import felt, outside, read_directions


@given(st.integers(2, 5), st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_what_is_outside_changes_no_logit_that_counts(classes: int, features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weight, change = rng.normal(size=(classes, features)), rng.normal(size=(7, features))
    unit = rng.uniform(0.5, 2, size=features)
    own = read_directions(weight / unit, unit, shared=False)
    np.testing.assert_allclose(outside(change, own) @ weight.T, 0, atol=1e-5)
    moved = outside(change, read_directions(weight / unit, unit, shared=True)) @ weight.T
    np.testing.assert_allclose(moved, np.broadcast_to(moved[:, :1], moved.shape), atol=1e-5)
    np.testing.assert_allclose(own @ own.T, np.eye(len(own)), atol=1e-6)


def test_of_a_convolution_every_place_reads() -> None:
    weight = np.zeros((2, 3, 1, 2))
    weight[0, 0, 0, 0] = weight[1, 2, 0, 1] = 1
    np.testing.assert_allclose(
        outside(np.eye(3), read_directions(weight, np.ones(3), shared=False)), np.diag([0, 1, 0])
    )


def test_one_row_that_a_softmax_follows_tells_nothing() -> None:
    assert read_directions(np.ones((1, 4)), np.ones(4), shared=True).shape == (0, 4)


def test_of_a_convolution_in_groups_everything_is_read() -> None:
    directions = read_directions(np.ones((2, 3, 1, 1)), np.ones(6), shared=True)
    np.testing.assert_array_equal(outside(np.ones((4, 6)), directions), np.zeros((4, 6)))


def test_many_rows_read_as_few_do() -> None:
    rng = np.random.default_rng(0)
    rows, unit = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 6)), rng.uniform(0.5, 2, size=6)
    many, few = (read_directions(r, unit, shared=False) for r in (rows, rows[:4]))
    np.testing.assert_allclose(many.T @ many, few.T @ few, atol=1e-5)


def test_change_that_no_logit_depends_on_counts_a_twentieth() -> None:
    read = read_directions(np.array([[3.0, 4.0, 0.0]]), np.ones(3), shared=False)
    changes = np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0], [-4.0, 3.0, 0.0]])
    np.testing.assert_allclose(felt(changes, read), changes * [[1], [0.05], [0.05]], atol=1e-6)
