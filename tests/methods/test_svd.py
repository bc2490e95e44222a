"""The projections restated with full matrices, and what they keep and drop."""

import numpy as np
import pytest

from onnxunlearn.edits import Edits
from onnxunlearn.methods import run_method
from onnxunlearn.methods.layer_inputs import from_weight_rows, record_rows, weight_rows
from onnxunlearn.methods.svd import Space, projected

from .tiny import convolutional, tiny_bench, tokens_first


def dense(rows: np.ndarray, alpha: float) -> np.ndarray:
    """P = U Λ Uᵀ of the representation matrix whose columns are `rows`."""
    u, sigma, _ = np.linalg.svd(rows.T, full_matrices=False)
    share = sigma**2 / (sigma**2).sum()
    return np.asarray(u @ np.diag(alpha * share / ((alpha - 1) * share + 1)) @ u.T)


@pytest.mark.parametrize("count", [4, 30], ids=["fewer rows than width", "more"])
def test_projection_is_the_published_formula(count: int) -> None:
    rng = np.random.default_rng(0)
    retain, forget, weight = rng.normal(size=(count, 8)), rng.normal(size=(count, 8)), rng.normal(size=(3, 8))
    p_r, p_f, identity = dense(retain, 30.0), dense(forget, 3.0), np.eye(8)
    wanted = weight @ (identity - p_f @ (identity - p_r)).T
    found = projected(weight, Space.of(retain), Space.of(forget), 30.0, 3.0)
    np.testing.assert_allclose(found, wanted, atol=1e-10)


def test_what_only_the_class_uses_is_dropped_and_the_others_outputs_stay() -> None:
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(rng.normal(size=(8, 8)))
    retain = rng.normal(size=(50, 5)) @ basis[:, :5].T
    forget = rng.normal(size=(50, 3)) @ basis[:, 5:].T
    weight = rng.normal(size=(4, 8))
    edited = projected(weight, Space.of(retain), Space.of(forget), 1e9, 1e9)
    np.testing.assert_allclose(retain @ edited.T, retain @ weight.T, atol=1e-5)
    np.testing.assert_allclose(forget @ edited.T, np.zeros((50, 4)), atol=1e-5)


@pytest.mark.parametrize("network", [convolutional, tokens_first])
def test_every_layer_and_group_is_edited_by_its_own_inputs(network: object) -> None:
    made = tiny_bench(network())  # type: ignore[operator]
    edits = run_method("svd", made, {"alpha_r": 10, "alpha_f": 3}).edits
    for layer in made.layers:
        rows = record_rows(made, layer).astype(np.float64)
        weight = weight_rows(layer, Edits(made.model).weight(layer))
        wanted = []
        for group, w in enumerate(weight):
            retain, forget = (
                rows[made.forgotten == which, group].reshape(-1, rows.shape[-1]) for which in (False, True)
            )
            identity = np.eye(rows.shape[-1])
            wanted.append(w @ (identity - dense(forget, 3.0) @ (identity - dense(retain, 10.0))).T)
        np.testing.assert_allclose(edits.weight(layer), from_weight_rows(layer, np.stack(wanted)), atol=1e-4)
