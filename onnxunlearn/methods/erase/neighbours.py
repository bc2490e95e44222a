"""Where a forgotten class's samples would go if the model had never known the class."""

import numpy as np

from onnxunlearn.graph import pooled
from onnxunlearn.methods.erase.depths import depth_tensors, likeness
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import softmax

#: classes that are asked about at every depth, those with most of the probability
_CANDIDATES = 32
#: retained samples that have a say, the nearest ones
_VOTERS = 15


def votes(bench: Workbench, pinned: np.ndarray) -> np.ndarray:
    """How much speaks for each class being what a sample to forget is like, [n, classes]; 0 for forgotten.

    The model's own probabilities, the forgotten classes left out, plus what the probes say, as much as the
    model believes in the classes that these show altogether: half of it every depth (`likeness`), half the
    nearest by the last features. So a class that no probe shows has its say through its row in the head, and
    which classes have probes decides nothing. pinned: the retained probes that may be looked at, bool [N].
    """
    scores = bench.before[bench.forgotten].astype(np.float64)
    scores[:, list(bench.forget)] = -np.inf
    own = softmax(scores)
    likely = np.argsort(-own.sum(axis=0), kind="stable")[:_CANDIDATES]
    examples = np.flatnonzero(pinned & np.isin(bench.y, likely))
    if not len(examples):
        return own
    shown = own[:, np.unique(bench.y[examples])].sum(axis=1, keepdims=True)
    samples = np.flatnonzero(bench.forgotten)
    found = likeness(bench, depth_tensors(bench), samples, examples) + nearest(bench, samples, examples)
    return np.asarray(own + shown * found / 2)


def nearest(bench: Workbench, samples: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The classes of the nearest examples in the last features, as shares, [n, classes].

    samples, examples: indices of probes. An example of a class with few of them counts for more.
    """
    both, inner = np.concatenate([examples, samples]), bench.head.input
    features = bench.record([inner], both, reduce=lambda _, value: pooled(value, bench.head))[inner]
    unit = features.std(axis=0)
    rows = features / (unit + 0.1 * float(np.sqrt(np.mean(unit**2))) + 1e-12)
    x, y = rows[len(examples) :], rows[: len(examples)]
    distance = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * x @ y.T
    classes = bench.y[examples][np.argsort(distance, axis=1, kind="stable")[:, :_VOTERS]]
    counts = np.bincount(bench.y[examples], minlength=bench.logits.classes)
    votes = (classes[:, :, None] == np.arange(len(counts))) / np.maximum(counts, 1)
    return np.asarray(votes.sum(axis=1) / votes.sum(axis=(1, 2))[:, None])
