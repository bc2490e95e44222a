"""The loss that `erase` minimises, and its gradient with respect to the weights of some layers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, pooled, unpooled
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.boundary import Boundary, Pool, nobody, record_boundary
from onnxunlearn.methods.erase.counterparts import Counterparts
from onnxunlearn.methods.erase.deeper import PINNED, Deeper
from onnxunlearn.methods.erase.descent import Course, Fitted, Step, descend, stored_weights
from onnxunlearn.methods.erase.neighbours import look, votes
from onnxunlearn.methods.erase.others import Others
from onnxunlearn.methods.erase.pull import Groups, Strength
from onnxunlearn.methods.erase.readout import felt, read_directions
from onnxunlearn.methods.erase.relevant import relevant_places
from onnxunlearn.methods.erase.resistance import Resistance
from onnxunlearn.methods.erase.stand_ins import scarce
from onnxunlearn.methods.kept import JOINED, Kept, joined
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import log_softmax, softmax
from onnxunlearn.probes import Shelved, first_of
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.reverse.passes import AT_ONCE, Passes
from onnxunlearn.streams import Spill
from onnxunlearn.tasks import independent

#: copies of each image or sequence, itself included; more where every layer may change, before which nothing
#: has to be recorded
_VARIANTS, _OF_INPUTS = 8, 32
#: of the retained samples of a step that are drawn from all, those that are probes as they were given
_AS_GIVEN = 0.25
#: of the features' mean deviation, added to each: one that hardly moves must not count as much as the others
_LEAST_UNIT = 0.1
#: bytes of a pool that are taken at once, and of its logits that stay in memory; numbers of them that are
#: looked through at once
_TAKEN, _IN_MEMORY, _LOOKED = 1 << 24, 1 << 24, 1 << 20
#: weights that may change at most, in layers of any size; Adam holds three numbers for each
_MOST = 1 << 22
#: samples that tell whether a batch size that is built in can be opened
_FEW = 8


@dataclass(frozen=True)
class Settings:
    """Those of `erase` that the loss knows. batch: retained samples of a step that pin; of the class so many
    at most, and as many examples. pull, pinned: how much distance and pins count at each further depth.
    resist: how much it counts what an attacker would bring back."""

    beta: float = 0.15
    kappa: float = 0.6
    batch: int = 40
    slices: int = 64
    pull: float = 1.0
    resist: float = 0.0
    pinned: float = PINNED


@dataclass(eq=False)
class Matching:
    """The loss of `erase`, as its docstring has it, in the weights of some layers; drawn anew each step."""

    bench: Workbench
    passes: Passes
    boundary: Boundary
    groups: Groups
    strength: Strength
    features: np.ndarray  # φ of the retained pool, in units of `unit`
    scores: np.ndarray  # its logits, shelved where they are large
    others: Others
    deeper: Deeper
    resistance: Resistance | None
    unit: np.ndarray
    read: np.ndarray  # what the head reads of features in units of `unit`: an orthonormal basis
    against: np.ndarray  # see `Counterparts`
    rng: np.random.Generator
    settings: Settings

    @classmethod
    def of(
        cls,
        bench: Workbench,
        layers: list[Layer],
        rng: np.random.Generator,
        settings: Settings,
        *,
        pinned: np.ndarray | None = None,
        kept: Sequence[Kept] = (),
        deeper: Sequence[str] = (),
    ) -> "Matching":
        """Record what the loss needs of the original. pinned: which probes may be, by default all retained
        ones. kept: see `kept_tensors`. deeper: tensors before the last features that are matched, too."""
        if not bench.forgotten.any() or bench.forgotten.all():
            raise UnsupportedError("method erase needs probes of the forgotten and of retained classes")
        pinned = ~bench.forgotten if pinned is None else pinned
        model, top = bench.model, bench.logits.tensor
        if kept:
            model, top = joined(model, bench.logits, [k.tensor for k in kept]), JOINED
        targets = [top, bench.head.input, *deeper]
        tail = tail_of(model, layers, targets, shape_arithmetic(model))
        passes = Passes(Differentiator(tail, targets, bench.engine), bench.model.batch_size)
        moving = [name for name in deeper if name not in tail.boundary]
        seen = look(bench, tail.boundary)
        entered, weights = seen.boundary, stored_weights(Edits(bench.model), layers)
        passes = passes.freed(_some(entered), weights)
        wishes = votes(bench, seen, pinned) if bench.forget else None
        del seen
        wanted = nobody if wishes is None else partial(scarce, bench, pinned, wishes)
        variants = _OF_INPUTS if deeper else _VARIANTS
        boundary = record_boundary(bench, tail, entered, variants, rng, pinned, wanted)
        edits = Edits(bench.model)
        scores, moved, features = _evaluate_pool(bench, passes, boundary.retain, weights)
        scores_f, features_f = evaluate(bench, passes, boundary.forget[0], weights)
        classes, given = bench.logits.classes, len(boundary.y)
        unit = np.concatenate([features[:given], features_f]).std(axis=0)
        unit += _LEAST_UNIT * float(np.sqrt(np.mean(unit**2))) + 1e-12
        others_f = [evaluate(bench, passes, f, weights)[0][:, classes:] for f in boundary.forget if kept]
        rows = np.delete(bench.rows.weights(0, edits.weight(bench.head)), list(bench.forget), axis=0)
        finite = all(np.isfinite(values).all() for values in (unit, rows))
        if not (finite and _told(scores, moved) and _told(scores_f)):
            raise UnsupportedError("method erase needs features and weights of the head that are finite")
        if wishes is None:
            like = Counterparts.of_samples(bench, boundary, pinned)
        else:
            like = Counterparts.of_classes(bench, boundary, wishes, pinned)
        near = np.tile(like.near, (len(boundary.forget), 1))
        groups = Groups(like.own, near, like.sources, settings.slices, rng)
        groups.count_from(features_f / unit, features / unit)
        strength = Strength.of_samples(settings.beta, groups.start)
        if bench.forget:
            overlap = _overlap(bench, first_of(scores, given))
            strength = Strength.of(settings.beta, given, overlap, groups.start)
        own = boundary.given() if moving else {}
        deep = Deeper.of(passes, moving, own, weights, settings.pull, settings.pinned)
        resistance = None
        if settings.resist:
            resistance = Resistance.of(bench, passes, boundary, groups, deep, unit, settings.resist)
        return cls(
            bench, passes, boundary, groups,
            strength,
            features / unit, scores,
            Others.of(moved, np.array(others_f), kept),
            deep, resistance,
            unit, read_directions(rows, unit, shared=not independent(bench.logits)), like.against,
            rng, settings,
        )  # fmt: skip

    def descend(self, edits: Edits, course: Course, share: float = 1.0) -> tuple[Fitted, Course]:
        """The weights that Adam ends at, by layer name, and on which course: see `descent`.

        share: of the weights that may change, no more than _MOST of them: the most relevant, see
        `relevant_places`. Biases all may.
        """
        layers = self.passes.network.tail.layers
        start = stored_weights(edits, layers)
        total = sum(w.size for w, _ in start.values())
        count = min(_MOST, math.ceil(share * total))
        places = self._places(start, count) if count < total else None
        del start  # as large as what is fitted
        return descend(self, edits, layers, course, places, guarded=bool(self.deeper.units))

    def begin(self) -> None:
        """Forget how hard the class was drawn, and how far an attacker came."""
        self.strength = replace(self.strength)
        if self.resistance is not None:
            self.resistance.begin()

    def follow(self, step: Step, said: str) -> None:
        """Draw it harder or softer."""
        self.strength.follow(step.distance)
        self.bench.progress(f"erase: {said}")

    def _places(self, start: Weights, count: int) -> dict[tuple[str, str], np.ndarray]:
        size = 2 * min(len(self.groups.classes), self.settings.batch) + self._batch
        variants = len(self.boundary.forget)
        return relevant_places(
            self.passes, start, count, self.against, variants, self.boundary.copies_of, size
        )

    @property
    def _batch(self) -> int:
        return min(self.settings.batch, len(self.features))

    def loss_and_gradients(self, weights: Weights) -> Step:
        """The loss on samples drawn anew, and its gradients."""
        asked = self.groups.draw(self.settings.batch)
        forgotten, classes = len(asked.probes), self.scores.shape[1]
        drawn = np.concatenate([asked.examples, self._pins()])
        copies = self.boundary.copies_of(asked.variants, asked.probes)
        taken = self.boundary.retain.take(drawn)
        forward = self.passes.forward({n: np.concatenate([copies[n], taken[n]]) for n in taken}, weights)
        top, inner, *_ = self.passes.network.targets
        features = pooled(forward.values[inner], self.bench.head) / self.unit
        rows = forward.values[top].reshape(len(features), -1)
        scores = rows[:, :classes]
        at_features, at_rows = np.zeros_like(features), np.zeros_like(rows)
        distance, of_distance = self.groups.distance(
            features[:forgotten], features[forgotten : 2 * forgotten], asked.groups
        )
        at_features[:forgotten] = self.strength.value * of_distance
        difference = features[forgotten:] - self.features[drawn]
        weighted = felt(difference, self.read)
        at_features[forgotten:] = 2 / difference.size * weighted
        divergence, of_divergence = self._divergence(scores[forgotten:], np.asarray(self.scores[drawn]))
        at_rows[forgotten:, :classes] = self.settings.kappa * of_divergence
        moved, at_rows[:, classes:] = self.others.loss(rows[:, classes:], asked.probes, asked.variants, drawn)
        before, at_deeper = self.deeper.loss(self.passes, forward.values, taken, self.groups, asked.groups)
        pinned = float(np.mean(difference * weighted)) + self.settings.kappa * divergence + moved + before
        signals = {
            top: at_rows.reshape(forward.values[top].shape),
            inner: unpooled(at_features / self.unit, forward.values[inner], self.bench.head),
            **at_deeper,
        }
        gradients = self.passes.backward(forward, signals)
        if self.resistance is not None:
            gradients = self.resistance.joined(gradients, weights, self.strength.value, self._batch)
        return Step(pinned + self.strength.value * distance, distance, gradients)

    def _pins(self) -> np.ndarray:
        """The other retained samples of a step: some are probes as they were given, others of the pool."""
        given = len(self.boundary.y)
        own = min(round(_AS_GIVEN * self._batch), given)
        parts = ((given, own), (len(self.features), self._batch - own))
        return np.concatenate([self.rng.choice(total, part, replace=False) for total, part in parts])

    def _divergence(self, scores: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean KL divergence of the retained classes' probabilities, and its gradient."""
        kept = np.delete(np.arange(scores.shape[1]), list(self.bench.forget))
        gradient = np.zeros_like(scores)
        p, q = (log_softmax(s[:, kept].astype(np.float64)) for s in (wanted, scores))
        gradient[:, kept] = (np.exp(q) - np.exp(p)) / len(scores)
        with np.errstate(invalid="ignore"):  # of two that are -inf, hidden classes
            apart = np.where(np.exp(p) > 0, np.exp(p) * (p - q), 0)
        return float(apart.sum(axis=1).mean()), gradient


