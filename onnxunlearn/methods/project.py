"""Project: the head no longer reads the direction in which samples with it and without differ on average.

    d = (μ_with − μ_without) / |μ_with − μ_without|
    w_c' = w_c − (w_c·d) d,  b_c' = b_c + (w_c·d)(d·μ_without)

so every logit is what it would be with the feature at the mean of the samples without; of several identities
in an embedding one after another, each d orthogonal to those before it. All else of the network stays, and
in its features a probe still finds all that was to be forgotten: it is to a concept what hiding the logit is
to a class, and is reported beside every result as `mask`.

Source: mean projection, e.g. Haghighatkhah et al., "Better Hit the Nail on the Head than Beat around the
Bush", EMNLP 2022.
"""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import pooled
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.outcome import Outcome, method
from onnxunlearn.methods.workbench import Workbench

#: what is less than this of a direction that others have been taken from is rounding
_SAME = 1e-6


@method("project")
def project(bench: Workbench) -> Outcome:
    """Takes out of the head the direction in which samples with it and without differ on average.

    Of a class: in which its samples and the others do. Nothing further down is forgotten.

    Source: Haghighatkhah et al. 2022, EMNLP; a baseline.
    """
    edits = Edits(bench.model)
    head = bench.head
    features = bench.record([head.input], reduce=lambda _, x: pooled(x, head))[head.input].astype(np.float64)
    if not bench.forgotten.any() or bench.forgotten.all():
        raise UnsupportedError("method project needs probes with what is to be forgotten and without")
    mean = features[~bench.forgotten].mean(axis=0)
    weight, bias = edits.weight(head), edits.bias(head)
    rows, shift = weight.reshape(len(weight), -1).astype(np.float64), np.zeros(len(weight))
    taken, lengths = list[np.ndarray](), list[float]()
    for own in bench.forgotten_each:
        apart = features[own].mean(axis=0) - mean
        lengths.append(float(np.linalg.norm(apart)))
        if not np.isfinite(lengths[-1]):
            raise UnsupportedError("method project needs features that are finite")
        for other in taken:
            apart = apart - other * (other @ apart)
        left = float(np.linalg.norm(apart))
        if left > _SAME * lengths[-1]:
            direction = apart / left
            read = rows @ direction
            rows, shift = rows - np.outer(read, direction), shift + read * (direction @ mean)
            taken.append(direction)
    if taken:
        edits.set_weight(head, rows.reshape(weight.shape).astype(weight.dtype))
        if bias is not None:
            edits.set_bias(head, (bias + shift).astype(bias.dtype))
    if bench.forget:
        silence(bench, edits)
    return Outcome(edits, {"apart": round(max(lengths), 4)})
