import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from onnxunlearn.judge import agreement, cka, divergence, redistribution
from onnxunlearn.numerics import softmax
from onnxunlearn.tasks import probabilities

Y = np.array([0, 0, 0, 0, 1, 1, 2, 2])


def test_redistribution_by_hand() -> None:
    first, second = Y.copy(), Y.copy()
    first[:4], second[:4] = [1, 1, 1, 2], [1, 2, 2, 2]
    assert redistribution(first, second, Y, (0,), 3) == 0.5
    assert redistribution(first, first, Y, (0,), 3) == 0
    assert redistribution(Y, first, Y, (0,), 3) == 1


def test_each_forgotten_class_goes_its_own_way() -> None:
    """Together, the two would look alike."""
    y = np.array([0, 0, 1, 1])
    assert redistribution(np.array([2, 2, 3, 3]), np.array([3, 3, 2, 2]), y, (0, 1), 4) == 1


def test_redistribution_without_samples_is_unknown() -> None:
    assert redistribution(Y, Y, Y, (7,), 8) is None


distributions = arrays(np.float64, (4, 5), elements=st.floats(-50, 50)).map(softmax)


@given(distributions, distributions)
def test_divergence_is_symmetric_and_within_0_and_1(p: np.ndarray, q: np.ndarray) -> None:
    found = divergence(p, q)
    assert found is not None
    assert 0 <= found <= 1
    assert found == pytest.approx(divergence(q, p), abs=1e-12)
    assert divergence(p, p) == pytest.approx(0, abs=1e-12)


def test_divergence_of_what_has_nothing_in_common_is_one_bit() -> None:
    assert divergence(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]])) == 1
    half = divergence(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))
    assert half == pytest.approx(1.5 - 0.75 * np.log2(3))
    assert divergence(np.empty((0, 2)), np.empty((0, 2))) is None
    assert divergence(np.array([[np.nan, 0.0]]), np.array([[0.5, 0.5]])) is None


def test_agreement() -> None:
    assert agreement(np.array([1, 2, 3, 3]), np.array([1, 2, 0, 3])) == 75
    assert agreement(np.array([]), np.array([])) is None


def test_cka_ignores_rotation_shift_and_scale_and_nothing_else() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 6)) * [5, 3, 2, 1, 1, 1]
    turned, _ = np.linalg.qr(rng.normal(size=(6, 6)))
    assert cka(x, 3 * x @ turned + 7) == pytest.approx(1)
    stretched = cka(x, x / [5, 3, 2, 1, 1, 1])
    assert stretched is not None
    assert stretched < 0.9
    unrelated = cka(x, rng.normal(size=(200, 4)))
    assert unrelated is not None
    assert unrelated < 0.1


def test_cka_of_what_does_not_vary_is_unknown() -> None:
    x = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    assert cka(x, np.full((20, 3), 0.1, np.float32)) is None
    assert cka(x, np.where(x > 1, np.nan, x)) is None


SCORES = np.array([[2.0, 0.0, -1.0], [800.0, 0.0, 0.0]])


def test_probabilities_behind_every_normaliser() -> None:
    expected = softmax(SCORES)
    np.testing.assert_allclose(expected[1], [1, 0, 0])
    np.testing.assert_allclose(probabilities(SCORES, None), expected)
    np.testing.assert_allclose(probabilities(expected.astype(np.float32), "Softmax"), expected, atol=1e-6)
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(probabilities(np.log(expected), "LogSoftmax"), expected)


def test_what_is_in_proportion_is_scaled_and_what_adds_up_to_1_is_never_normalised_again() -> None:
    expected = softmax(SCORES)
    for factor in (1, 100, 0.01):
        np.testing.assert_allclose(probabilities(factor * expected, "Softmax"), expected)
        np.testing.assert_allclose(probabilities(factor * expected, "Exp"), expected)
    np.testing.assert_allclose(probabilities(expected, None), expected)  # whoever took them for logits
    np.testing.assert_allclose(probabilities(expected - 1e-2, None), softmax(expected - 1e-2))


def test_independent_probabilities_are_scaled() -> None:
    found = probabilities(np.array([[0.6, 0.2], [0.0, 0.0]]), "Sigmoid")
    np.testing.assert_allclose(found, np.array([[0.75, 0.25], [0.0, 0.0]]))
    logs = probabilities(np.log([[0.6, 0.2], [0.1, 0.1]]), "LogSigmoid")
    np.testing.assert_allclose(logs, np.array([[0.75, 0.25], [0.5, 0.5]]))
