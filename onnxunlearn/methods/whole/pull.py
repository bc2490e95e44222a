"""What draws a head's places to forget to those of other classes: how far they are from them by now.

Layers that all classes share do not move one class alone. What an attacker has to tell the class from are
the others as the edited network makes them, so these are what it is drawn to, not what the original made.

And he fits a classifier to what he tells apart: along the few directions that one finds, two sets of features
may lie far apart of which random ones say that they are the same. So one is fitted to what was seen in the
last steps, and half of the distance is along what it found, of places that it did not see.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.methods.erase.wasserstein import random_directions, sliced_wasserstein

#: rows of each class that are remembered; steps whose rows to forget are, and how many of those a classifier
#: is fitted to at most
_ROWS, _STEPS, _FITTED = 128, 8, 512
#: share of the distance that is along what a classifier found, and how much its weights are held down, as a
#: share of the mean square of what it is fitted to
FOUND, _RIDGE = 0.5, 1.0
#: the least that counts as a class's distance from the others, and from how many draws it is taken
_LEAST, _DRAWS = 0.1, 8
Rows = tuple[np.ndarray, np.ndarray]


@dataclass(eq=False)
class Pull:
    """given: features of the retained classes as the original made them, by class, [n, numbers]. slices:
    random directions of a step."""

    given: Mapping[int, np.ndarray]
    slices: int
    rng: np.random.Generator
    starts: tuple[float, float] = field(init=False, default=(1.0, 1.0))
    pool: dict[int, np.ndarray] = field(init=False)
    past: deque[Rows] = field(init=False)

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Nothing was seen yet but the original."""
        self.pool = {c: rows[self.rng.permutation(len(rows))[:_ROWS]] for c, rows in self.given.items()}
        self.past = deque(maxlen=_STEPS)

    def count_from(self, rows: np.ndarray, near: np.ndarray) -> None:
        """From now on distances count in units of those of these, of the original: along random directions,
        and along what a classifier of one half finds in the other."""
        found: list[tuple[float, float]] = []
        half = len(rows) // 2
        for _ in range(_DRAWS):
            examples, order = self._examples(near), self.rng.permutation(len(rows))
            at_random = sliced_wasserstein(rows, examples, self._random(rows))[0]
            fits, asked = order[:half], order[half:]
            direction = telling(rows[fits], examples[fits]) if half else self._random(rows)
            found.append((at_random, sliced_wasserstein(rows[asked], examples[asked], direction)[0]))
        at_random, along = (max(float(np.mean(each)), _LEAST) for each in zip(*found, strict=True))
        self.starts = at_random, along

    def follow(self, rows: np.ndarray, labels: np.ndarray) -> None:
        """So the retained classes' features are by now. labels: of each row its class."""
        for c in self.pool.keys() & set(labels.tolist()):
            self.pool[c] = np.concatenate([self.pool[c], rows[labels == c]])[-_ROWS:]

    def distance(self, rows: np.ndarray, near: np.ndarray) -> tuple[float, np.ndarray]:
        """What is left of it, and its gradient, of all rows together: of one class there are few in a step,
        whose distance is chance. near: of each row the class that it is to be like."""
        examples = self._examples(near)
        ways = [(1.0, self.starts[0], self._random(rows))]
        if self.past:
            ways = [(1 - FOUND, *ways[0][1:]), (FOUND, self.starts[1], telling(*self._seen()))]
        self.past.append((rows.copy(), examples))
        return weighed(rows, examples, ways)

    def _examples(self, near: np.ndarray) -> np.ndarray:
        """For each a row of the class that it is to be like, drawn anew."""
        width = next(iter(self.pool.values())).shape[1]
        examples = np.empty((len(near), width), np.float32)
        for c in np.unique(near):
            own, pool = np.flatnonzero(near == c), self.pool[int(c)]
            examples[own] = pool[self.rng.choice(len(pool), len(own), replace=len(own) > len(pool))]
        return examples

    def _seen(self) -> Rows:
        """Of the last steps, places to forget and what they were drawn to."""
        rows, others = (np.concatenate(each) for each in zip(*self.past, strict=True))
        if len(rows) <= _FITTED:
            return rows, others
        chosen = self.rng.choice(len(rows), _FITTED, replace=False)
        return rows[chosen], others[chosen]

    def _random(self, rows: np.ndarray) -> np.ndarray:
        return random_directions(rows.shape[1], self.slices, self.rng)


def weighed(
    rows: np.ndarray, examples: np.ndarray, ways: Iterable[tuple[float, float, np.ndarray]]
) -> tuple[float, np.ndarray]:
    """Distance of rows from examples along several sets of directions, and its gradient. ways: of each how
    much it counts, what it counts in, and the directions."""
    total, gradient = 0.0, np.zeros_like(rows)
    for share, start, directions in ways:
        distance, slope = sliced_wasserstein(rows, examples, directions)
        total += share * distance / start
        gradient += share * slope / start
    return total, gradient


def telling(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """The direction [numbers, 1], of length 1, along which a ridge regression tells as many others from these
    rows."""
    x = np.concatenate([rows, others]).astype(np.float64)
    x -= x.mean(axis=0)
    y = np.repeat([1.0, -1.0], [len(rows), len(others)])
    held = _RIDGE * float(np.mean(np.sum(x**2, axis=1))) + 1e-12
    if len(x) > x.shape[1]:
        found = np.linalg.solve(x.T @ x + held * np.eye(x.shape[1]), x.T @ y)
    else:
        found = x.T @ np.linalg.solve(x @ x.T + held * np.eye(len(x)), y)
    return np.asarray(found / (np.linalg.norm(found) + 1e-12), np.float32)[:, None]
