"""The loss that `erase` minimises, and its gradient with respect to the weights of some layers."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from onnxunlearn.adam import Adam
from onnxunlearn.edits import Edits
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import SHAPE, Layer, expose, pooled, unpooled
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.boundary import Boundary, record_boundary
from onnxunlearn.methods.neighbours import neighbouring_class
from onnxunlearn.methods.pull import Groups, Strength
from onnxunlearn.methods.readout import outside, read_directions
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.numerics import log_softmax, softmax
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.tasks import independent

#: copies of each image or sequence, itself included
_VARIANTS = 8
#: of the retained samples of a step that are drawn from all, those that are probes as they were given
_AS_GIVEN = 0.25
#: how much it counts that retained features change where no retained class's logit depends on them
_UNREAD = 0.05
#: of the features' mean deviation, added to each: one that hardly moves must not count as much as the others
_LEAST_UNIT = 0.1
#: inputs of a neuron from which on steps are made smaller
_MANY_INPUTS = 512
#: weights that may change at most, in layers of any size; Adam holds three numbers for each
_MOST = 1 << 22


class Step(NamedTuple):
    """loss. distance: of the class from its neighbours, in units of the original's. gradients: of the loss,
    in weight and bias by layer name."""

    loss: float
    distance: float
    gradients: dict[str, tuple[np.ndarray, np.ndarray | None]]


@dataclass(eq=False)
class Matching:
    """The loss of `erase`, as its docstring has it, in the weights of some layers; drawn anew each step."""

    bench: Workbench
    network: Differentiator
    boundary: Boundary
    groups: Groups
    strength: Strength
    features: np.ndarray  # φ of the retained pool, in units of `unit`
    scores: np.ndarray  # its logits
    given: int  # so many of the pool are probes as they were given: the first
    unit: np.ndarray
    read: np.ndarray  # what the head reads of features in units of `unit`: an orthonormal basis
    rng: np.random.Generator
    kappa: float
    batch: int

    @classmethod
    def of(
        cls,
        bench: Workbench,
        layers: list[Layer],
        rng: np.random.Generator,
        *,
        beta: float,
        kappa: float,
        batch: int,
        slices: int,
    ) -> "Matching":
        """Record what the loss needs of the original."""
        if not bench.forgotten.any() or bench.forgotten.all():
            raise UnsupportedError("method erase needs probes of the forgotten and of retained classes")
        model, targets = bench.model, [bench.logits.tensor, bench.head.input]
        tail = tail_of(model, layers, targets, shape_arithmetic(model))
        network = Differentiator(tail, targets, bench.engine)
        boundary = record_boundary(bench, tail, _VARIANTS, rng)
        edits = Edits(model)
        weights = stored_weights(edits, layers)
        try:
            scores, features = evaluate(bench, network, boundary.retain, weights)
            scores_f, features_f = evaluate(bench, network, boundary.forget[0], weights)
        except InputError as error:
            if model.batch_size is None:
                raise
            raise UnsupportedError(
                f"method erase needs a free batch size; {model.batch_size} is built into the model ({error})"
            ) from None
        y = bench.y[~bench.forgotten]
        unit = np.concatenate([features[: len(y)], features_f]).std(axis=0)
        unit += _LEAST_UNIT * float(np.sqrt(np.mean(unit**2))) + 1e-12
        rows = np.delete(bench.rows.weights(0, edits.weight(bench.head)), list(bench.forget), axis=0)
        finite = all(np.isfinite(values).all() for values in (unit, rows))
        told = [(s < np.inf).all() and (s > -np.inf).any(axis=1).all() for s in (scores, scores_f)]
        if not (finite and all(told)):  # single logits of −∞ are hidden classes
            raise UnsupportedError("method erase needs features and weights of the head that are finite")
        near = neighbouring_class(features_f / unit, scores_f, features[: len(y)] / unit, y)
        read = read_directions(rows, unit, shared=not independent(bench.logits))
        groups = Groups(bench.y[bench.forgotten], near, y, boundary.copies, slices, rng)
        groups.count_from(features_f / unit, features / unit)
        strength = Strength.of(beta, len(y), _overlap(bench, scores[: len(y)]), groups.start)
        return cls(
            bench, network, boundary, groups, strength, features / unit, scores, len(y), unit, read,
            rng, kappa, batch,
        )  # fmt: skip

    def descend(
        self, edits: Edits, steps: int, rate: float, share: float = 1.0
    ) -> dict[str, tuple[np.ndarray, np.ndarray | None]]:
        """Adam with a rate that falls to zero; the weights it ends at, by layer name.

        share: of the weights that may change, no more than _MOST of them: the most relevant, see `_relevant`.
        Biases all may.
        """
        start = stored_weights(edits, self.network.tail.layers)
        values, sizes = {}, {}
        for layer in self.network.tail.layers:
            weight, bias = start[layer.name]
            size = _step_size(weight)
            values[(layer.name, "weight")], sizes[(layer.name, "weight")] = weight, size
            if bias is not None and layer.bias is not None and not layer.bias.shared:
                values[(layer.name, "bias")], sizes[(layer.name, "bias")] = bias, size
        total = sum(w.size for w, _ in start.values())
        count = min(_MOST, math.ceil(share * total))
        places = self._relevant(start, count) if count < total else None
        adam = Adam(values, sizes, places=places)
        v = adam.values  # `step` writes into them
        current = {n: (v[(n, "weight")], v.get((n, "bias"), b)) for n, (_, b) in start.items()}
        del values, start  # as large again
        for step in range(steps):
            found = self.loss_and_gradients(current)
            flat = {(n, kind): g for n, pair in found.gradients.items() for kind, g in _named(pair)}
            adam.step(flat, rate * (1 - step / steps))
            self.strength.follow(found.distance)
            self.bench.progress(f"erase: step {step + 1}/{steps}, loss {found.loss:.3f}")
        return {n: (v[(n, "weight")], v.get((n, "bias"))) for n in current}

    def _relevant(self, start: Weights, count: int) -> dict[tuple[str, str], np.ndarray]:
        """Flat indices of the `count` weights through which most relevance flows, for or against, where the
        class to forget is weighed against its neighbour.

        Of z_c − z_g, LRP-0 sends w·∂(z_c − z_g)/∂w through a weight w (between ReLUs; Montavon et al. 2019,
        section 10.2: it is gradient times input, for every connection by itself). Summed over the probes to
        forget and their copies, in batches as large as those of a step: they run on the same graph.
        """
        logits, inner = self.network.targets
        probes = len(self.groups.classes)
        total, size = probes * len(self.boundary.forget), 2 * probes + min(self.batch, len(self.features))
        found = {n: np.zeros_like(w) for n, (w, _) in start.items()}
        for first in range(0, total, size):
            places = np.arange(first, first + size)
            variant, probe = np.divmod(places % total, probes)
            feeds = {name: self._copies(name, variant, probe) for name in self.boundary.retain}
            recorded = self.network.record(feeds, start)
            seed = np.zeros((size, recorded[logits][0].size), np.float32)
            rows, own = np.arange(size)[places < total], probe[places < total]
            seed[rows, self.groups.classes[own]] = 1
            seed[rows, self.groups.neighbours[own]] = -1
            signals = {logits: seed.reshape(recorded[logits].shape), inner: np.zeros_like(recorded[inner])}
            for n, (gradient, _) in self.network.gradients(feeds, recorded, signals).items():
                found[n] += gradient
        for n, relevance in found.items():
            relevance *= start[n][0]
            np.abs(relevance, out=relevance)
        # Layer by layer, for no more than one of them is to be held twice.
        least = _largest(
            np.concatenate([_largest(r.reshape(-1), count) for r in found.values()]), count
        ).min()
        # What is 0, as most of a pruned model, is not relevant, however few the others are.
        return {(n, "weight"): np.flatnonzero((r >= least) & (r > 0)) for n, r in found.items()}

    def _copies(self, name: str, variant: np.ndarray, probe: np.ndarray) -> np.ndarray:
        """What enters at `name` for these copies of these probes to forget."""
        pairs = zip(variant, probe, strict=True)
        return np.stack([self.boundary.forget[v][name][i] for v, i in pairs])

    def loss_and_gradients(self, weights: Weights) -> Step:
        """The loss on samples drawn anew, and its gradients."""
        forgotten = len(self.groups.classes)
        variant = self.rng.integers(len(self.boundary.forget), size=forgotten)
        drawn = np.concatenate([self.groups.examples(), self._pins()])
        feeds = {
            name: np.concatenate([self._copies(name, variant, np.arange(forgotten)), pool[drawn]])
            for name, pool in self.boundary.retain.items()
        }
        logits, inner = self.network.targets
        recorded = self.network.record(feeds, weights)
        features = pooled(recorded[inner], self.bench.head) / self.unit
        scores = recorded[logits].reshape(len(features), -1)
        at_features, at_scores = np.zeros_like(features), np.zeros_like(scores)
        distance, of_distance = self.groups.distance(
            features[:forgotten], features[forgotten : 2 * forgotten]
        )
        at_features[:forgotten] = self.strength.value * of_distance
        difference = features[forgotten:] - self.features[drawn]
        weighted = difference - (1 - _UNREAD) * outside(difference, self.read)
        at_features[forgotten:] = 2 / difference.size * weighted
        divergence, of_divergence = self._divergence(scores[forgotten:], self.scores[drawn])
        at_scores[forgotten:] = self.kappa * of_divergence
        pinned = float(np.mean(difference * weighted)) + self.kappa * divergence
        signals = {
            logits: at_scores.reshape(recorded[logits].shape),
            inner: unpooled(at_features / self.unit, recorded[inner], self.bench.head),
        }
        typed = {name: signal.astype(np.float32) for name, signal in signals.items()}
        gradients = self.network.gradients(feeds, recorded, typed)
        return Step(pinned + self.strength.value * distance, distance, gradients)

    def _pins(self) -> np.ndarray:
        """The other retained samples of a step: some are probes as they were given, others of the pool."""
        count = min(self.batch, len(self.features))
        given = min(round(_AS_GIVEN * count), self.given)
        parts = ((self.given, given), (len(self.features), count - given))
        return np.concatenate([self.rng.choice(total, part, replace=False) for total, part in parts])

    def _divergence(self, scores: np.ndarray, wanted: np.ndarray) -> tuple[float, np.ndarray]:
        """The mean KL divergence of the retained classes' probabilities, and its gradient."""
        kept = np.delete(np.arange(scores.shape[1]), list(self.bench.forget))
        gradient = np.zeros_like(scores)
        p, q = (log_softmax(s[:, kept].astype(np.float64)) for s in (wanted, scores))
        gradient[:, kept] = (np.exp(q) - np.exp(p)) / len(scores)
        return float((np.exp(p) * (p - q)).sum(axis=1).mean()), gradient


