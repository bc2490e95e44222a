"""What enters the tail of a model for the probes, recorded once, with variants that stand for unseen inputs.

`forget` holds the forgotten classes' probes, images each in several variants. `retain` is a pool: the
retained probes in several variants, stand-ins for classes that no probe shows and, where numbers can be
mixed, as many mixtures of two: the original says what each of them should be, so any of them pins the edited
model to it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.graph.places import PLACE
from onnxunlearn.graph.tail import Tail
from onnxunlearn.methods.erase.scope import multiplications
from onnxunlearn.methods.erase.stand_ins import stand_ins
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes import Probes, Shelved, blocks, chained
from onnxunlearn.probes.variants import is_image, is_sequence, moved, spliced
from onnxunlearn.streams import Spill, drawn

#: bytes that recorded activations may take, and multiplications that may be made to record copies
_MEMORY, _WORK = 1 << 27, 2e11
#: bytes of retained samples that stand-ins are made by, of images that are copied at once, and of a pool that
#: stays in memory
_EXAMPLES, _COPIED, _IN_MEMORY = 1 << 26, 1 << 23, 1 << 24


@dataclass(frozen=True)
class Pool:
    """Retained samples at the boundary. feeds: of the tail, shelved where they are large. first, second,
    share: of as many mixtures of two as there may be, which are made when they are taken."""

    feeds: Feeds = field(repr=False)
    first: np.ndarray
    second: np.ndarray
    share: np.ndarray

    @classmethod
    def mixed(cls, feeds: Feeds, rng: np.random.Generator) -> "Pool":
        """With as many mixtures as samples, each somewhere between two, where numbers can be mixed."""
        count = count_of(feeds) if all(v.dtype.kind == "f" for v in feeds.values()) else 0
        first, second = rng.integers(max(count, 1), size=(2, count))
        return cls(feeds, first, second, rng.random(count, np.float32))

    def __len__(self) -> int:
        return count_of(self.feeds) + len(self.share)

    def take(self, places: np.ndarray) -> dict[str, np.ndarray]:
        """The samples at these indices, int [n], as feeds; mixtures come behind the others."""
        total = count_of(self.feeds)
        mixed = np.flatnonzero(places >= total)
        which = places[mixed] - total
        first, second = places.copy(), self.second[which]
        first[mixed] = self.first[which]
        found = {}
        for name, value in self.feeds.items():
            taken = np.asarray(value[first])
            if len(mixed):
                share = self.share[which].reshape(-1, *[1] * (value.ndim - 1)).astype(value.dtype)
                other = np.asarray(value[second])
                other *= 1 - share
                taken[mixed] = share * taken[mixed] + other
            found[name] = taken
        return found


@dataclass(frozen=True)
class Boundary:
    """forget: a list of feeds of the tail, one per variant. retain: the pool: the probes, then other variants
    of them in the same order, `copies` in all, then stand-ins, then mixtures. y: classes of the probes.
    stood_in: classes of the stand-ins."""

    forget: Sequence[Feeds] = field(repr=False)
    retain: Pool = field(repr=False)
    copies: int
    y: np.ndarray
    stood_in: np.ndarray

    def described(self) -> dict[str, Any]:
        """For the report: classes that stand-ins were made for."""
        classes = [int(c) for c in np.unique(self.stood_in)]
        return {"stand-ins": classes} if classes else {}

    def copies_of(self, variants: np.ndarray, probes: np.ndarray) -> Feeds:
        """What enters the tail for these variants of these probes to forget, int [n] each."""
        return {
            n: np.stack([self.forget[v][n][i] for v, i in zip(variants, probes, strict=True)])
            for n in self.forget[0]
        }

    def given(self) -> Feeds:
        """Of the probes as they were given, the retained ones first."""
        own = {n: v[: len(self.y)] for n, v in self.retain.feeds.items()}
        return {n: np.concatenate([own[n], v]) for n, v in self.forget[0].items()}

    def places(self) -> np.ndarray:
        """Where in the pool the probes are, [probes, variants of each]."""
        return np.arange(self.copies * len(self.y)).reshape(self.copies, -1).T

    def sources(self) -> dict[int, np.ndarray]:
        """By class where in the pool its samples are: [probes or stand-ins, variants of each]."""
        probes = self.places()
        others = self.copies * len(self.y) + np.arange(len(self.stood_in))
        found = {int(c): others[self.stood_in == c, None] for c in np.unique(self.stood_in)}
        for c in np.unique(self.y):
            own = probes[self.y == c]
            more = found.get(int(c), np.empty((0, 1), int))
            found[int(c)] = np.concatenate([own, np.broadcast_to(more, (len(more), self.copies))])
        return found


def nobody(_: int) -> np.ndarray:
    """Of no class stand-ins are wanted, however many copies there are."""
    return np.empty(0, int)


def record_boundary(
    bench: Workbench,
    tail: Tail,
    entered: Feeds,
    variants: int,
    rng: np.random.Generator,
    pinned: np.ndarray | None = None,
    wanted: Callable[[int], np.ndarray] = nobody,
) -> Boundary:
    """The probes and up to `variants` - 1 copies of them: images moved, retained sequences spliced; of images
    to forget, which are few, twice as many.

    entered: the boundary for all choosing probes. pinned: which probes the pool may hold; by default all
    retained ones. wanted: number of copies -> classes of the stand-ins to make.
    """
    record = bench.recorder(tail.boundary)
    own, others = bench.forgotten, ~bench.forgotten if pinned is None else pinned
    forget = bench.probes.select(own)
    count = int(others.sum())
    images, sequences = (any(map(kind, bench.probes.feeds.values())) for kind in (is_image, is_sequence))
    if PLACE in bench.probes.feeds:  # moved, another thing would be there
        images = sequences = False
    size = sum(value[:1].nbytes for value in entered.values())
    kept_of_each = size + 2 * np.float32().nbytes * bench.logits.classes  # its scores, and of a mixture's
    copies = _copies(bench, tail, kept_of_each, len(forget), count, variants) if images or sequences else 1
    forgets: list[Feeds] = [{n: np.asarray(v[own]) for n, v in entered.items()}]
    for _ in range(2 * copies - 1 if images else 0):
        copied = record(_moved(forget, rng).feeds).boundary
        forgets.append({n: v[:] for n, v in copied.items()})
    copy = _moved if images else _spliced
    y, asked = bench.y[others], wanted(copies)
    pools = {n: Spill(size * copies * count > _IN_MEMORY, Shelved) for n in entered}
    for some in blocks({n: v[others] for n, v in entered.items()}):
        for n, v in some.items():
            pools[n].add(v)
    each = sum(v[:1].nbytes for v in bench.probes.feeds.values())
    block = max(1, _COPIED // each) if images else count  # sequences are spliced with others of their class
    for _ in range(1, copies):
        for start in range(0, count, block):
            part = record(copy(bench.probes.select(np.flatnonzero(others)[start : start + block]), rng).feeds)
            for n, v in part.boundary.items():
                pools[n].add(v[:])
    kept = {n: pool.whole() for n, pool in pools.items()}
    del record, forget  # the whole network's session, and inputs: what follows takes room, too
    if not all(value.dtype.kind == "f" for value in kept.values()):
        asked = asked[:0]
    if len(asked):
        bench.engine.sessions.clear()  # and that of the whole network with what its runs took
        examples = drawn(copies * count, bench.seed, max(_EXAMPLES // size, 2 * bench.logits.classes))
        whole = len(examples) == copies * count
        seen = [*forgets, kept if whole else {n: v[examples] for n, v in kept.items()}]
        labels = np.concatenate([np.tile(bench.y[own], len(forgets)), np.tile(y, copies)[examples]])
        found = stand_ins(bench, tail, seen, labels, asked, rng)
        del seen
        bench.engine.sessions.clear()  # those that made them are done
        kept = {name: chained([value, found.feeds[name]]) for name, value in kept.items()}
        asked = found.labels
    return Boundary(forgets, Pool.mixed(kept, rng), copies, y, asked)


def _copies(bench: Workbench, tail: Tail, size: int, forget: int, retain: int, most: int) -> int:
    """How many of each probe, itself included, that memory and time allow. size: bytes that are kept of one.
    forget, retain: how many probes."""
    samples = 2 * forget + retain
    behind = {node.index for node in tail.nodes}
    # Where nothing lies before the boundary, what lies behind it is asked of each copy all the same, once.
    front = [layer for layer in bench.layers if layer.node.index not in behind] or bench.layers
    room = _MEMORY // (size * samples)
    time = 1 + int(_WORK / (samples * multiplications(bench, front) + 1))
    return max(1, min(most, room, time))


def _moved(probes: Probes, rng: np.random.Generator) -> Probes:
    feeds = {n: moved(v[:], rng) if is_image(v) else v for n, v in probes.feeds.items()}
    return Probes(feeds, probes.y, probes.source)


def _spliced(probes: Probes, rng: np.random.Generator) -> Probes:
    assert probes.y is not None
    return Probes(spliced({n: v[:] for n, v in probes.feeds.items()}, probes.y, rng), probes.y, probes.source)
