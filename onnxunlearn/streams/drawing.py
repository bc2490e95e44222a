"""Some samples of a stream, drawn with a seed: what needs all of its samples at once is asked about these."""

import numpy as np

#: samples that are drawn at most. What is kept of each is what models make of it inside, not the input
RESERVOIR = 2000


def drawn(count: int, seed: int, size: int | None = None) -> np.ndarray:
    """`size` (RESERVOIR) of `count` samples, each set of so many equally likely; all if they are no more.
    Sorted: files are read in one go."""
    size = RESERVOIR if size is None else size
    if count <= size:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, size, replace=False, shuffle=False))


def reservoir(asked: np.ndarray, seed: int, size: int | None = None) -> np.ndarray:
    """The same, with half of the places for the samples that are asked about, however rare these are.

    asked: bool [N]. Among those, and among the others, all are equally likely. What one half leaves free the
    other takes.
    """
    size = RESERVOIR if size is None else size
    if len(asked) <= size:
        return np.arange(len(asked))
    rare, others = np.flatnonzero(asked), np.flatnonzero(~asked)
    places = min(len(rare), max(size // 2, size - len(others)))
    first = rare[drawn(len(rare), seed, places)]
    return np.sort(np.concatenate([first, others[drawn(len(others), seed + 1, size - places)]]))
