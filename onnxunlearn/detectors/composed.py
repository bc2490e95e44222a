"""More images than were given: each of quarters of four others, a bit larger or smaller than they were.

What is pinned on a hundred images may still change on others, and a class that is drawn to others there may
still be itself elsewhere. What the original says of any image is known without anybody's labels, so images
that are none of the user's serve as well, as long as they are of their kind.
"""

import numpy as np
from scipy.ndimage import affine_transform

from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.probes.variants import spatial_axes

#: as many composed images as times the given ones, and bytes of all of them at most
_TIMES, _BYTES = 10, 1 << 28
#: between these shares of height and width four images meet; what a quarter shows is at most so many times as
#: large as it was, or as much smaller
_CUT, _SCALE = (0.3, 0.7), 1.25


def with_composed(feeds: Feeds, showing: np.ndarray, seed: int, left_out: np.ndarray | None = None) -> Feeds:
    """The given images and composed ones. showing: which show the class to forget, bool [N]; half of all
    quarters are drawn from them. left_out: which nothing is composed of, likewise."""
    given = count_of(feeds)
    each = max(1, sum(values.nbytes for values in feeds.values()) // given)
    count = min(_TIMES * given, _BYTES // each)
    rng = np.random.default_rng(seed)
    allowed = np.arange(given) if left_out is None else np.flatnonzero(~left_out)
    sources = allowed[rng.integers(len(allowed), size=(count, 4))]
    if (known := np.flatnonzero(showing)).size:
        chosen = rng.random(sources.shape) < 0.5
        sources[chosen] = rng.choice(known, int(chosen.sum()))
    cuts = rng.uniform(*_CUT, size=(count, 2))
    scales = _SCALE ** rng.uniform(-1, 1, size=sources.shape)
    return {n: np.concatenate([v, _composed(v, sources, cuts, scales)]) for n, v in feeds.items()}


def _composed(values: np.ndarray, sources: np.ndarray, cuts: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """sources: of the quarters row by row, and their scales, [n, 4]. cuts: shares of height and width,
    [n, 2]. What is no image is the first source's."""
    found = values[sources[:, 0]].copy()
    if values.ndim != 4:
        return found
    axes = spatial_axes(values)
    channels_last, size = axes == (1, 2), [values.shape[axis] for axis in axes]
    for image, cut, own, by in zip(found, cuts, sources, scales, strict=True):
        down, right = (int(share * side) for share, side in zip(cut, size, strict=True))
        quarters = [
            (y, x) for y in (slice(down), slice(down, None)) for x in (slice(right), slice(right, None))
        ]
        for quarter, source, scale in zip(quarters, own, by, strict=True):
            part = quarter if channels_last else (slice(None), *quarter)
            image[part] = _scaled(values[source], float(scale), 0 if channels_last else 1)[part]
    return found


def _scaled(image: np.ndarray, scale: float, first: int) -> np.ndarray:
    """Around its middle, mirrored beyond the border. first: the axis of its height."""
    matrix, offset = np.ones(3), np.zeros(3)
    for axis in (first, first + 1):
        matrix[axis] = 1 / scale
        offset[axis] = (image.shape[axis] - 1) / 2 * (1 - 1 / scale)
    return np.asarray(affine_transform(image.astype(np.float32), matrix, offset, order=1, mode="mirror"))
