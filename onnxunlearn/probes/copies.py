"""Copies among probes: the same input given twice, or one that is hardly another."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from onnxunlearn.engines.batching import count_of
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.unread import blocks, each, is_unread
from onnxunlearn.probes.variants import is_image

#: how far apart two images are at most that count as copies, as a share of how far apart two of them usually
#: are. Storing them anew moves images by 0.02 to 0.04; of 2,000 digits, and of as many pieces of clothing, no
#: two that are different are closer than 0.1.
_NEAR = 0.06
#: directions in which images are looked at first; there, near ones are at most _SLACK times as far apart
_DIRECTIONS, _SLACK = 8, 2.0
#: and in these, before images are read again
_MORE, _FINE_SLACK = 64, 1.5
#: numbers of an image that are looked at together
_COLUMNS = 1 << 12
#: images that tell how far apart two of them usually are, and bytes that they may take
_SOME, _SOME_BYTES = 500, 1 << 25


def copy_groups(probes: Probes) -> np.ndarray:
    """Which samples are copies of each other: int [N], the first of them for each.

    Equal in every input, byte by byte; or images (and whatever goes with them is equal) that differ by little
    noise, by compression or in the last bits. Moved or mirrored ones are not found.
    """
    pictured = _pictured(probes)
    return _grouped(probes, pictured, *_looked_at(probes, pictured))


def distinct(probes: Probes, others: Probes) -> np.ndarray:
    """Which samples are no copies of samples before them, nor byte by byte among the others, bool [N]."""
    pictured = _pictured(probes)
    own, view = _looked_at(probes, pictured)
    first = _grouped(probes, pictured, own, view) == np.arange(len(probes))
    theirs = set(digests(others))
    return first & np.array([digest not in theirs for digest in own], dtype=bool)


def digests(probes: Probes) -> list[bytes]:
    """One of each sample, of all its inputs byte by byte."""
    return _looked_at(probes, None)[0]


def _pictured(probes: Probes) -> str | None:
    """The one input that holds images, if there is one."""
    images = [name for name, value in probes.feeds.items() if is_image(value)]
    return images[0] if len(images) == 1 else None


def _grouped(probes: Probes, pictured: str | None, own: Sequence[bytes], view: "_View | None") -> np.ndarray:
    """`copy_groups`, from what `_looked_at` gives."""
    first: dict[bytes, int] = {}
    exact = np.array([first.setdefault(digest, i) for i, digest in enumerate(own)], dtype=int)
    if pictured is None or view is None or len(first) < 2:
        return exact
    places, pictures = np.unique(exact), probes.feeds[pictured]
    near = _near(pictures if len(places) == len(probes) else pictures[places], view.of_some(places))
    others = {name: value for name, value in probes.feeds.items() if name != pictured}
    for i in np.flatnonzero(near != np.arange(len(near))):
        one, other = places[i], places[near[i]]
        if any((value[one] != value[other]).any() for value in others.values()):
            near[i] = i
    return np.asarray(places[near][np.searchsorted(places, exact)])


def one_of_each(probes: Probes, groups: np.ndarray) -> np.ndarray:
    """A bool [N] mask of one sample of each group and class, the first. groups: of `copy_groups`."""
    assert probes.y is not None
    pairs = np.stack([groups, probes.strata], axis=1)
    kept = np.zeros(len(probes), dtype=bool)
    kept[np.unique(pairs, axis=0, return_index=True)[1]] = True
    return kept


def copies_among(probes: Probes) -> int:
    """How many probes are copies of others before them."""
    return len(probes) - len(np.unique(copy_groups(probes)))


def _looked_at(probes: Probes, pictured: str | None) -> tuple[list[bytes], "_View | None"]:
    """A digest of each sample, and what the images show, if there are any; in one go."""
    found, views = [], []
    for feeds in blocks(probes.feeds):
        found += [_digest(feeds, i) for i in range(count_of(feeds))]
        if pictured is not None:
            views.append(_View.of(feeds[pictured], fine=is_unread(probes.feeds)))
    return found, _View.joined(views) if views else None


@dataclass(frozen=True, eq=False)
class _View:
    """What is kept of images [N, ...] while they are gone through. seen: in _DIRECTIONS, [N, _DIRECTIONS].
    fine: in _MORE of them, if images cost much to be read again. finite: whether it can be seen, bool [N]."""

    seen: np.ndarray
    finite: np.ndarray
    fine: np.ndarray | None = None

    @classmethod
    def of(cls, images: np.ndarray, fine: bool) -> "_View":
        flat = images.reshape(len(images), -1)
        finite = np.isfinite(flat).all(axis=1)
        with np.errstate(all="ignore"):
            seen = flat @ _directions(flat.shape[1], _DIRECTIONS)
            finite &= np.isfinite(seen).all(axis=1)  # huge numbers have no sum
            seen = np.where(finite[:, None], seen, 0)
            more = np.where(finite[:, None], flat @ _directions(flat.shape[1], _MORE), 0) if fine else None
        return cls(seen.astype(np.float64), finite, more)

    @classmethod
    def joined(cls, views: Sequence["_View"]) -> "_View":
        seen, finite = (np.concatenate([getattr(v, name) for v in views]) for name in ("seen", "finite"))
        fine = [v.fine for v in views if v.fine is not None]
        return cls(seen, finite, np.concatenate(fine) if fine else None)

    def of_some(self, places: np.ndarray) -> "_View":
        fine = None if self.fine is None else self.fine[places]
        return _View(self.seen[places], self.finite[places], fine)


@cache
def _directions(size: int, count: int) -> np.ndarray:
    made = np.random.default_rng(0).normal(size=(size, count)) / np.sqrt(count)
    return np.asarray(made, dtype=np.float32)


def _digest(feeds: Mapping[str, np.ndarray], sample: int) -> bytes:
    made = hashlib.blake2b(digest_size=16)
    for value in feeds.values():
        made.update(np.ascontiguousarray(value[sample]).tobytes())
    return made.digest()


def _near(images: np.ndarray, view: _View) -> np.ndarray:
    """For each image the first one that it is near to, or itself; one near to a near one is, too."""
    from scipy.spatial import cKDTree  # takes a moment to import

    group, finite = np.arange(len(images)), view.finite
    whole = np.flatnonzero(finite)
    some = max(1, min(_SOME, _SOME_BYTES * len(images) // max(images.nbytes, 1)))
    with np.errstate(over="ignore"):
        usual = _usual(images[whole[:: max(len(whole) // some, 1)]])
    if not usual or not np.isfinite(usual):
        return group
    seen = view.seen * np.where(finite, 1 / usual, 0.0)[:, None]
    tree = cKDTree(seen)
    closest = tree.query(seen, k=2, distance_upper_bound=_SLACK * _NEAR)[0][:, 1]
    for i in np.flatnonzero(np.isfinite(closest) & finite):
        if group[i] != i:
            continue
        around = np.array(tree.query_ball_point(seen[i], _SLACK * _NEAR))
        around = around[finite[around]]
        if view.fine is not None:
            apart = np.linalg.norm(view.fine[around] - view.fine[i], axis=1)
            around = around[(apart <= _FINE_SLACK * _NEAR * usual) | (around == i)]
            if len(around) == 1:
                continue
        own = around[_apart(images[around], images[i]) <= _NEAR * usual]
        lowest = int(group[own].min())
        for joined in np.unique(group[own]):
            group[group == joined] = lowest
    return group


def _usual(some: np.ndarray) -> float:
    """How far apart two of some images usually are."""
    if not len(some):
        return 0.0
    if not is_unread({"": some}):
        flat = some[:].reshape(len(some), -1)
        parts = (flat[:, i : i + _COLUMNS] for i in range(0, flat.shape[1], _COLUMNS))  # float64 takes twice
        return float(np.sqrt(2 * sum(np.var(part, axis=0, dtype=np.float64).sum() for part in parts)))
    count, mean, squares = 0, np.zeros(1), np.zeros(1)  # joined as by Chan, Golub and LeVeque
    for block in blocks({"": some}):
        part = block[""].reshape(len(block[""]), -1).astype(np.float64)
        step, total = part.mean(axis=0) - mean, count + len(part)
        squares = squares + part.var(axis=0) * len(part) + step**2 * (count * len(part) / total)
        mean, count = mean + step * (len(part) / total), total
    return float(np.sqrt(2 * squares.sum() / count))


def _apart(images: np.ndarray, one: np.ndarray) -> np.ndarray:
    """How far each is from the one."""

    def distance(some: np.ndarray) -> np.ndarray:
        flat = some.reshape(len(some), -1).astype(np.float64)
        return np.asarray(np.linalg.norm(flat - one.reshape(-1), axis=1))

    return each(distance, images)
