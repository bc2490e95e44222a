import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.numerics import entropy, hidden, log_softmax, logsumexp, softmax

ROWS = st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=1)


@given(ROWS)
def test_logsumexp_does_not_overflow(rows: list[list[float]]) -> None:
    scores = np.array(rows)
    np.testing.assert_allclose(logsumexp(scores), np.logaddexp.reduce(scores, axis=1), atol=1e-9)


@given(ROWS)
def test_softmax_and_its_logarithm(rows: list[list[float]]) -> None:
    scores = np.array(rows)
    expected = scores - np.logaddexp.reduce(scores, axis=1)[:, None]
    np.testing.assert_allclose(log_softmax(scores), expected, atol=1e-9)
    np.testing.assert_allclose(softmax(scores), np.exp(expected), atol=1e-12)


def test_hidden_takes_the_best_of_the_others() -> None:
    scores = np.array([[5, 4, 1], [1, 9, 2], [3, 2, 1]], np.float32)
    given = scores.copy()
    assert hidden(scores, (0,)).argmax(axis=1).tolist() == [1, 1, 1]
    assert hidden(scores, (0, 1)).argmax(axis=1).tolist() == [2, 2, 2]
    np.testing.assert_array_equal(scores, given)


def test_hidden_works_where_every_other_score_is_very_low() -> None:
    assert hidden(np.array([[0.0, -3e38, -2e38]], np.float32), (0,)).argmax(axis=1).tolist() == [2]


def test_entropy_in_bits() -> None:
    assert entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == [1, 0]
