"""What draws a forgotten class's features to its neighbours', and how hard."""

import math
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.methods.wasserstein import random_directions, sliced_wasserstein

#: the least that counts as a class's distance from its neighbours, and from how many draws it is taken
_LEAST_DISTANCE, _DRAWS = 0.1, 8
#: retained probes from which on the given strength holds; fewer pin less, and it falls with their number
_ENOUGH = 200
#: mean probability of the class on retained probes at which it may be drawn twice as hard, and how often that
#: counts at most: as far as it was measured
_OVERLAP, _ROOM = 0.02, 3.0
#: share of the distance above which the strength rises and below which it falls, how fast, and how much of
#: the past is in the running mean of the distance. Of a class known from few probes two draws are as far
#: apart as that: there it rises to the most.
_LEFT, _PACE, _MEMORY = 0.25, 0.02, 0.9
#: the most that a squared distance may count beside that of the pins: more, and both sides run away together
_MOST = 0.8


@dataclass
class Strength:
    """How much the distance counts: `least`, and up to `most` while more than a quarter of it is left.

    A multiplier that is raised while a constraint does not hold (dual ascent), within bounds: a class that
    lies apart from the others is matched soon, one that overlaps with them is not, and has more to give.
    What the original takes for the class of the retained samples, the others win back when it is gone; so
    much more they can bear.
    """

    least: float
    most: float
    value: float = field(init=False)
    left: float = field(init=False, default=1.0)  # of the distance at the start, a running mean

    def __post_init__(self) -> None:
        self.value = self.least

    @classmethod
    def of(cls, beta: float, retained: int, overlap: float, start: float) -> "Strength":
        """beta: for a class that overlaps with no other and enough probes. retained: how many probes.
        overlap: their mean probability of the forgotten classes. start: the class's squared distance."""
        least = beta * min(1.0, retained / _ENOUGH)
        most = least * (1 + min(overlap / _OVERLAP, _ROOM))
        return cls(*(min(b, _MOST * start) for b in (least, most)))

    def follow(self, distance: float) -> None:
        """One step; distance: what is left, in units of that at the start."""
        self.left = _MEMORY * self.left + (1 - _MEMORY) * distance
        missing = float(np.clip(self.left / _LEFT - 1, -1, 1))
        self.value = min(max(self.value * math.exp(_PACE * missing), self.least), self.most)


class Groups:
    """Samples to forget, in groups of one class and one neighbour, and what each group is matched to.

    classes, neighbours: of each probe to forget. y: labels of the retained probes, the first of a pool that
    holds them `copies` times in the same order. slices: directions of the sliced Wasserstein distance.
    """

    def __init__(
        self,
        classes: np.ndarray,
        neighbours: np.ndarray,
        y: np.ndarray,
        copies: int,
        slices: int,
        rng: np.random.Generator,
    ) -> None:
        self.classes, self.neighbours = classes, neighbours
        self.y, self.copies, self.slices, self.rng = y, copies, slices, rng
        self.start = 1.0
        pairs = np.unique(np.stack([classes, neighbours]), axis=1).T
        self._groups = [
            (near, np.flatnonzero((classes == own) & (neighbours == near))) for own, near in pairs
        ]

    def count_from(self, features: np.ndarray, pool: np.ndarray) -> None:
        """From now on distances count in units of that between these features and the pool's."""
        self.start = 1.0
        drawn = (self.distance(features, pool[self.examples()])[0] for _ in range(_DRAWS))
        self.start = max(sum(drawn) / _DRAWS, _LEAST_DISTANCE)

    def examples(self) -> np.ndarray:
        """For each probe to forget a retained sample of its neighbour class, drawn anew, in the pool."""
        found = np.empty(len(self.classes), dtype=int)
        for near, members in self._groups:
            known = np.flatnonzero(self.y == near)
            found[members] = self.rng.choice(known, len(members), replace=len(members) > len(known))
        return found + len(self.y) * self.rng.integers(self.copies, size=len(found))

    def distance(self, features: np.ndarray, examples: np.ndarray) -> tuple[float, np.ndarray]:
        """Σ_g n_g/n·SW/SW₀, each forgotten class and neighbour for itself, and its gradient in `features`."""
        directions = random_directions(features.shape[1], self.slices, self.rng)
        total, gradient = 0.0, np.zeros_like(features)
        for _, members in self._groups:
            distance, part = sliced_wasserstein(features[members], examples[members], directions)
            share = len(members) / len(features) / self.start
            gradient[members] = share * part
            total += share * distance
        return total, gradient
