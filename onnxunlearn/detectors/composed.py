"""More images than were given: each of quarters of four others, at the places where they were.

What is pinned on a hundred images may still change on others. What the original says of any image is known
without anybody's labels, so images that are none of the user's serve as well, as long as they are of their
kind: cut where four meet, all else is as it was.
"""

import numpy as np

from onnxunlearn.engines.batching import Feeds, count_of

#: as many composed images as times the given ones, and bytes of all of them at most
_TIMES, _BYTES = 5, 1 << 28
#: between these shares of height and width four images meet
_CUT = (0.3, 0.7)


def with_composed(feeds: Feeds, showing: np.ndarray, seed: int) -> Feeds:
    """The given images and composed ones. showing: which show the class to forget, bool [N]; half of all
    quarters are drawn from them."""
    given = count_of(feeds)
    each = max(1, sum(values.nbytes for values in feeds.values()) // given)
    count = min(_TIMES * given, _BYTES // each)
    rng = np.random.default_rng(seed)
    sources = rng.integers(given, size=(count, 4))
    if (known := np.flatnonzero(showing)).size:
        chosen = rng.random(sources.shape) < 0.5
        sources[chosen] = rng.choice(known, int(chosen.sum()))
    cuts = rng.uniform(*_CUT, size=(count, 2))
    return {
        name: np.concatenate([values, _composed(values, sources, cuts)]) for name, values in feeds.items()
    }


def _composed(values: np.ndarray, sources: np.ndarray, cuts: np.ndarray) -> np.ndarray:
    """cuts: shares of height and width, [n, 2]. What is no image is the first source's."""
    found = values[sources[:, 0]].copy()
    if values.ndim != 4:
        return found
    first = 1 if values.shape[3] in (1, 3) else 2
    for image, (own, cut) in enumerate(zip(sources, cuts, strict=True)):
        down, right = (int(share * size) for share, size in zip(cut, values.shape[first:], strict=False))
        lead = (slice(None),) * (first - 1)
        for source, rows, columns in (
            (own[1], slice(down), slice(right, None)),
            (own[2], slice(down, None), slice(right)),
            (own[3], slice(down, None), slice(right, None)),
        ):
            part = (*lead, rows, columns)
            found[image][part] = values[source][part]
    return found
