"""Which weights may change: those through which most relevance flows for the class, against its neighbour."""

from collections.abc import Callable

import numpy as np

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Passes

#: (variants, probes) -> feeds of the tail: those copies of those probes to forget
Copies = Callable[[np.ndarray, np.ndarray], Feeds]


def relevant_places(
    passes: Passes,
    start: Weights,
    count: int,
    against: np.ndarray,
    variants: int,
    copies: Copies,
    size: int,
) -> dict[tuple[str, str], np.ndarray]:
    """Flat indices of the `count` weights through which most relevance flows, for or against, where the class
    to forget is weighed against its neighbour; by (layer name, "weight").

    Of z_c − z_g, LRP-0 sends w·∂(z_c − z_g)/∂w through a weight w (between ReLUs; Montavon et al. 2019,
    section 10.2: it is gradient times input, for every connection by itself). Summed over the probes to
    forget and their copies. against: classes c and g of each probe, int [2, n]. variants: copies of each.
    size: samples in a batch; as many as in a step run on the same graph.
    """
    logits, *others = passes.network.targets
    probes = against.shape[1]
    total = variants * probes
    found = {n: np.zeros_like(w) for n, (w, _) in start.items()}
    for first in range(0, total, size):
        places = np.arange(first, first + size)
        variant, probe = np.divmod(places % total, probes)
        forward = passes.forward(copies(variant, probe), start)
        scores = forward.values[logits]
        seed = np.zeros((size, scores[0].size), np.float32)
        own = places < total
        rows, (c, g) = np.arange(size)[own], against[:, probe[own]]
        seed[rows, c] = 1
        seed[rows, g] = -1
        signals = {logits: seed.reshape(scores.shape)}
        signals |= {name: np.zeros_like(forward.values[name]) for name in others}
        for n, (gradient, _) in passes.backward(forward, signals).items():
            found[n] += gradient
            del gradient
        del forward  # all that it keeps, before the next one
    for n, relevance in found.items():
        relevance *= start[n][0]
        np.abs(relevance, out=relevance)
    # Layer by layer, for no more than one of them is to be held twice.
    least = _largest(np.concatenate([_largest(r.reshape(-1), count) for r in found.values()]), count).min()
    # What is 0, as most of a pruned model, is not relevant, however few the others are.
    return {(n, "weight"): np.flatnonzero((r >= least) & (r > 0)) for n, r in found.items()}


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest of a row, in any order; all if there are no more."""
    return values if count >= len(values) else np.partition(values, -count)[-count:]
