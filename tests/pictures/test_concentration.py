"""How concentrated relevance is, against answers worked out by hand."""

import numpy as np
import pytest

from onnxunlearn.pictures.concentration import LayerRelevance, carriers, cumulative, gini


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([1, 1, 1, 1, 1], 0.8),
        ([10, 0, 0, 0], 0.25),
        ([5, 3, 1, 1], 0.5),
        ([5, 3, 1, 1, -100], 0.4),  # what speaks against is not counted
        ([-1, -2], 0.0),
        ([0, 0], 0.0),
    ],
)
def test_share_of_neurons_that_carry_80_percent(relevance: list[float], expected: float) -> None:
    assert carriers(np.array(relevance, np.float32)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("relevance", "expected"),
    [
        ([2, 2, 2], 0.0),
        ([0, 0, 0, 8], 0.75),
        ([1, 3], 0.25),
        ([1, 2, 3, 4], 0.25),
        ([-5, 4], 0.5),
        ([0], 0.0),
    ],
)
def test_gini(relevance: list[float], expected: float) -> None:
    assert gini(np.array(relevance)) == pytest.approx(expected)


def test_gini_is_the_mean_difference_between_neurons() -> None:
    values = np.random.default_rng(0).exponential(size=50)
    differences = np.abs(values[:, None] - values[None, :]).mean()
    assert gini(values) == pytest.approx(differences / (2 * values.mean()))


def test_cumulative_ends_at_one_and_bends_down() -> None:
    curve = cumulative(np.array([1.0, 4.0, -2.0, 3.0]))
    np.testing.assert_allclose(curve, [0.5, 0.875, 1, 1])


def test_top_neurons_are_positive_and_sorted() -> None:
    layer = LayerRelevance("conv", "Conv", np.array([0.5, -1.0, 2.0, 0.0, 0.5]))
    assert layer.top(4) == [2, 0, 4]
    assert layer.top(1) == [2]


def test_the_edited_layer_has_its_own_numbers() -> None:
    layer = LayerRelevance("conv", "Conv", np.array([1.0, 1.0]), np.array([1.0, 0.0]))
    assert layer.after is not None
    assert (layer.gini, layer.after.gini) == (0.0, 0.5)
    assert layer.after.after is None
