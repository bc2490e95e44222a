"""Class forgetting by SVD: take out of each layer what the class's inputs use and the others' don't.

    R = U diag(σ) Vᵀ                 inputs of a layer as columns, once of the forget and once of the retained
                                     probes; λ_i = α s_i / ((α − 1) s_i + 1) with s_i = σ_i² / Σ σ²
    P_r = U_r Λ_r U_rᵀ,  P_f = U_f Λ_f U_fᵀ
    W' = W (I − P_f (I − P_r))ᵀ      for every layer at once

Kodge, Saha, Roy, "Deep Unlearning: Fast and Efficient Gradient-free Class Forgetting", TMLR 2024, and as in
the authors' code; importance scaling after Saha and Roy, "Continual Learning with Scaled Gradient
Projection", 2023. α_r and α_f come from a grid, as published; but the published score, retain · (1 − forget
accuracy), gives way to the retain budget: for each α_r the largest affordable α_f. Forward passes only.

The transpose matters: with W (I − P_f (I − P_r)) the sample models' class stays.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer
from onnxunlearn.methods.layer_inputs import from_weight_rows, groups, record_all_rows, weight_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best, largest
from onnxunlearn.methods.workbench import Workbench

#: α_r as published; α_f finer, with the ends that few probes and small networks need
ALPHA_R = 10.0, 30.0, 100.0, 300.0, 1000.0, 10000.0
ALPHA_F = tuple(round(0.1 * 1.5**i, 3) for i in range(18))
#: rows of inputs that a decomposition of either set may always see, and numbers that it sees at most
ROWS, NUMBERS = 1024, 2_000_000
#: layers whose inputs are recorded in one pass over the probes
AT_ONCE = 8
#: share of the largest σ² below which a direction is rounding
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Space:
    """u: [width, rank], orthonormal columns. share: [rank], each direction's share of the squared norm."""

    u: np.ndarray
    share: np.ndarray

    @classmethod
    def of(cls, rows: np.ndarray) -> "Space":
        """The space of the rows of a matrix [rows, width], through the smaller of its two Gram matrices."""
        wide = len(rows) < rows.shape[1]
        squares, vectors = np.linalg.eigh(rows @ rows.T if wide else rows.T @ rows)
        found = squares > NEGLIGIBLE * squares.max(initial=0)
        squares, vectors = squares[found], vectors[:, found]
        u = rows.T @ vectors / np.sqrt(squares) if wide else vectors
        return cls(u, squares / squares.sum())

    def project(self, rows: np.ndarray, alpha: float) -> np.ndarray:
        """rows @ P, with the directions scaled by their importance."""
        importance = alpha * self.share / ((alpha - 1) * self.share + 1)
        return np.asarray((rows @ self.u * importance) @ self.u.T)


@method("svd")
def svd(bench: Workbench, *, alpha_r: float | None = None, alpha_f: float | None = None) -> Outcome:
    """Projects out of every layer's input space what the class uses and the others don't.

    alpha_r: how firmly the retained space is kept; searched where not given. alpha_f: how much of the forget
    space goes; searched where not given.

    Source: Kodge, Saha, Roy 2024, Transactions on Machine Learning Research.
    """
    check_number("svd: alpha_r", alpha_r, 0)
    check_number("svd: alpha_f", alpha_f, 0)
    retain, forget = _spaces(bench, ~bench.forgotten), _spaces(bench, bench.forgotten)

    def edited(keep: float, drop: float) -> Edits:
        edits = Edits(bench.model)
        for layer in bench.editable:
            weight = weight_rows(layer, edits.weight(layer)).astype(np.float64)
            by_group = zip(weight, retain[layer], forget[layer], strict=True)
            found = [projected(*group, keep, drop) for group in by_group]
            edits.set_weight(layer, from_weight_rows(layer, np.stack(found)))
        return edits

    def affordable(keep: float) -> float:
        count = largest(len(ALPHA_F), lambda n: bench.affordable(bench.trial(edited(keep, ALPHA_F[n - 1]))))
        return ALPHA_F[max(count, 1) - 1]

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        for keep in ALPHA_R if alpha_r is None else (alpha_r,):
            drop = affordable(keep) if alpha_f is None else alpha_f
            yield {"alpha_r": keep, "alpha_f": drop, "layers": len(retain)}, edited(keep, drop)

    return best(bench, candidates(), asked=alpha_r is not None and alpha_f is not None)


def projected(weight: np.ndarray, retain: Space, forget: Space, alpha_r: float, alpha_f: float) -> np.ndarray:
    """W (I − P_f (I − P_r))ᵀ = W − (W − W P_r) P_f, for W [neurons, width]."""
    return weight - forget.project(weight - retain.project(weight, alpha_r), alpha_f)


def _spaces(bench: Workbench, which: np.ndarray) -> dict[Layer, list[Space]]:
    """The space of each layer's inputs over the probes `which` (bool [N]), for each of its groups."""
    layers, samples = bench.editable, np.flatnonzero(which)
    widths = {layer: math.prod(layer.weight.shape[1:]) for layer in layers}
    if not len(samples):  # no retain probes: nothing that should be kept
        return {layer: [Space(np.zeros((widths[layer], 0)), np.zeros(0))] * groups(layer) for layer in layers}

    def limit(layer: Layer) -> int:
        return max(ROWS, NUMBERS // widths[layer])

    found = {}
    for start in range(0, len(layers), AT_ONCE):
        inputs = record_all_rows(bench, layers[start : start + AT_ONCE], samples, limit=limit)
        for layer, rows in inputs.items():
            by_group = rows.swapaxes(0, 1).reshape(rows.shape[1], -1, rows.shape[-1])
            found[layer] = [Space.of(group.astype(np.float64)) for group in by_group]
    return found
