"""The class's corner of the simplex of means, projected out."""

import numpy as np
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods import run_method
from onnxunlearn.methods.pour import corners

from .benches import bench


def test_a_simplex_without_a_corner_is_a_simplex() -> None:
    """Theorem of the paper: cosines of −1/(C − 1) become −1/(C − 2)."""
    c, width = 6, 9
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(width, width)))[0][:, :c]
    simplex = (np.eye(c) - 1 / c) @ turned.T
    basis, centre = corners(np.repeat(simplex, 3, axis=0) + 7, np.repeat(np.arange(c), 3), [2])
    np.testing.assert_allclose(centre, 7, atol=1e-9)
    kept = simplex - simplex @ basis @ basis.T
    np.testing.assert_allclose(kept[2], 0, atol=1e-9)
    others = np.delete(kept, 2, axis=0)
    others /= np.linalg.norm(others, axis=1, keepdims=True)
    np.testing.assert_allclose(others @ others.T, np.eye(c - 1) * (1 + 1 / (c - 2)) - 1 / (c - 2), atol=1e-9)


def test_the_logits_are_those_of_the_projected_features() -> None:
    made = bench()
    outcome = run_method("pour", made, {})
    features = made.record([made.head.input])[made.head.input].astype(np.float64)
    means = np.stack([features[made.y == c].mean(axis=0) for c in np.unique(made.y)])
    centre = means.mean(axis=0)
    v = means[list(np.unique(made.y)).index(made.forget[0])] - centre
    v /= np.linalg.norm(v)
    projected = features - np.outer((features - centre) @ v, v)
    original = Edits(made.model)
    wanted = projected @ original.weight(made.head).T + original.bias(made.head)
    others = [c for c in range(wanted.shape[1]) if c not in made.forget]
    scores = made.scores(outcome.edits)
    np.testing.assert_allclose(scores[:, others], wanted[:, others], atol=1e-3)
    np.testing.assert_allclose(scores[:, made.forget[0]], wanted[:, others].mean(axis=1), atol=1e-3)
    assert outcome.details == {"directions": 1}


def test_a_class_alone_has_no_direction() -> None:
    with pytest.raises(UnsupportedError, match="of the class and of others"):
        corners(np.ones((3, 2)), np.zeros(3, int), [0])
