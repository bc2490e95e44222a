"""Stand-ins for classes that no probe shows, at the boundary of the tail: made from the class to forget.

Were every class a Gaussian around its mean μ_c with a covariance Σ that all share, the best linear classifier
would have the rows w_c = Σ⁻¹μ_c: from a sample of class a one of class c is made by adding Σ(w_c − w_a). So
the rows of a head are prototypes of its classes, also of those that nobody showed. Where the classifier is
the tail of a network its rows are the gradients of its logits,

    u ← u + t·Σ·∂(z_c − log Σ_{k≠c} exp z_k)/∂u

again and again, with the t that would bring that margin to what probes have of their own classes. Σ is the
covariance within classes of what the probes send through the boundary: a stand-in differs from a real sample
only as real samples of one class differ among themselves. Started from samples of the class to forget, which
is what an edit moves: so they lie where it does most harm.

Source: this project (docs/method.md); that logistic rows are Σ⁻¹μ: Efron 1975.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.graph.tail import Tail
from onnxunlearn.methods.erase.scope import multiplications
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import logsumexp, softmax
from onnxunlearn.probes import in_turn
from onnxunlearn.relevance import Propagator, parse_composite

#: steps, and the share of the missing margin that each is to bring
_STEPS, _PACE = 8, 0.7
#: samples that the covariance is taken from at most, and numbers that they may hold
_SAMPLES, _NUMBERS = 400, 1 << 24
#: numbers of stand-ins that move at once; bytes of them that go through the tail and back at once, and how
#: many at least: one alone is multiplied in another order
_AT_ONCE, _CLIMBS, _TOGETHER = 1 << 21, 1 << 20, 2
#: multiplications that all steps together may take, with the covariance and through the tail: with large
#: boundaries, and costly layers behind them, there are fewer stand-ins; and those that both may take for one
#: of each class, the likeliest first
_WORK, _CLIMBING, _WORK_FOR_ONE = 2e10, 1e11, 2.5e11
#: passes forward and back, in passes forward; samples whose margins say what margins are, at least
_BOTH_WAYS, _ASKED = 3, 40
#: probes of a class that need no stand-ins beside them
_ENOUGH = 1
#: stand-ins of a class for every copy that a probe has, and of all classes at most
_EACH, _MOST = 24, 2048
#: probes whose margin is that of their class, below which there is no telling what a margin should be
_FEW, _MARGIN = 5, 2.0


@dataclass(frozen=True)
class StandIns:
    """feeds: of the tail. labels: the class of each, int [n]; the model agrees with all of them."""

    feeds: dict[str, np.ndarray]
    labels: np.ndarray


def scarce(bench: Workbench, pinned: np.ndarray, wishes: np.ndarray, copies: int) -> np.ndarray:
    """Of which classes stand-ins are to be made, int [n], each as often as needed, in turn: those with few
    probes, the likeliest neighbours first.

    pinned: the retained probes that pin, bool [N]. wishes: `neighbours.votes`. copies: of each probe.
    """
    counts = np.bincount(bench.y[pinned], minlength=bench.logits.classes)
    order = np.argsort(-wishes.sum(axis=0), kind="stable")
    few = [c for c in order if counts[c] < _ENOUGH and c not in bench.forget]
    return np.tile(np.asarray(few, int), _EACH * copies)[:_MOST]


def stand_ins(
    bench: Workbench,
    tail: Tail,
    recorded: Sequence[Feeds],
    labels: np.ndarray,
    wanted: np.ndarray,
    rng: np.random.Generator,
) -> StandIns:
    """As many as `wanted` asks for (int [n], the class of each), or as there is time for, less those that the
    model takes for something else.

    recorded: feeds of the tail, all float, from probes and their copies, in parts. labels: their classes,
    some of them to forget.
    """
    layout = {name: value[:1] for name, value in recorded[0].items()}
    rows = _Rows(recorded)
    chosen = rng.permutation(len(rows))[: max(2, min(_SAMPLES, _NUMBERS // rows.width))]
    chosen = np.argsort(labels, kind="stable")[chosen]
    within = rows[chosen]
    within /= np.sqrt(len(chosen), dtype=np.float32)
    for c in np.unique(labels[chosen]):
        mean = rows[np.flatnonzero(labels == c)].mean(axis=0)
        within[labels[chosen] == c] -= mean / np.sqrt(len(chosen), dtype=np.float32)
    behind = {node.index for node in tail.nodes}
    both = _BOTH_WAYS * multiplications(bench, [la for la in bench.layers if la.node.index in behind])
    moving, climbing = 2 * _STEPS * within.size, _STEPS * both + 1
    affordable = min(int(_WORK / moving), int(_CLIMBING / climbing))
    for_one = min(len(np.unique(wanted)), int(_WORK_FOR_ONE / (moving + climbing)))
    wanted = wanted[: max(1, for_one, affordable)]
    climb = _Climb(bench, tail, layout)
    asked = rng.permutation(len(rows))[: int(np.clip(_WORK / (both + 1), _ASKED, _SAMPLES))]
    margins = climb.margins(rows.feeds(asked), labels[asked])
    margins = margins[margins > 0] if (margins > 0).sum() >= _FEW else np.array([_MARGIN])
    aim = rng.choice(margins, len(wanted))
    starts = np.flatnonzero(np.isin(labels, bench.forget))
    found = rows[rng.choice(starts, len(wanted))]
    size = max(1, _AT_ONCE // found.shape[1])
    for some in (slice(start, start + size) for start in range(0, len(wanted), size)):
        for _ in range(_STEPS):
            margin, gradient = climb(found[some], wanted[some])
            direction = gradient @ within.T @ within
            slope = (gradient * direction).sum(axis=1)
            missing = np.maximum(aim[some] - margin, 0)
            direction *= (_PACE * missing / np.maximum(slope, 1e-12))[:, None].astype(np.float32)
            found[some] += direction
            del gradient, direction  # before the next ones
    del within  # as large as all the rest
    kept = climb.margins(_shaped(found, layout), wanted) > 0
    return StandIns(_shaped(found if kept.all() else found[kept], layout), wanted[kept])


class _Rows:
    """Samples of several feeds as the rows of one array [n, width], which would take as much room again."""

    def __init__(self, parts: Sequence[Feeds]) -> None:
        self._feeds = {name: in_turn([part[name] for part in parts]) for name in parts[0]}
        self.width = sum(value[:1].size for value in parts[0].values())

    def __len__(self) -> int:
        return count_of(self._feeds)

    def feeds(self, which: np.ndarray) -> Feeds:
        """Those at these indices, read when they are asked for."""
        return {name: value[which] for name, value in self._feeds.items()}

    def __getitem__(self, which: np.ndarray) -> np.ndarray:
        """Those at these indices, in a new array."""
        found = np.empty((len(which), self.width), np.float32)
        for some in np.array_split(np.arange(len(which)), -(-found.size // _AT_ONCE) or 1):
            found[some] = _flat({n: value[:] for n, value in self.feeds(which[some]).items()})
        return found


class _Climb:
    """How far samples at the boundary are within their wanted classes, and which way is further."""

    def __init__(self, bench: Workbench, tail: Tail, layout: Feeds) -> None:
        self._layout, self._baked = layout, bench.model.batch_size
        each = sum(value.nbytes for value in layout.values())
        self._size = self._baked or min(bench.batch_size, max(_TOGETHER, _CLIMBS // each))
        logits = replace(bench.logits, output=bench.logits.tensor, scores="", normaliser=None)
        composite = parse_composite("gradient")
        self._propagator = Propagator(tail.alone(layout), logits, bench.engine, composite, list(layout))

    def __call__(self, rows: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Margins [n] of each sample for its class, and their gradients [n, d]."""
        feeds, filled = self._whole_batches(_shaped(rows, self._layout), classes)
        margins, gradients = [], np.empty_like(rows)

        def seed(scores: np.ndarray, which: np.ndarray) -> np.ndarray:
            own = _of_class(filled[which], scores.shape[1])
            return np.where(own, 1, -softmax(np.where(own, -np.inf, scores))).astype(scores.dtype)

        for batch in self._propagator.run(feeds, np.arange(len(filled)), self._size, seed):
            margins.append(_margins(batch.logits, filled[batch.start : batch.start + batch.count]))
            own = gradients[batch.start : batch.start + batch.count]
            own[:] = _flat({n: batch.relevance[n][: len(own)] for n in self._layout})
        return np.concatenate(margins)[: len(rows)], gradients

    def margins(self, feeds: Feeds, classes: np.ndarray) -> np.ndarray:
        """The margins alone: no way back."""
        feeds, filled = self._whole_batches(feeds, classes)
        margins, start = [], 0
        for scores in self._propagator.scores(feeds, self._size):
            margins.append(_margins(scores, filled[start : start + len(scores)]))
            start += len(scores)
        return np.concatenate(margins)[: len(classes)]

    def _whole_batches(self, feeds: Feeds, classes: np.ndarray) -> tuple[Feeds, np.ndarray]:
        """Where a batch size is built in, with as many samples again as fill the last one."""
        if not self._baked:
            return feeds, classes
        filled = np.arange(-(-len(classes) // self._baked) * self._baked) % len(classes)
        return {name: value[filled] for name, value in feeds.items()}, classes[filled]


def _margins(scores: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """z_c − log Σ_{k≠c} exp z_k of each sample's own class c."""
    own, scores = _of_class(classes, scores.shape[1]), scores.astype(np.float64)
    return np.asarray(scores[own] - logsumexp(np.where(own, -np.inf, scores)))


def _of_class(which: np.ndarray, classes: int) -> np.ndarray:
    """Each sample's own class, bool [n, classes]. (Rows of np.eye would take the square of the classes.)"""
    return which[:, None] == np.arange(classes)


def _flat(feeds: Mapping[str, np.ndarray]) -> np.ndarray:
    """One row a sample, float32."""
    rows = [value.reshape(len(value), -1) for value in feeds.values()]
    return (np.concatenate(rows, axis=1) if len(rows) > 1 else rows[0]).astype(np.float32, copy=False)


def _shaped(rows: np.ndarray, layout: Feeds) -> dict[str, np.ndarray]:
    """Rows as feeds, shaped and typed as in `layout`."""
    sizes = [value.size for value in layout.values()]
    parts: Sequence[np.ndarray] = np.split(rows, np.cumsum(sizes)[:-1], axis=1)
    return {
        name: part.reshape(len(rows), *value.shape[1:]).astype(value.dtype, copy=False)
        for part, (name, value) in zip(parts, layout.items(), strict=True)
    }
