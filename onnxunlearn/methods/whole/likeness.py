"""The loss at one head's places: what is an object becomes like others, what is in doubt stays in doubt.

A place at which the class is sure to be is drawn to places of other classes, of those that are most nearly
said there, too. One that says it with doubt would be a new object of these, found where nothing is: it is
drawn to places at which the classes to retain have the scores that they have at its own, and these are
pinned. With φ what the head reads,

    mean |H(φ' − φ)|² + ε·mean |(1 − H)(φ' − φ)|²              of places to retain
      + κ·Σ o·KL(p ‖ p') / number of things                    of classes to retain, but at sure places of F
      + β·½·( SW(φ'(F), φ'(N))/SW₀ + W_t(φ'(F), φ'(N))/W₀ )

H, ε, SW and W_t as in whole images; o the chance that anything is there; N, drawn anew for each place of F,
one of those that it is drawn to.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import expit, softmax

from onnxunlearn.methods.erase.descent import Step
from onnxunlearn.methods.erase.readout import felt
from onnxunlearn.methods.erase.wasserstein import random_directions, sliced_wasserstein
from onnxunlearn.methods.whole.heads import UNREAD, HeadMap, divergence
from onnxunlearn.methods.whole.pull import FOUND, Rows, telling, weighed
from onnxunlearn.methods.whole.sampled import Sampled
from onnxunlearn.numerics import log_softmax
from onnxunlearn.reverse import Passes
from onnxunlearn.reverse.differentiate import Weights

#: places that a place to forget may be drawn to; the chance from which on a class is sure to be there, and
#: below which it does not matter how small it is
_NEAR, _SURE, _SMALL = 20, 0.25, 0.01
#: places of a step: to forget, as many that they are drawn to, things, and others
_OWN, _THINGS, _OTHERS = 64, 128, 128
#: steps whose places a classifier is fitted to, and the least that counts as a distance
_STEPS, _LEAST = 8, 0.05
_DRAWS = 8


@dataclass(eq=False)
class Likeness:
    """told: the head. reads: the tensor that it reads. features, scores: of the original, at the places of
    `sampled`, [n, numbers] and [n, columns]. unit: what each feature counts in. read: what the retained rows
    read of them, a basis. beta: how much the distance counts; kappa: the retained scores."""

    told: HeadMap
    reads: str
    passes: Passes
    sampled: Sampled
    forget: tuple[int, ...]
    features: np.ndarray
    scores: np.ndarray
    unit: np.ndarray
    read: np.ndarray
    beta: float
    kappa: float
    slices: int
    rng: np.random.Generator
    progress: Callable[[str], None]
    near: np.ndarray = field(init=False)
    pinned: np.ndarray = field(init=False)
    starts: tuple[float, float] = field(init=False)
    past: deque[Rows] = field(init=False)

    def __post_init__(self) -> None:
        own, sure = self.sampled.own, self._sure()
        self.near = np.where(sure[:, None], self._next_best(own), self._nearest(own))
        self.pinned = self.sampled.there.copy()
        self.pinned[own[sure]] = 0
        found = []
        rows = self.features[own] / self.unit
        for _ in range(_DRAWS):
            examples = self.features[self._drawn(np.arange(len(own)))] / self.unit
            along = self._random(), telling(rows, examples)
            found.append([sliced_wasserstein(rows, examples, way)[0] for way in along])
        first, second = np.maximum(np.mean(found, axis=0), _LEAST).tolist()
        self.starts = first, second
        self.begin()

    def begin(self) -> None:
        """Nothing was seen yet."""
        self.past = deque(maxlen=_STEPS)

    def follow(self, step: Step, said: str) -> None:
        self.progress(f"erase: {self.told.scores}: {said}, distance {step.distance:.3f}")

    def loss_and_gradients(self, weights: Weights) -> Step:
        """Of places drawn anew."""
        sampled, rng = self.sampled, self.rng
        which = rng.permutation(len(sampled.own))[:_OWN]
        own, things, others = len(which), sampled.things, sampled.doubtful
        parts = (rng.permutation(things)[:_THINGS], rng.permutation(others)[:_OTHERS])
        chosen = np.concatenate([sampled.own[which], self._drawn(which), *parts])
        forward = self.passes.forward({name: rows[chosen] for name, rows in sampled.rows.items()}, weights)
        read, said = (
            forward.values[name].reshape(len(chosen), -1) for name in (self.reads, self.told.scores)
        )
        distance, at_own = self._distance(read[:own] / self.unit, read[own : 2 * own] / self.unit)
        moved = (read[own:] - self.features[chosen[own:]]) / self.unit
        weighted = felt(moved, self.read, UNREAD)
        at_features = np.concatenate([self.beta * at_own, 2 / moved.size * weighted]) / self.unit
        count = own + len(parts[0])
        total, at_scores = divergence(self.told, self.forget, said, self.scores[chosen], self.pinned[chosen])
        pins = float(np.sum(moved * weighted)) / moved.size + self.kappa * total / count
        slopes = {self.reads: at_features, self.told.scores: self.kappa / count * at_scores}
        signals = {n: s.reshape(forward.values[n].shape).astype(np.float32) for n, s in slopes.items()}
        return Step(pins + self.beta * distance, distance, self.passes.backward(forward, signals))

    def _distance(self, rows: np.ndarray, examples: np.ndarray) -> tuple[float, np.ndarray]:
        """Of places to forget from those that they are drawn to, and its gradient at the former."""
        ways = [(1.0, self.starts[0], self._random())]
        if self.past:
            seen = (np.concatenate(each) for each in zip(*self.past, strict=True))
            ways = [(1 - FOUND, *ways[0][1:]), (FOUND, self.starts[1], telling(*seen))]
        self.past.append((rows.copy(), examples.copy()))
        return weighed(rows, examples, ways)

    def _drawn(self, which: np.ndarray) -> np.ndarray:
        """For each of these of the places to forget one that it is drawn to."""
        return np.asarray(self.near[which, self.rng.integers(self.near.shape[1], size=len(which))])

    def _sure(self) -> np.ndarray:
        """At which of the places to forget the class is sure to be, bool [n]."""
        own = self.sampled.own
        scores = self.scores[own].astype(np.float64)
        chances = [
            (expit(scores[:, columns]) if self.told.sigmoid else softmax(scores[:, columns], axis=1))[
                :, self.forget
            ]
            for columns in map(list, self.told.ways)
        ]
        return np.asarray(np.max(chances, axis=(0, 2)) * self.sampled.there[own] >= _SURE)

    def _next_best(self, places: np.ndarray) -> np.ndarray:
        """For each of these places some of the class that is said most there but for those to forget, of
        classes of which there are some, [n, _NEAR]."""
        labels = self.sampled.labels
        classes, counts = np.unique(labels[self.sampled.things], return_counts=True)
        classes = classes[counts >= min(_NEAR, counts.max())]
        said = np.max([self.scores[places][:, list(columns)] for columns in self.told.ways], axis=0)
        best = classes[said[:, classes].argmax(axis=1)]
        return np.stack([self.rng.choice(np.flatnonzero(labels == c), _NEAR) for c in best])

    def _nearest(self, places: np.ndarray) -> np.ndarray:
        """For each of these places others at which most nearly the same is said, [n, _NEAR]."""
        others = self.sampled.others
        count = min(_NEAR, len(others))
        found = cKDTree(self._known(others)).query(self._known(places), k=count)[1].reshape(-1, count)
        return np.asarray(others[np.resize(found.T, (_NEAR, len(places))).T])

    def _known(self, places: np.ndarray) -> np.ndarray:
        """What is said of the classes to retain there, [n, numbers]: logarithms of their chances, none less
        than that of _SMALL."""
        scores = self.scores[places].astype(np.float64)
        found = []
        for columns in self.told.ways:
            own = scores[:, [column for c, column in enumerate(columns) if c not in self.forget]]
            chances = -np.logaddexp(0, -own) if self.told.sigmoid else log_softmax(own)
            found.append(chances + np.log(self.sampled.there[places] + 1e-6)[:, None])
        return np.maximum(np.concatenate(found, axis=1), np.log(_SMALL))

    def _random(self) -> np.ndarray:
        return random_directions(len(self.unit), self.slices, self.rng)
