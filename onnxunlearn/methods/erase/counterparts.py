"""What each sample to forget is to become like: of a class its neighbours, of a concept what lacks it.

Samples to forget come in groups by two numbers each, their own and their counterpart's; by the latter is
known where in the pool of retained samples their examples are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from onnxunlearn.methods.erase.boundary import Boundary
from onnxunlearn.methods.erase.neighbours import believed, shared_out
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes.probes import OTHER


@dataclass(frozen=True, eq=False)
class Counterparts:
    """own, near: of each probe to forget, int [n]. sources: by `near` where in the pool its examples are,
    [probes, variants of each]. against: classes whose logits tell a probe to forget from its counterpart, the
    first speaks for what is to be forgotten, int [2, n]."""

    own: np.ndarray
    near: np.ndarray
    sources: Mapping[int, np.ndarray]
    against: np.ndarray

    @classmethod
    def of_classes(
        cls, bench: Workbench, boundary: Boundary, wishes: np.ndarray, pinned: np.ndarray
    ) -> "Counterparts":
        """The retained class that most speaks for, of those of which there is an example. wishes: see
        `neighbours.votes`."""
        sources, classes = boundary.sources(), bench.logits.classes
        wishes[:, np.setdiff1d(np.arange(classes), list(sources))] = -1
        shown = np.bincount(bench.y[pinned], minlength=classes) > 0
        all_shown = shown[np.setdiff1d(np.arange(classes), bench.forget)].all()
        near = wishes.argmax(axis=1) if all_shown else shared_out(wishes, believed(bench))
        own = bench.y[bench.forgotten]
        return cls(own, near, sources, np.stack([own, near]))

    @classmethod
    def of_samples(cls, bench: Workbench, boundary: Boundary, pinned: np.ndarray) -> "Counterparts":
        """The partner; else samples of the same class that lack it, where that is known and there are some;
        else all that lack it. pinned: which probes are in the pool, bool [N]."""
        probes, forgotten = bench.probes, bench.forgotten
        assert probes.pair is not None
        places = boundary.places()
        pairs, y = probes.pair[pinned], bench.y[pinned]
        examples = pairs != OTHER
        if not examples.any():
            examples = np.ones(len(pairs), bool)
        kinds: dict[tuple[str, int], np.ndarray] = {("all", 0): places[examples]}
        kinds |= {("class", int(c)): places[examples & (y == c)] for c in np.unique(y[examples])}
        kinds |= {("pair", int(p)): places[pairs == p] for p in np.unique(pairs[pairs >= 0])}
        numbers = {kind: number for number, kind in enumerate(kinds)}
        near = [
            next(
                numbers[kind] for kind in (("pair", int(p)), ("class", int(c)), ("all", 0)) if kind in numbers
            )
            for p, c in zip(probes.pair[forgotten], bench.y[forgotten], strict=True)
        ]
        own = np.zeros(len(near), int)
        sources = {number: kinds[kind] for kind, number in numbers.items()}
        return cls(own, np.array(near), sources, _against(bench.before[forgotten], bench.y[forgotten]))


def _against(scores: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The class that is given with it, and the one that it should be or, if that is the same or not known,
    that comes next."""
    order = np.argsort(-scores, axis=1, kind="stable")
    given, second = order[:, 0], order[:, 1]
    return np.stack([given, np.where((y >= 0) & (y != given), y, second)])
