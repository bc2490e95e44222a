"""A linear head on features in which all directions are equally long, so that none drowns the others.

What comes of it is the same for features A and for every invertible A M. A network that ends in two linear
maps can be given any M by its weights alone, as the head undoes it, and with one direction 10,000 times as
long as the others no classifier that is fitted on features as they are finds anything. To whiten them takes
samples, but not their classes.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.attacks.attackers.classifier import standardised
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

#: samples for each direction that is measured; those that are left are as long as the last of these
_SAMPLES = 4
#: of the longest direction: less is rounding of float32
_LEAST = 2e-7


@attack("whitened")
def whitened(evidence: Evidence) -> Iterator[Row]:
    """What a new linear head finds that was fitted on 20 samples a class, and on half of all samples, in
    features whose directions are measured on all of them."""
    if not evidence.thorough:
        return
    for name, per_class, draws, mask in (("whitened", 20, 5, True), ("whitened-full", None, 2, False)):
        yield from probing.rows(
            evidence,
            name,
            lambda n: f"found by a linear head in whitened features, from {n} a class",
            per_class=per_class,
            draws=draws,
            mask=mask,
            prepare=equally_long,
            doing="whitening the features of",
        )


def equally_long(features: np.ndarray) -> np.ndarray:
    """The same samples, float64 [N, directions], of which there are no more than samples; what is not finite
    stays as it is."""
    if not np.isfinite(features).all():
        return features
    x = standardised(features)(features)
    wide = x.shape[1] > len(x)  # then by how samples are alike, which takes no matrix [d, d]
    sizes, axes = np.linalg.eigh((x @ x.T if wide else x.T @ x) / len(x))  # in rising order
    measured = min(x.shape[1], max(len(x) // _SAMPLES, 1))
    least = max(sizes[-measured], _LEAST**2 * sizes[-1], np.finfo(float).tiny)
    lengths = np.sqrt(np.maximum(sizes, least))
    if wide:
        return np.asarray(axes * (np.sqrt(np.maximum(sizes, 0) * len(x)) / lengths))
    return np.asarray(x @ (axes / lengths))
