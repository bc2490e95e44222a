"""Of many places some, each a sample with its input."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.graph.places import PLACE
from onnxunlearn.probes.places.scenes import NOTHING_SAID, Scenes
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.unread import again

#: bytes of inputs that samples may have together, each counted for itself: what a run of all of them takes
_BYTES = 1 << 28


def to_grid(truth: np.ndarray, grid: Sequence[int], *, mixed: bool = False) -> np.ndarray:
    """What is at the places of a coarser grid, int32 [N, *grid]: of each the class that is all over what it
    stands for, else NOTHING_SAID; or, where `mixed` is taken, too, that in its middle. truth: [N, *map]."""
    if mixed:
        for axis, (size, wanted) in enumerate(zip(truth.shape[1:], grid, strict=True), 1):
            truth = np.take(truth, ((np.arange(wanted) + 0.5) * size / wanted).astype(int), axis=axis)
        return np.asarray(truth, np.int32)
    found = truth
    for axis, (size, wanted) in enumerate(zip(truth.shape[1:], grid, strict=True), 1):
        edges = np.floor(np.arange(wanted + 1) * size / wanted).astype(int)
        last = np.maximum(edges[1:], edges[:-1] + 1)
        first = np.take(found, edges[:-1], axis=axis)
        same = np.ones(first.shape, bool)
        for step in range(1, int((last - edges[:-1]).max(initial=1))):
            inside = np.minimum(edges[:-1] + step, last - 1)
            same &= np.take(found, inside, axis=axis) == first
        found = np.where(same, first, NOTHING_SAID)
    return np.asarray(found, np.int32)


def draw(
    scenes: Scenes,
    grid: np.ndarray,
    margin: Sequence[int],
    forget: Sequence[int],
    most: int,
    seed: int,
    each: Mapping[bool, int],
) -> Probes:
    """Places as samples of the view of a model, with their classes, in the order of the scenes.

    grid: what is where on the grid of the view, int [N, *grid]. margin: how far from its border places have
    to be. most: samples at most; of fewer of each scene, then. each: places of a class in a scene, by whether
    it is to be forgotten.
    """
    rng = np.random.default_rng(seed)
    inner = tuple(slice(m, size - m) for m, size in zip(margin, grid.shape[1:], strict=True))
    found: list[tuple[int, np.ndarray, int]] = []
    for number, scene in enumerate(grid[(slice(None), *inner)]):
        for c in np.unique(scene[scene >= 0]):
            where = np.argwhere(scene == c)
            few = rng.permutation(len(where))[: each[int(c) in forget]]
            found += [(number, place + margin, int(c)) for place in where[few]]
    most = min(most, _room(scenes.probes))
    if len(found) > most:
        y = np.array([c for *_, c in found])
        found = [found[i] for i in _evenly(y, np.isin(y, forget), most, rng)]
    numbers = np.array([number for number, *_ in found], int)
    places = np.array([place for _, place, _ in found], np.int64).reshape(len(found), len(margin))
    feeds = {name: again(value, numbers) for name, value in scenes.probes.feeds.items()}
    source = scenes.probes
    return Probes(
        {**feeds, PLACE: places},
        np.array([c for *_, c in found], np.int64),
        source.source,
        origin=source.origin,
        by_model=not scenes.given,
    )


def is_full(places: Probes) -> bool:
    """Whether more places of these inputs would not have fitted."""
    inputs = {name: value for name, value in places.feeds.items() if name != PLACE}
    return len(places) >= _room(replace(places, feeds=inputs))


def _room(inputs: Probes) -> int:
    """How many samples there may be, each with its input."""
    size = sum(value[:1].nbytes for value in inputs.feeds.values())
    return max(2, _BYTES // max(size, 1))


def _evenly(y: np.ndarray, forgotten: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """So many of them, in order: half of what is to be forgotten, the rest of each class alike."""
    shuffled = rng.permutation(len(y))
    rank = np.empty(len(y), int)  # how many of its class come before it
    for c in np.unique(y):
        own = shuffled[y[shuffled] == c]
        rank[own] = np.arange(len(own))
    own, others = (np.flatnonzero(part) for part in (forgotten, ~forgotten))
    share = max(most // 2, most - len(others))
    kept = [part[np.argsort(rank[part], kind="stable")] for part in (own, others)]
    return np.sort(np.concatenate([kept[0][:share], kept[1][: most - min(share, len(own))]]))
