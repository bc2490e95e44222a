from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from onnxunlearn.neurons import frequency, neuron_relevance, ranked, top_k, union

# Few distinct values, so that ties and zeros come up all the time.
SCORES = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, max_side=8),
    elements=st.sampled_from([-2.0, -0.5, 0.0, 0.5, 1.0, 3.0]),
)
K = st.integers(1, 10)


@given(SCORES, K)
def test_top_k_takes_the_highest_positive_scores(scores: np.ndarray, k: int) -> None:
    for row, chosen in zip(scores, top_k(scores, k), strict=True):
        assert chosen.sum() == min(k, (row > 0).sum())
        assert (row[chosen] > 0).all()
        left = row[~chosen & (row > 0)]
        assert not left.size or left.max() <= row[chosen].min()


def test_top_k_prefers_the_first_of_equals() -> None:
    assert top_k(np.array([[1.0, 3.0, 3.0, 3.0]]), 2).tolist() == [[False, True, True, False]]


@given(SCORES, K)
def test_frequency_is_the_share_of_samples(scores: np.ndarray, k: int) -> None:
    found = frequency(scores, k)
    assert found.shape == scores.shape[1:]
    for neuron, share in enumerate(found):
        assert share == pytest.approx(sum(row[neuron] for row in top_k(scores, k)) / len(scores))


@given(SCORES, K)
def test_frequency_does_not_know_the_order_of_samples(scores: np.ndarray, k: int) -> None:
    shuffled = np.random.default_rng(k).permutation(scores)
    np.testing.assert_allclose(frequency(shuffled, k), frequency(scores, k))


def test_frequency_without_samples_is_zero() -> None:
    assert frequency(np.zeros((0, 3)), 2).tolist() == [0, 0, 0]


@given(SCORES, st.data())
def test_ranked_sorts_the_candidates_and_only_them(scores: np.ndarray, data: st.DataObject) -> None:
    score = scores[0]
    candidates = data.draw(arrays(bool, score.shape))
    order = ranked(score, candidates)
    assert sorted(order) == np.flatnonzero(candidates).tolist()
    for a, b in pairwise(order):
        assert score[a] > score[b] or (score[a] == score[b] and a < b)


def test_neuron_relevance_sums_over_everything_but_samples_and_neurons() -> None:
    images = np.arange(2 * 3 * 4 * 5, dtype=float).reshape(2, 3, 4, 5)
    np.testing.assert_allclose(neuron_relevance(images, axis=1), images.sum(axis=(2, 3)))
    tokens = images[:, 0]
    np.testing.assert_allclose(neuron_relevance(tokens, axis=-1), tokens.sum(axis=1))
    np.testing.assert_array_equal(neuron_relevance(tokens[:, 0], axis=-1), tokens[:, 0])


def test_union_is_sorted_and_has_no_duplicates() -> None:
    assert union([np.array([5, 1]), np.array([1, 2])]).tolist() == [1, 2, 5]
    assert union([]).tolist() == []
