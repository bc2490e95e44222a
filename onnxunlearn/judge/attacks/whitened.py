"""A linear head on features in which all directions are equally long, so that none drowns the others.

What comes of it is the same for features A and for every invertible A M. A network that ends in two linear
maps can be given any M by its weights alone, as the head undoes it, and with one direction 10,000 times as
long as the others no classifier that is fitted on features as they are finds anything. To whiten them takes
samples, but not their classes.
"""

from collections.abc import Iterator

import numpy as np

from onnxunlearn.digests import sha256_of_arrays
from onnxunlearn.judge.attacks import attack
from onnxunlearn.judge.attacks.attackers import probing
from onnxunlearn.judge.attacks.attackers.classifier import standardised
from onnxunlearn.judge.evidence import Evidence
from onnxunlearn.judge.row import Row

#: samples for each direction that is measured. The others are left out: whoever fits takes each feature to
#: one length, and what no sample tells from noise would be as long as all else
_SAMPLES = 4
#: of the longest direction: less is rounding of float32
_LEAST = 2e-7


@attack("whitened")
def whitened(evidence: Evidence) -> Iterator[Row]:
    """What a new linear head finds that was fitted on 20 samples a class, and on half of all samples, in
    features whose directions are measured on all of them."""
    if not evidence.thorough:
        return
    known: dict[str, np.ndarray] = {}

    def once(features: np.ndarray) -> np.ndarray:
        """Both heads are fitted on the same features; what they are whitened to has few directions."""
        key = sha256_of_arrays({"features": features})
        if key not in known:
            known[key] = equally_long(features)
        return known[key]

    for name, per_class, draws, mask in (("whitened", 20, 5, True), ("whitened-full", None, 2, False)):
        yield from probing.rows(
            evidence,
            name,
            lambda n: f"found by a linear head in whitened features, from {n} a class",
            per_class=per_class,
            draws=draws,
            mask=mask,
            prepare=once,
            doing="whitening the features of",
        )


def equally_long(features: np.ndarray) -> np.ndarray:
    """The same samples in the longest directions, float64 [N, directions]; what is not finite stays as it
    is."""
    if not np.isfinite(features).all():
        return features
    x = standardised(features)(features)
    few = len(x) < x.shape[1]  # then the samples span fewer directions than there are
    sizes, vectors = np.linalg.eigh((x @ x.T if few else x.T @ x) / len(x))  # in rising order
    measured = min(x.shape[1], max(len(x) // _SAMPLES, 1))
    sizes, vectors = sizes[-measured:], vectors[:, -measured:]
    along = vectors * np.sqrt(np.maximum(sizes, 0) * len(x)) if few else x @ vectors
    least = max(_LEAST**2 * sizes[-1], np.finfo(float).tiny)
    return np.asarray(along / np.sqrt(np.maximum(sizes, least)))
