import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.numerics import entropy, log_softmax, logsumexp, softmax

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


def test_entropy_in_bits() -> None:
    assert entropy(np.array([[0.5, 0.5], [1.0, 0.0]])).tolist() == [1, 0]
