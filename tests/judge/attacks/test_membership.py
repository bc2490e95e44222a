"""An attacker who asks which samples a model was trained on."""

import numpy as np

from onnxunlearn.judge import membership_inference


def peaked(n: int, sharpness: float, seed: int) -> np.ndarray:
    scores = sharpness * np.random.default_rng(seed).normal(size=(n, 10))
    return np.asarray(np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True))


def test_membership_shows_where_confidence_tells() -> None:
    members, others = peaked(300, 8, 0), peaked(300, 1, 1)
    assert (membership_inference(members, others, peaked(200, 8, 2)) or 0) > 90
    assert (membership_inference(members, others, peaked(200, 1, 3)) or 0) < 10


def test_membership_without_a_signal_is_a_coin() -> None:
    found = membership_inference(peaked(2000, 3, 0), peaked(2000, 3, 1), peaked(2000, 3, 2))
    assert found is not None
    assert 30 < found < 70


def test_membership_of_certain_predictions() -> None:
    certain = np.eye(10)[np.arange(30) % 10]  # entropy exactly 0
    assert membership_inference(certain, peaked(30, 1, 0), certain) == 100
    assert membership_inference(certain, certain[:0], certain) is None
    assert membership_inference(certain, certain * np.nan, certain) is None
