"""More inputs from few: images moved by some pixels, token sequences of one class spliced.

What may be done to other inputs is not known.
"""

from collections.abc import Mapping

import numpy as np

#: share of an image's height and width by which it is moved at most
_SHIFT = 1 / 14
#: bytes that are moved at once
_BLOCK = 1 << 23


def is_image(array: np.ndarray) -> bool:
    """Whether an input is a batch of images: float, [N, channels, height, width] or channels last."""
    return array.ndim == 4 and array.dtype.kind == "f" and min(array.shape[1], array.shape[3]) <= 4


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each image moved by a random step, the border repeated; same shape."""
    rows, _ = spatial_axes(images)
    height, width = images.shape[rows : rows + 2]
    down, right = max(1, round(height * _SHIFT)), max(1, round(width * _SHIFT))
    steps = rng.integers((-down, -right), (down + 1, right + 1), (len(images), 2))
    at = [(np.arange(size) + steps[:, [i]]).clip(0, size - 1) for i, size in enumerate((height, width))]
    found = np.empty_like(images, order="C")
    last, made = (np.moveaxis(a, (0, rows, rows + 1), (0, 1, 2)) for a in (images, found))  # channels last
    block = max(1, _BLOCK * len(images) // max(images.nbytes, 1))
    for start in range(0, len(images), block):
        some = slice(start, start + block)
        sample = np.arange(len(images))[some, None, None]
        made[some] = last[sample, at[0][some, :, None], at[1][some, None, :]]
    return found


def spatial_axes(images: np.ndarray) -> tuple[int, int]:
    """The axes of height and width: channels come first or last."""
    return (2, 3) if images.shape[1] <= images.shape[3] else (1, 2)


def is_sequence(array: np.ndarray) -> bool:
    """Whether an input is a batch of token sequences, or what goes with them: integers, [N, places]."""
    return array.ndim == 2 and array.dtype.kind in "iu" and array.shape[1] > 1


def spliced(
    feeds: Mapping[str, np.ndarray], y: np.ndarray, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Each sequence's beginning, then the end of another of its class; other inputs as they are.

    feeds: a model's inputs by name; those shaped as the first that `is_sequence` (a mask, say, of any type)
    are cut at the same place. Tokens keep their places, and a cut is made only where both sequences have
    text: marks at the beginning and the end, padding on either side and the mask go on fitting together.
    Where there is no such place the sample stays as it is.
    """
    shape = next(array.shape for array in feeds.values() if is_sequence(array))
    group = {name: array for name, array in feeds.items() if array.shape == shape}
    partner = np.array([rng.choice(np.flatnonzero(y == c)) for c in y])
    begin, end = _text(np.stack(list(group.values()), axis=-1))
    first, last = np.maximum(begin, begin[partner]) + 1, np.minimum(end, end[partner]) - 1
    cut = np.where(first <= last, rng.integers(first, np.maximum(first, last) + 1), shape[1])
    own = np.arange(shape[1]) < cut[:, None]
    return {**feeds, **{name: np.where(own, array, array[partner]) for name, array in group.items()}}


def _text(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the run of equal values at the beginning is over, and where that at the end begins, int [N].

    columns: [N, places, inputs]. Such runs are padding, or a single mark.
    """
    from_begin = (columns != columns[:, :1]).any(axis=2)
    from_end = (columns != columns[:, -1:]).any(axis=2)[:, ::-1]
    places = columns.shape[1]
    begin = np.where(from_begin.any(axis=1), from_begin.argmax(axis=1), places)
    return begin, places - np.where(from_end.any(axis=1), from_end.argmax(axis=1), places)
