"""DAMP: each layer no longer sees the direction in which the class differs from all others.

    μ_c          prototype of class c: the mean input of the layer over its probes (and positions)
    d_f          the part of μ_f outside the span of the retained prototypes; q = d_f / |d_f|
    W' = W (I − α q qᵀ)             several forget classes: q their orthonormal basis
    α = strength · separability     small in early layers, large in deep ones

Hatami, Aalishah, Monosov, "Class Unlearning via Depth-Aware Removal of Forget-Specific Directions", 2026
(arXiv:2604.15166). All prototypes are those of the original, so one recording serves every strength.
separability is how well the nearest prototype tells the class from the others, 2 · balanced accuracy − 1,
which is our reading of the paper's "parameter-free depth-aware scaling from probe separability". Its strength
is 1; here it is what the retain budget allows. Forward passes only.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer
from onnxunlearn.methods.layer_inputs import from_weight_rows, record_all_rows, weight_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best
from onnxunlearn.methods.workbench import Workbench

#: tried where none is given; above 1 the direction turns against the class
STRENGTHS = tuple(i / 8 for i in range(1, 17))
#: a residual shorter than this share of its prototype is rounding
NEGLIGIBLE = 1e-4


@dataclass(frozen=True)
class Direction:
    """basis: per group [width, k], orthonormal columns; k = 0 where nothing is left. separability: 0…1."""

    basis: tuple[np.ndarray, ...]
    separability: float


@method("damp")
def damp(bench: Workbench, *, strength: float | None = None) -> Outcome:
    """Removes from every layer's input the class's prototype outside the span of the others'.

    strength: of the projection, 1 as published; searched where not given.

    Source: Hatami, Aalishah, Monosov 2026, arXiv:2604.15166.
    """
    check_number("damp: strength", strength, 0)
    directions = _directions(bench)

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        for tried in STRENGTHS if strength is None else (strength,):
            edits, alphas = Edits(bench.model), {}
            for layer, direction in directions.items():
                alpha = alphas[layer.name] = tried * direction.separability
                weight = weight_rows(layer, edits.weight(layer)).astype(np.float64)
                pairs = zip(weight, direction.basis, strict=True)
                kept = np.stack([without(*pair, alpha) for pair in pairs])
                edits.set_weight(layer, from_weight_rows(layer, kept))
            yield {"strength": tried, "alphas": {n: round(a, 3) for n, a in alphas.items()}}, edits

    return best(bench, candidates(), asked=strength is not None)


def without(weight: np.ndarray, basis: np.ndarray, alpha: float) -> np.ndarray:
    """W (I − α Q Qᵀ), for W [neurons, width] and Q [width, k]."""
    return np.asarray(weight - alpha * (weight @ basis) @ basis.T)


def outside(forget: np.ndarray, retained: np.ndarray) -> np.ndarray:
    """Orthonormal basis [width, k] of the forget prototypes' [n, width] parts outside the retained' span."""
    span, *_ = np.linalg.svd(retained.T, full_matrices=False)
    span = span[:, : np.linalg.matrix_rank(retained)] if len(retained) else np.zeros((forget.shape[1], 0))
    residual = forget - (forget @ span) @ span.T
    lengths = np.linalg.norm(residual, axis=1)
    residual = residual[lengths > NEGLIGIBLE * np.linalg.norm(forget, axis=1)]
    u, singular, _ = np.linalg.svd(residual.T, full_matrices=False)
    return np.asarray(u[:, singular > NEGLIGIBLE * singular.max(initial=0)])


def separability(inputs: np.ndarray, y: np.ndarray, forget: tuple[int, ...]) -> float:
    """How well the nearest class prototype tells forget from retained samples: 0 (chance) to 1.

    inputs: [N, features], one row a sample. 1 where there is nothing to tell apart.
    """
    classes = np.unique(y)
    prototypes = np.stack([inputs[y == c].mean(axis=0) for c in classes])
    distances = (prototypes**2).sum(axis=1) - 2 * inputs @ prototypes.T
    said, true = np.isin(classes[distances.argmin(axis=1)], forget), np.isin(y, forget)
    if true.all() or not true.any():
        return 1.0
    return float(max(0.0, said[true].mean() + (~said[~true]).mean() - 1))


def _directions(bench: Workbench) -> dict[Layer, Direction]:
    y, classes = bench.y, np.unique(bench.y)
    forgotten = np.isin(classes, bench.forget)
    inputs = record_all_rows(bench, bench.editable, reduce=lambda rows: rows.mean(axis=2))
    found = {}
    for layer, means in inputs.items():
        means = means.astype(np.float64)
        prototypes = np.stack([means[y == c].mean(axis=0) for c in classes])  # [classes, groups, width]
        basis = [outside(p[forgotten], p[~forgotten]) for p in prototypes.swapaxes(0, 1)]
        found[layer] = Direction(tuple(basis), separability(means.reshape(len(y), -1), y, bench.forget))
    return found
