"""ESC, erasing space concept: drop the top principal directions of the class's features.

    Φ_f = U diag(σ) Vᵀ      features of the class's probes as columns, at the head's input
    φ' = (I − U_k U_kᵀ) φ   without its k first directions
    W' = W (I − U_k U_kᵀ)   the same, folded into the head: an ONNX file has no room for a projection

Lee, Park, Jeon, Hwang, Park, "ESC: Erasing Space Concept for Knowledge Deletion", CVPR 2025. The
paper drops p % of the directions (p = 3 by default in its code, of as many directions as there are features)
from plenty of images; with a few dozen the directions that they do not span are kept. k is searched where
neither is given. Forward passes only. What is folded into the head leaves the features themselves as they
were: the paper measures relearning behind the projection, an attacker of this file would measure it before.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from onnxunlearn.arguments import check_number
from onnxunlearn.edits import Edits
from onnxunlearn.methods.damp import without
from onnxunlearn.methods.layer_inputs import from_weight_rows, record_rows, weight_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.search import best
from onnxunlearn.methods.workbench import Workbench


@method("esc")
def esc(bench: Workbench, *, p: float | None = None) -> Outcome:
    """Projects the class's top principal directions out of the features that enter the head.

    p: percentage of all directions that goes, 3 as published; searched where not given.

    Source: Lee et al. 2025, CVPR, arXiv:2504.02199.
    """
    check_number("esc: p", p, 0, 100)
    head = bench.head
    rows = record_rows(bench, head, np.flatnonzero(bench.forgotten)).astype(np.float64)
    bases = [principal(group) for group in rows.swapaxes(0, 1).reshape(rows.shape[1], -1, rows.shape[-1])]
    width, most = rows.shape[-1], bases[0].shape[1]
    counts = range(1, most + 1) if p is None else [min(most, int(width * p / 100))]

    def candidates() -> Iterator[tuple[dict[str, Any], Edits]]:
        for k in counts:
            edits = Edits(bench.model)
            weight = weight_rows(head, edits.weight(head)).astype(np.float64)
            found = [without(w, basis[:, :k], 1.0) for w, basis in zip(weight, bases, strict=True)]
            edits.set_weight(head, from_weight_rows(head, np.stack(found)))
            yield {"directions": k, "p": round(100 * k / width, 2)}, edits

    return best(bench, candidates(), asked=p is not None)


def principal(rows: np.ndarray) -> np.ndarray:
    """Left singular vectors [width, rank] of the features' matrix, strongest first; rows: [n, width]."""
    _, singular, directions = np.linalg.svd(rows, full_matrices=False)
    return np.asarray(directions[singular > 1e-6 * singular.max(initial=0)].T)