def _overlap(bench: Workbench, scores: np.ndarray) -> float:
    """Mean probability of the forgotten classes on retained probes.

    0 where it says nothing: probes made from the model lie close to where classes meet, and an output that
    decides for itself takes nothing from the others.
    """
    if bench.made.any() or independent(bench.logits):
        return 0.0
    return float(softmax(scores.astype(np.float64))[:, list(bench.forget)].sum(axis=1).mean())


def _largest(values: np.ndarray, count: int) -> np.ndarray:
    """The `count` largest of a row, in any order; all if there are no more."""
    return values if count >= len(values) else np.partition(values, -count)[-count:]


def _step_size(weight: np.ndarray) -> float:
    """What a rate of 1 changes of each weight: its own size, less where many inputs add up.

    Steps of Adam point the same way for all inputs of a neuron, so its output moves with their number.
    """
    inputs = weight[0].size
    return float(np.sqrt(np.mean(weight**2)) * min(1.0, np.sqrt(_MANY_INPUTS / inputs)))


def multiplications(bench: Workbench, layers: Sequence[Layer]) -> int:
    """Of the layers for one sample: what a step costs, but for a factor."""
    size = bench.model.batch_size or 1
    copy = expose(bench.model, [], shapes=[la.output for la in layers])
    feeds = {n: v[:1].repeat(size, axis=0) for n, v in bench.probes.feeds.items()}
    shapes = bench.engine.session(copy, bench.model.folder).run(feeds)
    places = {la.name: int(np.prod(shapes[SHAPE + la.output])) // la.neurons // size for la in layers}
    return sum(int(np.prod(la.weight.shape)) * places[la.name] for la in layers)


def _named(pair: tuple[np.ndarray, np.ndarray | None]) -> Iterator[tuple[str, np.ndarray]]:
    weight, bias = pair
    yield "weight", weight
    if bias is not None:
        yield "bias", bias


def stored_weights(edits: Edits, layers: list[Layer] | tuple[Layer, ...]) -> Weights:
    """Weight and bias of each layer as they stand."""
    return {la.name: (edits.weight(la).astype(np.float32, copy=False), edits.bias(la)) for la in layers}


def evaluate(
    bench: Workbench, network: Differentiator, feeds: Feeds, weights: Weights
) -> tuple[np.ndarray, np.ndarray]:
    """Logits [N, classes] and features [N, d] behind a boundary."""
    logits, inner = network.targets
    total = len(next(iter(feeds.values())))
    scores, features = [], []
    for start in range(0, total, 128):
        part = {name: value[start : start + 128] for name, value in feeds.items()}
        values = network.values(part, weights)
        features.append(pooled(values[inner], bench.head))
        scores.append(values[logits].reshape(len(features[-1]), -1))
    return np.concatenate(scores), np.concatenate(features)
