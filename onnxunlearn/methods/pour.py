"""POUR: the class's direction is projected out of the features, orthogonally.

    μ_c          mean feature of class c over its probes, at the head's input; μ the mean of these means
    v            (μ_f − μ) / |μ_f − μ|; of several forget classes an orthonormal basis V
    φ' = μ + (I − V Vᵀ)(φ − μ)
    W' = W (I − V Vᵀ),  b' = b + W V Vᵀ μ       the same, folded into the head

In a network trained to the end class means less μ form a simplex whose corners are all as far apart (neural
collapse). Projected along one corner the others are such a simplex again, in one dimension less, so what
tells them apart stays the best there is: the operator that the paper calls optimal, in closed form, without a
strength. The class's own row becomes the mean of the others, so that it never wins.

Le, Peng, Liu, Noble, "POUR: A Provably Optimal Method for Unlearning Representations via Neural Collapse",
CVPR 2026 (arXiv:2511.19339), the closed form, POUR-P; written from its description, as no code is published.
Forward passes only. What is folded into the head leaves the features themselves as they were; see `esc`.
"""

from collections.abc import Sequence

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.methods.damp import without
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.layer_inputs import from_weight_rows, record_rows, weight_rows
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench


@method("pour")
def pour(bench: Workbench) -> Outcome:
    """Projects the class's mean direction, seen from the mean of all classes, out of the head's features.

    Source: Le et al. 2026, CVPR, arXiv:2511.19339 (POUR-P).
    """
    head = bench.head
    rows = record_rows(bench, head).astype(np.float64).mean(axis=2)  # [N, groups, width]
    edits = Edits(bench.model)
    weight = weight_rows(head, edits.weight(head)).astype(np.float64)
    found = [corners(group, bench.y, bench.forget) for group in rows.swapaxes(0, 1)]
    kept = np.stack([without(w, basis, 1.0) for w, (basis, _) in zip(weight, found, strict=True)])
    edits.set_weight(head, from_weight_rows(head, kept))
    bias = edits.bias(head)
    if bias is not None:
        taken = [(w - k) @ centre for w, k, (_, centre) in zip(weight, kept, found, strict=True)]
        edits.set_bias(head, (bias + np.concatenate(taken)).astype(bias.dtype))
    silence(bench, edits)
    return Outcome(edits, {"directions": found[0][0].shape[1]})


def corners(features: np.ndarray, y: np.ndarray, forget: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Orthonormal basis [width, k] of the forgotten classes' means, seen from the mean of the means [width],
    which is the second. features: [N, width].

    Raises UnsupportedError where a forgotten class, or all others, have no sample: nothing is to be seen.
    """
    classes = [int(c) for c in np.unique(y)]
    if not set(forget) <= set(classes) or set(classes) <= set(forget):
        raise UnsupportedError("pour: needs probes of the class and of others; use --method esc or head")
    means = np.stack([features[y == c].mean(axis=0) for c in classes])
    centre = means.mean(axis=0)
    own = means[[classes.index(c) for c in forget]] - centre
    u, singular, _ = np.linalg.svd(own.T, full_matrices=False)
    return u[:, singular > 1e-6 * singular.max(initial=0)], centre
