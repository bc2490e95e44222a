"""What fine-tuning would bring back, as a part of the loss in whole images.

Beside the descent somebody trains the layers as they stand, and a row of each head's own, to tell the class's
places from all others, on half of the images: a few steps for each that asks him, anew after a while. At the
weights that he comes to, places of the other half should not be told. The gradient there is applied to the
weights themselves, as in `erase` (`erase.attacker`, with the sources).
"""

from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit

from onnxunlearn.engines.batching import Feeds
from onnxunlearn.methods.erase.attacker import ROUND, STEPS, Key, Moved
from onnxunlearn.methods.whole.heads import FORGET, HeadLoss, places_of
from onnxunlearn.reverse.differentiate import Weights
from onnxunlearn.reverse.passes import Forward, Gradients, Passes, added

#: steps of the descent that take what one of them found, and images of a step of his
_IN_TURN, _IMAGES = 4, 8


@dataclass(eq=False)
class Resistance:
    """heads, passes, entered: the descent's. showing: images that show the class, int [n], at least one.
    share: how much it counts. moved: how far he came; his rows by head's tensor and "row", "own bias"."""

    heads: list[HeadLoss]
    passes: Passes
    entered: Feeds
    showing: np.ndarray
    share: float
    rng: np.random.Generator
    steps: int = field(init=False, default=0)
    last: Gradients = field(init=False, default_factory=dict)
    sides: list[np.ndarray] = field(init=False, default_factory=list)
    moved: Moved = field(init=False)

    def begin(self) -> None:
        """At the next step he begins anew."""
        self.steps = 0

    def joined(self, gradients: Gradients, weights: Weights) -> Gradients:
        """These, of a step of the descent, with its own, as they were when he was last asked."""
        turn, waits = divmod(self.steps, _IN_TURN)
        self.steps += 1
        if not waits:
            if turn % ROUND == 0:
                self._begin(weights)
            for _ in range(STEPS):
                self._train(weights)
            self.last = self._asked(weights)
        return added(gradients, self.last)

    def _begin(self, weights: Weights) -> None:
        alone = len(self.showing) == 1  # he is asked of what he trains on, then
        self.sides = [self.showing] * 2 if alone else np.array_split(self.rng.permutation(self.showing), 2)
        rows = {(head.told.scores, "row"): np.zeros(len(head.unit)) for head in self.heads}
        self.moved = Moved(weights, rows | {(name, "own bias"): np.zeros(1) for name, _ in rows})

    def _forward(self, images: np.ndarray, weights: Weights) -> Forward:
        """At his weights."""
        return self.passes.forward(
            {n: v[images] for n, v in self.entered.items()}, self.moved.weights(weights)
        )

    def _train(self, weights: Weights) -> None:
        """One step of his: the cross-entropy, both kinds of places counting the same."""
        images = self._drawn(0)
        forward = self._forward(images, weights)
        signals = {name: np.zeros_like(value) for name, value in forward.values.items()}
        found: dict[Key, np.ndarray] = {}
        for head in self.heads:
            row, bias = self._row(head)
            of_row, of_bias = np.zeros_like(row), np.zeros_like(bias)
            labels = head.told.labels[images]
            for where, own in ((places_of(labels == FORGET), 1.0), (head.pinned(labels), 0.0)):
                if not len(where[0]):
                    continue
                rows = head.spots.rows(forward.values[head.spots.tensor], where)
                slope = ((_chance(rows, row, bias) - own) / (2 * len(rows))).astype(np.float32)
                head.spots.add(signals[head.spots.tensor], where, slope[:, None] * row)
                of_row, of_bias = of_row + slope @ rows, of_bias + slope.sum()
            found |= {(head.told.scores, "row"): of_row, (head.told.scores, "own bias"): of_bias}
        self.moved.step(self.passes.backward(forward, signals), found)

    def _asked(self, weights: Weights) -> Gradients:
        """Of −log of the chance that a place of the class is none, at his weights."""
        images = self._drawn(1)
        forward = self._forward(images, weights)
        signals = {name: np.zeros_like(value) for name, value in forward.values.items()}
        for head in self.heads:
            row, bias = self._row(head)
            where = places_of(head.told.labels[images] == FORGET)
            if len(where[0]):
                rows = head.spots.rows(forward.values[head.spots.tensor], where)
                slope = (self.share * _chance(rows, row, bias) / len(rows)).astype(np.float32)
                head.spots.add(signals[head.spots.tensor], where, slope[:, None] * row)
        return self.passes.backward(forward, signals)

    def _drawn(self, side: int) -> np.ndarray:
        own = self.sides[side]
        return self.rng.choice(own, _IMAGES, replace=len(own) < _IMAGES)

    def _row(self, head: HeadLoss) -> tuple[np.ndarray, np.ndarray]:
        moved = self.moved.values
        return moved[head.told.scores, "row"], moved[head.told.scores, "own bias"]


def _chance(rows: np.ndarray, row: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """That each is told, in float64."""
    return np.asarray(expit((rows @ row + bias).astype(np.float64)))
