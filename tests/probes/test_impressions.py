import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.probes.impressions import rolled, roughness


@given(st.integers(-5, 5), st.integers(-5, 5), st.booleans())
def test_moving_back_undoes_moving(down: int, right: int, channels_last: bool) -> None:
    images = np.random.default_rng(0).normal(size=(2, 6, 7, 3) if channels_last else (2, 3, 6, 7))
    moved = rolled(images, down, right)
    np.testing.assert_array_equal(rolled(moved, -down, -right), images)
    space = (1, 2) if channels_last else (2, 3)
    np.testing.assert_allclose(moved.sum(axis=space), images.sum(axis=space), atol=1e-12)


def test_rows_of_numbers_have_neither_place_nor_neighbours() -> None:
    rows = np.random.default_rng(0).normal(size=(4, 9))
    assert rolled(rows, 2, 1) is rows
    assert not roughness(rows).any()


@given(st.booleans())
def test_roughness_is_the_gradient_of_total_variation(channels_last: bool) -> None:
    rng = np.random.default_rng(0)
    shape = (2, 4, 5, 3) if channels_last else (2, 3, 4, 5)
    axes = (1, 2) if channels_last else (2, 3)
    images, direction = rng.normal(size=shape), rng.normal(size=shape)

    def variation(x: np.ndarray) -> float:
        return float(sum(np.abs(np.diff(x, axis=axis)).sum() for axis in axes))

    step = 1e-7
    slope = (variation(images + step * direction) - variation(images - step * direction)) / (2 * step)
    np.testing.assert_allclose((roughness(images) * direction).sum(), slope, rtol=1e-5)
