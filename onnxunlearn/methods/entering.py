"""What enters the end of a model: recorded once for probes, so that an edit is tried on the end alone."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import Feeds, batch_size, batches, count_of, sample_axes, samples_first
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model, expose
from onnxunlearn.graph.tail import downstream, tail_after
from onnxunlearn.probes import Shelved
from onnxunlearn.streams import Spill

#: (tensor, values of some samples, [n, ...]) -> what is kept of them, [n, ...]
Reduce = Callable[[str, np.ndarray], np.ndarray]

#: bytes of tensors that are looked at, and not kept, at once; and of what is kept of one of them in memory
_BYTES, _IN_MEMORY = 1 << 25, 1 << 23


def as_it_is(tensor: str, values: np.ndarray) -> np.ndarray:
    """All of it."""
    return values


@dataclass(frozen=True)
class Entered:
    """boundary: tensor -> its values for all samples, [N, ...], as the graph has them. beside: other tensors'
    reduced values. Both shelved where they are large."""

    boundary: Feeds = field(repr=False)
    beside: Feeds = field(repr=False)


class Recorder:
    """Samples -> what enters the end of a model, and in the same run perhaps more.

    boundary: tensors, see `graph.tail`. beside: further ones, of which only what `reduce` makes of their
    float32 values is kept, samples first.
    """

    def __init__(
        self,
        model: Model,
        engine: Engine,
        size: int,
        boundary: Sequence[str],
        beside: Sequence[str] = (),
        reduce: Reduce = as_it_is,
    ) -> None:
        self._model, self._engine, self._size = model, engine, size
        self._boundary, self._beside, self._reduce = tuple(boundary), tuple(beside), reduce
        given = {i.name for i in model.inputs}
        self._inner = [n for n in dict.fromkeys((*boundary, *beside)) if n not in given]
        self._largest = 1  # bytes of one sample's tensors

    def __call__(self, feeds: Feeds) -> Entered:
        """Raises UnsupportedError where a tensor of the boundary has its samples on another axis, or is a
        sequence."""
        total, baked = count_of(feeds), self._model.batch_size
        size = batch_size(feeds, self._size, baked)
        axes: dict[str, int | None] = {}
        if self._beside:
            axes = sample_axes(self._shapes, feeds, baked)
            size = baked or max(1, min(size, _BYTES // max(self._largest, 1)))
        found: dict[str, Spill] = {}
        beside: dict[str, Spill] = {}
        for batch in batches(feeds, size):
            values = {**batch.feeds, **self._run(batch.feeds)}
            for name in self._boundary:
                value = values[name]
                if len(value) != size:
                    raise UnsupportedError(
                        f"tensor {name!r} does not have its samples on the first axis; use --method lra-npp"
                    )
                _add(found, name, value[: batch.count], total)
            for name in self._beside:
                rows = samples_first(values[name], axes.get(name, 0), size)[: batch.count]
                _add(beside, name, self._reduce(name, rows.astype(np.float32, copy=False)), total)
        return Entered(*({name: kept.whole() for name, kept in part.items()} for part in (found, beside)))

    def _run(self, feeds: Feeds) -> dict[str, np.ndarray]:
        made = self._session.run(feeds) if self._inner else {}
        for name, value in made.items():
            if not isinstance(value, np.ndarray):  # as what a Loop over bags of embeddings gathers
                raise UnsupportedError(f"tensor {name!r} is a sequence, not a tensor; use --method lra-npp")
        return made

    @cached_property
    def _session(self) -> Session:
        """Of this recorder alone: it holds all weights, and room for what is made of a batch."""
        return self._engine.session(expose(self._model, self._inner), self._model.folder)

    def _shapes(self, feeds: Feeds) -> dict[str, tuple[int, ...]]:
        made = self._run(feeds)
        self._largest = sum(value.nbytes for value in made.values()) // count_of(feeds)
        values = {**feeds, **made}
        return {name: values[name].shape for name in self._beside}


def _add(kept: dict[str, Spill], name: str, part: np.ndarray, total: int) -> None:
    """total: how many samples there will be."""
    if name not in kept:
        kept[name] = Spill(part.nbytes // len(part) * total > _IN_MEMORY, Shelved)
    kept[name].add(part)


def end_of(
    model: Model, engine: Engine, outputs: Sequence[str], fed: Collection[str], known: Feeds, inputs: Feeds
) -> tuple[Session, Feeds] | None:
    """The end of a model, from what is known to `outputs`, and what enters it; None where an edit of the fed
    tensors would change what is known.

    fed: stored tensors that the session takes. known: recorded tensors. inputs: the model's.
    """
    if downstream(model, fed) & set(known):
        return None
    tail = tail_after(model, known, outputs)
    feeds = {n: known[n] if n in known else inputs[n] for n in tail.boundary}

    def make() -> Session:
        return engine.session(expose(tail.alone(feeds), outputs, fed=sorted(fed)), model.folder)

    return engine.sessions.get((model, "end", *outputs, "", *tail.boundary, "", *sorted(fed)), make), feeds
