"""Samples that show what is to be forgotten: some have it, others lack it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from onnxunlearn.errors import InputError
from onnxunlearn.probes.copies import digests
from onnxunlearn.probes.load import Source
from onnxunlearn.probes.probes import OTHER, Probes
from onnxunlearn.probes.unread import chained


@dataclass(frozen=True)
class SharedBy:
    """To be forgotten: what `samples` share and others lack; the classes stay.

    samples: probes that have it, in any form of `probes.load_probes`; of identities in an embedding several
    such, one each. like: probes that lack it; by default all others that are given. paired: sample i of
    `like` is sample i of `samples` without it.

    Raises InputError if pairs are asked for and there is nothing to pair with, and for no samples.
    """

    samples: Source | Sequence[Source]
    like: Source | None = None
    paired: bool = False

    def __post_init__(self) -> None:
        if self.paired and self.like is None:
            raise InputError("paired: with what? give the samples without it (--like)")
        if not self.each:
            raise InputError("forget_samples: an empty list; give samples of what is to be forgotten")

    @property
    def each(self) -> tuple[Source, ...]:
        """What `samples` are, one by one."""
        several = isinstance(self.samples, list | tuple)
        return tuple(self.samples) if several else (self.samples,)  # type: ignore[arg-type,return-value]


def join(having: Probes, lacking: Probes | None, data: Probes | None, *, paired: bool) -> Probes:
    """All of them as one, marked (`Probes.shared`, `Probes.pair`), those that lack it first; unread if some
    are.

    Classes are those that were given: −1 where there are none. A sample of `having` is of its partner's
    class. What is on both sides byte by byte shows nothing and is left out.

    Raises InputError where pairs do not fit, shapes differ, or nothing is left.
    """
    if paired and lacking is not None and len(having) != len(lacking):
        raise InputError(
            f"{having.source}: {len(having)} samples, {lacking.source}: {len(lacking)}; --paired wants as "
            "many of both, in the same order"
        )
    others = [part for part in (lacking, data) if part is not None]
    check_shapes([*others, having])
    twice = _equal(having, [lacking] if paired and lacking is not None else others, paired)
    if twice.all():
        where = " and ".join(part.source for part in (having, *others))
        raise InputError(f"{where}: hold the same samples; give samples that have it and others that lack it")
    kept = np.flatnonzero(~twice)
    counts = [len(part) for part in others]
    pair = np.full(sum(counts) + len(kept), -1)
    if lacking is not None:
        pair[counts[0] : sum(counts)] = OTHER
    if paired:
        pair[: counts[0]] = np.arange(counts[0])
        pair[sum(counts) :] = kept
    own = having.select(kept)
    if paired and lacking is not None and lacking.labelled:
        labels = None if lacking.labels is None else lacking.labels[kept]
        own = replace(own, y=None if lacking.y is None else lacking.y[kept], labels=labels)
    parts = [*others, own]
    feeds = {name: chained([part.feeds[name] for part in parts]) for name in having.feeds}
    y = np.concatenate([np.full(len(p), -1) if p.y is None else p.y for p in parts]).astype(np.int64)
    shared = np.arange(len(y)) >= sum(counts)
    origin = _origin(having, lacking, data, paired)
    return Probes(feeds, y, having.source, _labels(parts), origin=origin, shared=shared, pair=pair)


def _labels(parts: Sequence[Probes]) -> np.ndarray | None:
    """The classes of each, bool [N, classes], where some may have several; none where nobody knows any."""
    wide = next((part.labels.shape[1] for part in parts if part.labels is not None), None)
    if wide is None:
        return None
    rows = []
    for part in parts:
        y = np.full(len(part), -1) if part.y is None else part.y
        rows.append(y[:, None] == np.arange(wide) if part.labels is None else part.labels)
    return np.concatenate(rows)


def pair_groups(probes: Probes, groups: np.ndarray) -> np.ndarray:
    """`copy_groups` in which partners are together, int [N]."""
    if probes.pair is None or (probes.pair < 0).all():
        return groups
    own = np.flatnonzero(probes.pair >= 0)
    first = {int(p): int(i) for i, p in reversed(list(zip(own, probes.pair[own], strict=True)))}
    partners = np.array([first[int(p)] for p in probes.pair[own]])
    edges = np.stack([np.concatenate([np.arange(len(groups)), own]), np.concatenate([groups, partners])])
    graph = coo_array((np.ones(edges.shape[1]), (edges[0], edges[1])), shape=(len(groups),) * 2)
    return np.asarray(connected_components(graph, directed=False)[1])


def _equal(having: Probes, others: Sequence[Probes], paired: bool) -> np.ndarray:
    """Which samples are among the others (or are their partner) byte by byte, bool [N]."""
    mine, theirs = digests(having), [digests(part) for part in others]
    if paired:
        return np.array([m == their for m, their in zip(mine, theirs[0], strict=True)])
    seen = {digest for part in theirs for digest in part}
    return np.array([m in seen for m in mine])


def check_shapes(parts: Sequence[Probes]) -> None:
    """Raises InputError unless samples of all have the shape of the last one's."""
    last = parts[-1]
    for part in parts[:-1]:
        for name, values in part.feeds.items():
            if values.shape[1:] != last.feeds[name].shape[1:]:
                raise InputError(
                    f"{last.source}: {name!r} is {list(last.feeds[name].shape[1:])} a sample, in "
                    f"{part.source} {list(values.shape[1:])}; give samples of one shape"
                )


def _origin(having: Probes, lacking: Probes | None, data: Probes | None, paired: bool) -> Mapping[str, Any]:
    named = {"with": having, "without": lacking, "data": data}
    parts = {name: dict(part.origin) for name, part in named.items() if part is not None}
    return {"source": having.called, "shared": {**parts, "paired": paired}}
