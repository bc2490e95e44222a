"""What an attacker who trains along would bring back, as a part of the loss of `erase`: see `attacker`."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.graph import Layer, pooled, unpooled
from onnxunlearn.methods.erase.attacker import BATCH, ROUND, STEPS, Attacker
from onnxunlearn.methods.erase.boundary import Boundary
from onnxunlearn.methods.erase.deeper import Deeper
from onnxunlearn.methods.erase.pull import Groups
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Forward, Gradients, Passes, added

#: how much it counts what is taken for its class, beside the distances: more, and a transformer comes back
#: sooner (77 instead of 73 % after 100 steps); without it convolutional networks come back as soon as ever
_TAKEN = 0.5
#: steps of the descent that take what one of them found. In the last block as good as asking at each; where
#: every layer may change, others lost twice as much
_IN_TURN = 4


def beside(batch: int, deep: bool) -> int:
    """Samples that a step takes for it in the mean, where at most so many are drawn of the class. deep:
    whether every layer may change."""
    return (STEPS * BATCH + batch) // (1 if deep else _IN_TURN)


@dataclass(eq=False)
class Resistance:
    """attacker: who trains. unit: what features count in, [d]. share: how much all of it counts."""

    attacker: Attacker
    passes: Passes
    boundary: Boundary
    groups: Groups
    deeper: Deeper
    unit: np.ndarray
    head: Layer
    classes: int
    share: float
    steps: int = field(init=False, default=0)
    last: Gradients = field(init=False, default_factory=dict)

    @classmethod
    def of(
        cls,
        bench: Workbench,
        passes: Passes,
        boundary: Boundary,
        groups: Groups,
        deeper: Deeper,
        unit: np.ndarray,
        share: float,
    ) -> "Resistance":
        """Of a network that gives every sample one class."""
        own = bench.y[bench.forgotten]
        classes, edits = bench.logits.classes, Edits(bench.model)
        off = bench.rows.turned_off([edits.bias(layer) for layer in bench.rows.layers])
        retained = np.setdiff1d(np.arange(classes), bench.forget)
        on = np.setdiff1d(retained, off)
        others = on if len(on) else retained
        attacker = Attacker(tuple(bench.forget), own, boundary.y, len(unit), others, groups.rng)
        return cls(attacker, passes, boundary, groups, deeper, unit, bench.head, classes, share)

    def begin(self) -> None:
        """At the next step the attacker begins anew."""
        self.steps = 0

    def joined(self, gradients: Gradients, weights: Weights, strength: float, batch: int) -> Gradients:
        """These, of a step of the descent, with its own, as they were when last asked for. strength: of the
        distance at the last features. batch: samples to forget at most."""
        turn, waits = divmod(self.steps, 1 if self.deeper.units else _IN_TURN)
        self.steps += 1
        if not waits:
            if turn % ROUND == 0:
                self.attacker.begin(weights)
            found, share = self._gradients(weights, strength, batch), self.share
            self.last = {n: (share * w, None if b is None else share * b) for n, (w, b) in found.items()}
        return added(gradients, self.last)

    def _gradients(self, weights: Weights, strength: float, batch: int) -> Gradients:
        """Of the distances, and of what is taken for its class, at the weights the attacker came to from
        these."""
        for _ in range(STEPS):
            self._train(self.attacker.moved.weights(weights))
        asked = self.groups.draw(batch, among=self.attacker.asked)
        n = len(asked.probes)
        copies = self.boundary.copies_of(asked.variants, asked.probes)
        examples = self.boundary.retain.take(asked.examples)
        feeds = {name: np.concatenate([copies[name], examples[name]]) for name in copies}
        forward = self.passes.forward(feeds, self.attacker.moved.weights(weights))
        features, scores = self._read(forward)
        scaled = features / self.unit
        _, of_distance = self.groups.distance(scaled[:n], scaled[n:], asked.groups)
        known = self.attacker.probabilities(scores[:n], features[:n])
        at_scores, at_features, _ = self.attacker.back(
            _TAKEN * self.attacker.recognising(known), features[:n]
        )
        at_features = at_features + strength * of_distance / self.unit
        _, at_deeper = self.deeper.drawn(forward.values, self.groups, asked.groups)
        return self._back(forward, at_scores, at_features, at_deeper)

    def _train(self, weights: Weights) -> None:
        """One step of the attacker."""
        fits, others = self.attacker.draw(BATCH)
        copies = self.boundary.copies_of(np.zeros(len(fits), int), fits)
        retained = self.boundary.retain.take(others)
        y = np.concatenate([self.attacker.own[fits], self.attacker.y[others]])
        feeds = {name: np.concatenate([copies[name], retained[name]]) for name in copies}
        forward = self.passes.forward(feeds, weights)
        features, scores = self._read(forward)
        of_scores = self.attacker.learning(self.attacker.probabilities(scores, features), y)
        at_scores, at_features, of_head = self.attacker.back(of_scores, features)
        self.attacker.moved.step(self._back(forward, at_scores, at_features, {}), of_head)

    def _read(self, forward: Forward) -> tuple[np.ndarray, np.ndarray]:
        """Features [n, d] as they are, and scores [n, classes]."""
        top, inner, *_ = self.passes.network.targets
        features = pooled(forward.values[inner], self.head)
        return features, forward.values[top].reshape(len(features), -1)[:, : self.classes]

    def _back(
        self,
        forward: Forward,
        at_scores: np.ndarray,
        at_features: np.ndarray,
        at_deeper: Mapping[str, np.ndarray],
    ) -> Gradients:
        """From signals at the first samples of a pass; all others have none."""
        top, inner, *further = self.passes.network.targets
        values = forward.values
        total = len(pooled(values[inner], self.head))
        signals = {name: np.zeros_like(values[name]) for name in further}
        for name, at in at_deeper.items():
            signals[name] = _filled(at, total).reshape(values[name].shape)
        others = values[top].size // total - self.classes  # outputs that are kept, joined to the scores
        rows = np.pad(_filled(at_scores, total), ((0, 0), (0, others)))
        signals[top] = rows.reshape(values[top].shape)
        signals[inner] = unpooled(_filled(at_features, total), values[inner], self.head)
        return self.passes.backward(forward, signals)


def _filled(rows: np.ndarray, total: int) -> np.ndarray:
    """With rows of 0 behind them, so many in all."""
    found = np.zeros((total, *rows.shape[1:]), np.float32)
    found[: len(rows)] = rows
    return found
