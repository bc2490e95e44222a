"""Where a forgotten class's samples would go if the model had never known the class."""

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.methods.erase.depths import depth_tensors, likeness
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import softmax

#: classes that are asked about at every depth, those with most of the probability
_CANDIDATES = 32


def votes(bench: Workbench, pinned: np.ndarray) -> np.ndarray:
    """How much speaks for each class being what a sample to forget is like, [n, classes]; 0 for forgotten.

    The model's own probabilities, the forgotten classes left out, plus what every depth says of the classes
    that probes show (`likeness`), as much as the model believes in these altogether. So a class that no probe
    shows has its say through its row in the head, and which classes have probes decides nothing. pinned: the
    retained probes that may be looked at, bool [N].
    """
    scores = bench.scores(Edits(bench.model))[bench.forgotten].astype(np.float64)
    scores[:, list(bench.forget)] = -np.inf
    own = softmax(scores)
    likely = np.argsort(-own.sum(axis=0), kind="stable")[:_CANDIDATES]
    examples = np.flatnonzero(pinned & np.isin(bench.y, likely))
    if not len(examples):
        return own
    shown = own[:, np.unique(bench.y[examples])].sum(axis=1, keepdims=True)
    found = likeness(bench, depth_tensors(bench), np.flatnonzero(bench.forgotten), examples)
    return np.asarray(own + shown * found)
