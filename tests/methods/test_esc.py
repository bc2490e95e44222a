"""Principal directions of the class's features, folded out of the head."""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.methods import run_method
from onnxunlearn.methods.esc import principal

from .benches import bench


def test_principal_directions_are_left_singular_vectors() -> None:
    rows = np.random.default_rng(0).normal(size=(20, 6)) * [5, 4, 3, 2, 1, 0]
    u, _, _ = np.linalg.svd(rows.T)
    found = principal(rows)
    assert found.shape == (6, 5)  # what the features do not span is no direction of theirs
    np.testing.assert_allclose(np.abs(found.T @ u[:, :5]), np.eye(5), atol=1e-8)


def test_the_logits_are_those_of_the_projected_features() -> None:
    made = bench()
    outcome = run_method("esc", made, {"p": 5})
    assert outcome.details["directions"] == 3  # 5 % of 64
    features = made.record([made.head.input])[made.head.input].astype(np.float64)
    u, _, _ = np.linalg.svd(features[made.forgotten].T, full_matrices=False)
    projected = features - features @ u[:, :3] @ u[:, :3].T
    original = Edits(made.model)
    wanted = projected @ original.weight(made.head).T + original.bias(made.head)
    np.testing.assert_allclose(made.scores(outcome.edits), wanted, atol=1e-3)
    assert list(outcome.edits.arrays) == [made.head.weight.name]
