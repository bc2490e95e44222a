"""Where a forgotten class's samples would go if the model had never known the class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import pooled
from onnxunlearn.methods.erase.depths import depth_tensors, likeness, row_length
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import folded_rows
from onnxunlearn.tasks import beliefs

#: classes that are asked about at every depth, those with most of the probability
_CANDIDATES = 32
#: retained samples that have a say, the nearest ones
_VOTERS = 15
#: how many times what the model believes a class may get
_BEYOND = 1.5


@dataclass(frozen=True)
class Seen:
    """What the original makes of all choosing probes. boundary: what enters the edited part, [N, ...] each.
    depths: rows [N, d] at points where the network can be cut, shelved where they are large. last: in front
    of the head, [N, features]."""

    boundary: Feeds
    depths: tuple[np.ndarray, ...]
    last: np.ndarray


def look(bench: Workbench, boundary: Sequence[str]) -> Seen:
    """In one run. Raises UnsupportedError where the boundary's samples are not on the first axis."""
    inner, depths = bench.head.input, depth_tensors(bench)
    most = row_length(len(bench.probes), len(depths) or 1)

    def reduce(name: str, values: np.ndarray) -> np.ndarray:
        return pooled(values, bench.head) if name == inner else folded_rows(values, most, bench.seed)

    found = bench.recorded(boundary, [*(n for n in depths if n != inner), inner], reduce)
    last = np.asarray(found.beside[inner])
    rows = (folded_rows(last, most, bench.seed) if n == inner else found.beside[n] for n in depths)
    return Seen(found.boundary, tuple(rows), last)


def votes(bench: Workbench, seen: Seen, pinned: np.ndarray) -> np.ndarray:
    """How much speaks for each class being what a sample to forget is like, [n, classes]; 0 for forgotten.

    The model's own probabilities, the forgotten classes left out, plus what the probes say, as much as the
    model believes in the classes that these show altogether: half of it every depth (`likeness`), half the
    nearest by the last features. So a class that no probe shows has its say through its row in the head, and
    which classes have probes decides nothing. pinned: the retained probes that may be looked at, bool [N].
    """
    own = believed(bench)
    likely = np.argsort(-own.sum(axis=0), kind="stable")[:_CANDIDATES]
    examples = np.flatnonzero(pinned & np.isin(bench.y, likely))
    if not len(examples):
        return own
    shown = own[:, np.unique(bench.y[examples])].sum(axis=1, keepdims=True)
    both = np.concatenate([examples, np.flatnonzero(bench.forgotten)])
    y, classes = bench.y[examples], bench.logits.classes
    found = likeness((np.asarray(rows[both]) for rows in seen.depths), y, len(own), classes)
    found += nearest(seen.last[both], y, classes)
    return np.asarray(own + shown * found / 2)


def believed(bench: Workbench) -> np.ndarray:
    """The model's own probabilities for the samples to forget, [n, classes]; 0 for the forgotten classes."""
    return beliefs(bench.before[bench.forgotten], bench.forget)


def shared_out(wishes: np.ndarray, own: np.ndarray) -> np.ndarray:
    """The class that each sample is wished to be of most, [n], of which none gets far more of them than the
    model believes in: where classes have no probes, nothing else tells how many are too many.

    wishes: [n, classes], below 0 where a class is no choice. own: `believed`.
    """
    room = np.maximum(1, np.rint(_BEYOND * own.sum(axis=0))).astype(int)
    found = np.full(len(wishes), -1)
    for place in np.argsort(-wishes, axis=None, kind="stable"):
        sample, c = divmod(int(place), wishes.shape[1])
        if wishes[sample, c] < 0:
            break
        if found[sample] < 0 and room[c]:
            found[sample] = c
            room[c] -= 1
            if (found >= 0).all():
                break
    return np.where(found < 0, wishes.argmax(axis=1), found)


def nearest(features: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """The classes of the nearest examples in the last features, as shares, [n, classes].

    features: of the examples, whose classes are y, then of the samples. An example of a class with few of
    them counts for more.
    """
    unit = features.std(axis=0)
    rows = features / (unit + 0.1 * float(np.sqrt(np.mean(unit**2))) + 1e-12)
    x, examples = rows[len(y) :], rows[: len(y)]
    distance = (x**2).sum(axis=1)[:, None] + (examples**2).sum(axis=1) - 2 * x @ examples.T
    near = y[np.argsort(distance, axis=1, kind="stable")[:, :_VOTERS]]
    counts = np.bincount(y, minlength=classes)
    votes = np.zeros((len(x), classes))
    np.add.at(votes, (np.arange(len(x))[:, None], near), 1 / counts[near])
    return np.asarray(votes / votes.sum(axis=1, keepdims=True))
