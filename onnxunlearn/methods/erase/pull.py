"""What draws a forgotten class's features to its neighbours', and how hard."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from onnxunlearn.methods.erase.wasserstein import random_directions, sliced_wasserstein

#: the least that counts as a class's distance from its neighbours, and from how many draws it is taken
_LEAST_DISTANCE, _DRAWS = 0.1, 8
#: retained probes from which on the given strength holds; fewer pin less, and it falls with their number, but
#: not below this share
_ENOUGH = 200
_LEAST = 0.1
#: mean probability of the class on retained probes at which it may be drawn twice as hard, and how often that
#: counts at most: as far as it was measured
_OVERLAP, _ROOM = 0.02, 3.0
#: share of the distance above which the strength rises and below which it falls, how fast, and how much of
#: the past is in the running mean of the distance. Of a class known from few probes two draws are as far
#: apart as that: there it rises to the most.
_LEFT, _PACE, _MEMORY = 0.25, 0.02, 0.9
#: how much a squared distance of what samples share counts beside that of the pins, for each of beta: at 2.7
#: times as much both sides ran away together where it was told in many directions
_OF_SAMPLES = 2.0
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
        least = beta * float(np.clip(retained / _ENOUGH, _LEAST, 1))
        most = least * (1 + min(overlap / _OVERLAP, _ROOM))
        return cls(*(min(b, _MOST * start) for b in (least, most)))

    @classmethod
    def of_samples(cls, beta: float, start: float) -> "Strength":
        """Where what samples share is drawn to others, which are pinned: it counts as much beside the pins as
        `beta` says, from beginning to end."""
        return cls(_OF_SAMPLES * beta * start, _OF_SAMPLES * beta * start)

    def follow(self, distance: float) -> None:
        """One step; distance: what is left, in units of that at the start."""
        self.left = _MEMORY * self.left + (1 - _MEMORY) * distance
        missing = float(np.clip(self.left / _LEFT - 1, -1, 1))
        self.value = min(max(self.value * math.exp(_PACE * missing), self.least), self.most)


class Drawn(NamedTuple):
    """One step's samples to forget. probes, variants: which they are. groups: those of one class and one
    neighbour, as places among them. examples: for each a retained sample of its neighbour class, in the
    pool."""

    probes: np.ndarray
    variants: np.ndarray
    groups: list[np.ndarray]
    examples: np.ndarray


class Groups:
    """Samples to forget, in groups of one class and one neighbour, and what each group is matched to.

    classes: of each probe to forget, [n]. neighbours: of each variant of each probe, [variants, n]. sources:
    by class where in the pool its samples are, [probes, variants]. slices: directions of the sliced
    Wasserstein distance.
    """

    def __init__(
        self,
        classes: np.ndarray,
        neighbours: np.ndarray,
        sources: Mapping[int, np.ndarray],
        slices: int,
        rng: np.random.Generator,
    ) -> None:
        self.classes, self.neighbours, self.sources = classes, neighbours, sources
        self.slices, self.rng = slices, rng
        self.start = 1.0

    def count_from(self, features: np.ndarray, pool: np.ndarray) -> None:
        """From now on distances count in units of that between these features, of probes, and the pool's."""
        self.start = 1.0
        drawn = (self.draw(len(features), 1) for _ in range(_DRAWS))
        distances = [self.distance(features, pool[d.examples], d.groups)[0] for d in drawn]
        self.start = max(sum(distances) / _DRAWS, _LEAST_DISTANCE)

    def draw(self, most: int, variants: int | None = None, among: np.ndarray | None = None) -> Drawn:
        """All probes to forget, or `most` of them, each in one of its first `variants` (by default all
        there are); with examples for them. among: those that are drawn from, by default all, int [k]."""
        among = np.arange(len(self.classes)) if among is None else among
        variant = self.rng.integers(variants or len(self.neighbours), size=len(among))
        places = np.arange(len(among))
        if len(among) > most:
            places = np.sort(self.rng.choice(len(among), most, replace=False))
        probes, variant = among[places], variant[places]
        classes, near = self.classes[probes], self.neighbours[variant, probes]
        examples, groups = np.empty(len(probes), int), []
        for own, other in np.unique(np.stack([classes, near]), axis=1).T:
            members = np.flatnonzero((classes == own) & (near == other))
            sources = self.sources[int(other)]
            chosen = self.rng.choice(len(sources), len(members), replace=len(members) > len(sources))
            examples[members] = sources[chosen, self.rng.integers(sources.shape[1], size=len(members))]
            groups.append(members)
        return Drawn(probes, variant, groups, examples)

    def distance(
        self, features: np.ndarray, examples: np.ndarray, groups: Sequence[np.ndarray]
    ) -> tuple[float, np.ndarray]:
        """Σ_g n_g/n·SW/SW₀, each forgotten class and neighbour for itself, and its gradient in `features`."""
        directions = random_directions(features.shape[1], self.slices, self.rng)
        total, gradient = 0.0, np.zeros_like(features)
        for members in groups:
            distance, part = sliced_wasserstein(features[members], examples[members], directions)
            share = len(members) / len(features) / self.start
            gradient[members] = share * part
            total += share * distance
        return total, gradient
