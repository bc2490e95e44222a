"""What enters the tail of a model for the probes, recorded once, with variants that stand for unseen inputs.

`forget` holds the forgotten classes' probes, images each in several variants. `retain` is a pool: the
retained probes in several variants, stand-ins for classes that no probe shows and, where numbers can be
mixed, as many mixtures of two: the original says what each of them should be, so any of them pins the edited
model to it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxunlearn.engines.batching import Feeds, batches, count_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import expose
from onnxunlearn.graph.tail import Tail
from onnxunlearn.methods.erase.stand_ins import stand_ins
from onnxunlearn.methods.workbench import Workbench
from onnxunlearn.probes import Probes
from onnxunlearn.probes.variants import is_image, is_sequence, moved, spliced

#: bytes that recorded activations may take
_MEMORY = 1 << 29


@dataclass(frozen=True)
class Boundary:
    """forget: a list of feeds of the tail, one per variant. retain: feeds of the tail, the pool: the probes,
    then other variants of them in the same order, `copies` in all, then stand-ins, then mixtures. y: classes
    of the probes. stood_in: classes of the stand-ins."""

    forget: Sequence[Feeds] = field(repr=False)
    retain: Feeds = field(repr=False)
    copies: int
    y: np.ndarray
    stood_in: np.ndarray

    def described(self) -> dict[str, Any]:
        """For the report: classes that stand-ins were made for."""
        classes = [int(c) for c in np.unique(self.stood_in)]
        return {"stand-ins": classes} if classes else {}

    def sources(self) -> dict[int, np.ndarray]:
        """By class where in the pool its samples are: [probes or stand-ins, variants of each]."""
        probes = np.arange(self.copies * len(self.y)).reshape(self.copies, -1).T
        others = self.copies * len(self.y) + np.arange(len(self.stood_in))
        found = {int(c): others[self.stood_in == c, None] for c in np.unique(self.stood_in)}
        for c in np.unique(self.y):
            own = probes[self.y == c]
            more = found.get(int(c), np.empty((0, 1), int))
            found[int(c)] = np.concatenate([own, np.broadcast_to(more, (len(more), self.copies))])
        return found


def record_boundary(
    bench: Workbench,
    tail: Tail,
    variants: int,
    rng: np.random.Generator,
    pinned: np.ndarray | None = None,
    wanted: Callable[[int], np.ndarray] = lambda _: np.empty(0, int),
) -> Boundary:
    """Record the probes and up to `variants` - 1 copies of them: images moved, retained sequences spliced; of
    images to forget, which are few, twice as many.

    pinned: which probes the pool may hold; by default all retained ones. wanted: number of copies -> classes
    of the stand-ins to make.
    """
    recorder = _recorder(bench, tail)
    forget = bench.probes.select(np.flatnonzero(bench.forgotten))
    retain = bench.probes.select(np.flatnonzero(~bench.forgotten if pinned is None else pinned))
    first = recorder(forget)
    size = sum(value.nbytes for value in first.values()) / len(forget)
    room = int(_MEMORY / (size * 2 * (len(forget) + len(retain))))
    images, sequences = (any(map(kind, bench.probes.feeds.values())) for kind in (is_image, is_sequence))
    copies = max(1, min(variants, room)) if images or sequences else 1
    forgets = [first, *(recorder(_moved(forget, rng)) for _ in range(2 * copies - 1 if images else 0))]
    copy = _moved if images else _spliced
    retains = [recorder(copy(retain, rng) if i else retain) for i in range(copies)]
    kept: Feeds = {name: np.concatenate([part[name] for part in retains]) for name in tail.boundary}
    assert forget.y is not None
    assert retain.y is not None
    asked = wanted(copies)
    if not all(value.dtype.kind == "f" for value in kept.values()):
        return Boundary(forgets, kept, copies, retain.y, asked[:0])
    if len(asked):
        seen = {n: np.concatenate([*(part[n] for part in forgets), value]) for n, value in kept.items()}
        labels = np.concatenate([np.tile(forget.y, len(forgets)), np.tile(retain.y, copies)])
        found = stand_ins(bench, tail, seen, labels, asked, rng)
        kept, asked = _joined(kept, found.feeds), found.labels
    return Boundary(forgets, _joined(kept, _mixtures(kept, rng)), copies, retain.y, asked)


def _joined(first: Feeds, second: Feeds) -> Feeds:
    return {name: np.concatenate([value, second[name]]) for name, value in first.items()}


def _moved(probes: Probes, rng: np.random.Generator) -> Probes:
    feeds = {n: moved(v, rng) if is_image(v) else v for n, v in probes.feeds.items()}
    return Probes(feeds, probes.y, probes.source)


def _spliced(probes: Probes, rng: np.random.Generator) -> Probes:
    assert probes.y is not None
    return Probes(spliced(probes.feeds, probes.y, rng), probes.y, probes.source)


def _mixtures(feeds: Mapping[str, np.ndarray], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """As many samples, each somewhere between two."""
    count = count_of(feeds)
    a, b = rng.integers(count, size=(2, count))
    share = rng.random(count, np.float32)
    result = {}
    for name, value in feeds.items():
        part = share.reshape(-1, *[1] * (value.ndim - 1)).astype(value.dtype)
        result[name] = part * value[a] + (1 - part) * value[b]
    return result


def _recorder(bench: Workbench, tail: Tail) -> Callable[[Probes], dict[str, np.ndarray]]:
    """Probes -> the boundary, laid out as the tail wants it."""
    fed = {i.name for i in bench.model.inputs}
    inner = [name for name in tail.boundary if name not in fed]
    session = bench.engine.session(expose(bench.model, inner), bench.model.folder) if inner else None
    size = bench.model.batch_size or bench.batch_size

    def run(probes: Probes) -> dict[str, np.ndarray]:
        if not len(probes):  # nothing, in the shape that something would have
            return {n: value[:0] for n, value in run(bench.probes.select([0])).items()}
        parts = []
        for batch in batches(probes.feeds, size, pad=bench.model.batch_size is not None):
            values = {n: batch.feeds[n] for n in tail.boundary if n in fed}
            if session is not None:
                values |= session.run(batch.feeds)
            for name, value in values.items():
                if len(value) != count_of(batch.feeds):
                    raise UnsupportedError(
                        f"tensor {name!r} does not have its samples on the first axis; use --method lra-npp"
                    )
            parts.append({name: value[: batch.count] for name, value in values.items()})
        return {name: np.concatenate([part[name] for part in parts]) for name in tail.boundary}

    return run
