import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.methods.erase.wasserstein import random_directions, sliced_wasserstein


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_it_is_the_cheapest_pairing_of_the_projections(count: int, features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, count, features))
    directions = random_directions(features, 5, rng)
    loss, _ = sliced_wasserstein(x, y, directions)
    a, b = x @ directions, y @ directions
    sorted_pairs = np.mean([(np.sort(a[:, i]) - np.sort(b[:, i])) ** 2 for i in range(5)])
    assert np.isclose(loss, sorted_pairs)
    shuffled = np.mean((a - b[rng.permutation(count)]) ** 2)
    assert loss <= shuffled + 1e-9


@given(st.integers(1, 8), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_gradient_is_that_of_finite_differences(count: int, features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(2, count, features))
    directions = random_directions(features, 4, rng).astype(np.float64)
    _, gradient = sliced_wasserstein(x, y, directions)
    step = rng.normal(size=x.shape)
    size = 1e-6
    up, down = (sliced_wasserstein(x + s * size * step, y, directions)[0] for s in (1, -1))
    assert np.isclose((up - down) / (2 * size), (gradient * step).sum(), rtol=1e-3, atol=1e-6)


def test_no_distance_to_itself_in_another_order() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(9, 3))
    loss, gradient = sliced_wasserstein(x, x[::-1], random_directions(3, 8, rng))
    assert loss < 1e-12
    assert np.abs(gradient).max() < 1e-6


def test_directions_have_length_one() -> None:
    directions = random_directions(7, 100, np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.norm(directions, axis=0), 1, rtol=1e-5)
