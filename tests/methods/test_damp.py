"""Directions outside the retained prototypes' span, and how strongly they go."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from onnxunlearn.edits import Edits
from onnxunlearn.methods import run_method
from onnxunlearn.methods.damp import outside, separability, without
from onnxunlearn.methods.layer_inputs import from_weight_rows, record_rows, weight_rows

from .tiny import convolutional, tiny_bench, tokens_first


@given(st.integers(1, 3), st.integers(0, 5), st.integers(2, 9), st.integers(0, 99))
def test_the_basis_is_orthonormal_and_outside(forget: int, retained: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    f, r = rng.normal(size=(forget, width)), rng.normal(size=(retained, width))
    basis = outside(f, r)
    assert basis.shape == (width, min(forget, max(0, width - retained)))
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-8)
    np.testing.assert_allclose(r @ basis, 0, atol=1e-8)


def test_a_full_projection_takes_the_direction_and_leaves_what_is_orthogonal() -> None:
    rng = np.random.default_rng(0)
    weight, q = rng.normal(size=(3, 5)), np.eye(5)[:, :1]
    edited = without(weight, q, 1.0)
    np.testing.assert_array_equal(edited[:, 0], 0)
    np.testing.assert_array_equal(edited[:, 1:], weight[:, 1:])
    np.testing.assert_allclose(without(weight, q, 0.25)[:, 0], 0.75 * weight[:, 0])


def test_separability_is_one_for_clusters_apart_and_none_for_one_heap() -> None:
    rng = np.random.default_rng(0)
    y = np.arange(300) % 3
    apart = np.eye(3)[y] * 9 + rng.normal(size=(300, 3))
    assert separability(apart, y, (1,)) == 1.0
    assert separability(rng.normal(size=(300, 3)), y, (1,)) < 0.35
    assert separability(apart[y == 1], y[y == 1], (1,)) == 1.0


@pytest.mark.parametrize("network", [convolutional, tokens_first])
def test_the_edit_is_the_formula(network: object) -> None:
    made = tiny_bench(network())  # type: ignore[operator]
    outcome = run_method("damp", made, {"strength": 1})
    for layer in made.layers:
        means = record_rows(made, layer).astype(np.float64).mean(axis=2)
        alpha = outcome.details["alphas"][layer.name]
        wanted = []
        for group, w in enumerate(weight_rows(layer, Edits(made.model).weight(layer))):
            mu = [means[made.y == c, group].mean(axis=0) for c in range(3)]
            span, _ = np.linalg.qr(np.stack([mu[0], mu[2]]).T)
            d = mu[1] - span @ (span.T @ mu[1])
            q = d / np.linalg.norm(d)
            wanted.append(w - alpha * np.outer(w @ q, q))
        found = outcome.edits.weight(layer)
        np.testing.assert_allclose(found, from_weight_rows(layer, np.stack(wanted)), atol=2e-3)
