"""Copies among probes: the same input given twice, or one that is hardly another."""

import hashlib

import numpy as np

from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.variants import is_image

#: how far apart two images are at most that count as copies, as a share of how far apart two of them usually
#: are. Storing them anew moves images by 0.02 to 0.04; of 2,000 digits, and of as many pieces of clothing, no
#: two that are different are closer than 0.1.
_NEAR = 0.06
#: directions in which images are looked at first; there, near ones are at most _SLACK times as far apart
_DIRECTIONS, _SLACK = 8, 2.0
#: images that tell how far apart two of them usually are
_SOME = 500


def copy_groups(probes: Probes) -> np.ndarray:
    """Which samples are copies of each other: int [N], the first of them for each.

    Equal in every input, byte by byte; or images (and whatever goes with them is equal) that differ by little
    noise, by compression or in the last bits. Moved or mirrored ones are not found.
    """
    count = len(probes)
    first: dict[bytes, int] = {}
    exact = np.array([first.setdefault(_digest(probes, i), i) for i in range(count)], dtype=int)
    images = [name for name, value in probes.feeds.items() if is_image(value)]
    if len(images) != 1 or len(first) < 2:
        return exact
    places, pictures = np.unique(exact), probes.feeds[images[0]]
    near = _near((pictures if len(places) == count else pictures[places]).reshape(len(places), -1))
    others = {name: value for name, value in probes.feeds.items() if name != images[0]}
    for i in np.flatnonzero(near != np.arange(len(near))):
        one, other = places[i], places[near[i]]
        if any((value[one] != value[other]).any() for value in others.values()):
            near[i] = i
    return np.asarray(places[near][np.searchsorted(places, exact)])


def one_of_each(probes: Probes, groups: np.ndarray) -> np.ndarray:
    """A bool [N] mask of one sample of each group and class, the first. groups: of `copy_groups`."""
    assert probes.y is not None
    pairs = np.stack([groups, probes.y], axis=1)
    kept = np.zeros(len(probes), dtype=bool)
    kept[np.unique(pairs, axis=0, return_index=True)[1]] = True
    return kept


def copies_among(probes: Probes) -> int:
    """How many probes are copies of others before them."""
    return len(probes) - len(np.unique(copy_groups(probes)))


def _digest(probes: Probes, sample: int) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for value in probes.feeds.values():
        made.update(np.ascontiguousarray(value[sample]).tobytes())
    return made.digest()


def _near(images: np.ndarray) -> np.ndarray:
    """For each of [N, d] the first one that it is near to, or itself; one near to a near one is, too."""
    from scipy.spatial import cKDTree  # takes a moment to import

    count, size = images.shape
    group = np.arange(count)
    finite = np.isfinite(images).all(axis=1)
    whole = np.flatnonzero(finite)
    some = images[whole[:: max(len(whole) // _SOME, 1)]]
    usual = np.sqrt(2 * np.var(some, axis=0, dtype=np.float64).sum()) if len(some) else 0.0
    if not usual:
        return group
    directions = np.random.default_rng(0).normal(size=(size, _DIRECTIONS)) / np.sqrt(_DIRECTIONS)
    scale = np.where(finite, 1 / usual, 0.0)[:, None]
    with np.errstate(all="ignore"):
        seen = np.where(finite[:, None], images @ directions.astype(np.float32), 0).astype(np.float64) * scale
    tree = cKDTree(seen)
    closest = tree.query(seen, k=2, distance_upper_bound=_SLACK * _NEAR)[0][:, 1]
    for i in np.flatnonzero(np.isfinite(closest) & finite):
        if group[i] != i:
            continue
        around = np.array(tree.query_ball_point(seen[i], _SLACK * _NEAR))
        around = around[finite[around]]
        apart = np.linalg.norm(images[around].astype(np.float64) - images[i], axis=1)
        own = around[apart <= _NEAR * usual]
        lowest = int(group[own].min())
        for joined in np.unique(group[own]):
            group[group == joined] = lowest
    return group