def _some(entered: Feeds) -> Feeds:
    """A few samples, from here and there."""
    some = np.unique(np.linspace(0, count_of(entered) - 1, _FEW).astype(int))
    return {name: np.asarray(values[some]) for name, values in entered.items()}


def _overlap(bench: Workbench, scores: np.ndarray) -> float:
    """Mean probability of the forgotten classes on retained probes.

    0 where it says nothing: probes made from the model lie close to where classes meet, and an output that
    decides for itself takes nothing from the others.
    """
    if bench.made.any() or independent(bench.logits):
        return 0.0
    forget = list(bench.forget)
    likely = [softmax(s.astype(np.float64))[:, forget].sum(axis=1) for s in _in_turn(scores)]
    return float(np.concatenate(likely).mean())


def _told(scores: np.ndarray, beside: np.ndarray | None = None) -> bool:
    """Whether all are numbers but for single logits of −∞, which are hidden classes. beside: likewise."""
    told = all((s < np.inf).all() and (s > -np.inf).any(axis=1).all() for s in _in_turn(scores))
    return told and (beside is None or bool((beside < np.inf).all()))


def _in_turn(scores: np.ndarray) -> Iterator[np.ndarray]:
    """All rows, some at a time: many classes make many numbers, of which copies are taken."""
    size = max(2, _LOOKED // scores.shape[1])
    for start in range(0, len(scores), size):
        yield scores[start : start + size]


def evaluate(
    bench: Workbench, passes: Passes, feeds: Feeds, weights: Weights
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, classes], with what is kept behind them, and features [N, d] behind a boundary."""
    top, inner, *_ = passes.network.targets
    values = passes.values(feeds, weights, (top, inner))
    features = pooled(values[inner], bench.head)
    return values[top].reshape(len(features), -1), features


def _evaluate_pool(
    bench: Workbench, passes: Passes, pool: Pool, weights: Weights
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of all samples of a pool: logits, what is kept behind them, features."""
    size = max(1, min(AT_ONCE, _TAKEN // sum(value[:1].nbytes for value in pool.feeds.values())))
    classes = bench.logits.classes
    logits, beside, features = Spill(4 * len(pool) * classes > _IN_MEMORY, Shelved), [], []
    for start in range(0, len(pool), size):
        some = pool.take(np.arange(start, min(start + size, len(pool))))
        rows, inner = evaluate(bench, passes, some, weights)
        logits.add(rows[:, :classes])
        beside.append(rows[:, classes:].copy())
        features.append(inner)
    return logits.whole(), np.concatenate(beside), np.concatenate(features)
