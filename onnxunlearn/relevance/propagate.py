"""Relevance of data: record activations, run the relevance graph, batch by batch."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import (
    Batch,
    Feeds,
    batch_size,
    batches,
    sample_axes,
    without_padding,
)
from onnxunlearn.engines.tensor import Tensor, array_of, typed
from onnxunlearn.graph import Logits, Model, expose
from onnxunlearn.lowering import lower
from onnxunlearn.relevance import starts
from onnxunlearn.relevance.compile import (
    START,
    RelevanceGraph,
    compile_relevance,
    linear_weights,
)
from onnxunlearn.relevance.composites import Composite
from onnxunlearn.relevance.patterns import Patterns, estimate_patterns
from onnxunlearn.relevance.starts import Start
from onnxunlearn.reverse import path_between
from onnxunlearn.reverse.measure import Measure, Shapes
from onnxunlearn.reverse.recognise import recognise
from onnxunlearn.reverse.settle import settle


@dataclass(frozen=True)
class RelevanceBatch:
    """start, count: which samples. logits: [count, classes]. relevance: by tensor, shaped as it is."""

    start: int
    count: int
    logits: np.ndarray
    relevance: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class _Seen:
    """model: what is run. view: what is compiled, see `recognise`."""

    model: Model
    view: Model


@dataclass(frozen=True, eq=False)
class _Prepared:
    """model: what is recorded on. recorded: what for."""

    graph: RelevanceGraph
    model: Model
    recorded: tuple[str, ...]


class Propagator:
    """Computes relevances of one model, for one composite and set of tensors.

    With a composite of pattern rules call `estimate_patterns` first. dtype: of the relevance graph; float64
    needs the numpy or torch engine. The graph is compiled for the shapes that arrive, once for each shape.
    """

    def __init__(
        self,
        model: Model,
        logits: Logits,
        engine: Engine,
        composite: Composite,
        tensors: Sequence[str],
        dtype: np.dtype[Any] | type = np.float32,
    ) -> None:
        # What is recorded and what is compiled are the same: fused and quantised nodes as plain float ops.
        model = logits.within(lower(model))
        self.model, self.logits, self.engine, self.composite = model, logits, engine, composite
        self.tensors = tuple(dict.fromkeys(tensors))
        self.dtype = np.dtype(dtype)
        self.patterns: Patterns | None = None
        self._prepared: dict[tuple[tuple[int, ...], ...], _Prepared] = {}
        self._whole = _Seen(model, recognise(model, keep=self.tensors))
        self._settled: dict[tuple[tuple[int, ...], ...], _Seen] = {}
        self._measures: dict[Model, Measure] = {}
        self._axes: dict[tuple[tuple[int, ...], ...], dict[str, int | None]] = {}

    def run(
        self, feeds: Feeds, targets: np.ndarray, size: int, start: Start = starts.logit
    ) -> Iterator[RelevanceBatch]:
        """Relevance of every sample, in batches of `size`.

        targets: int [N], the class whose logit is shared out, or what `start` makes of it; or a whole start,
        float [N, classes].
        """
        for batch in batches(feeds, batch_size(feeds, size, self.model.batch_size)):
            prepared = self._prepare(batch.feeds)
            recorded = self._recorded(prepared, batch)
            scores = array_of(recorded[self.logits.tensor])
            flat = self._flat(scores)
            # The last batch may be padded; what the padding is asked for does not matter.
            wanted = targets[batch.start : batch.start + batch.count]
            wanted = np.resize(wanted, (len(scores), *targets.shape[1:]))
            recorded[START] = (wanted if wanted.ndim > 1 else start(flat, wanted)).reshape(scores.shape)
            records = {n: typed(recorded[n], self.dtype) for n in prepared.graph.records}
            values = self._propagating(prepared).run({**records, **prepared.graph.fed})
            yield RelevanceBatch(
                batch.start,
                batch.count,
                flat[: batch.count],
                self._without_padding({name: values[f"R:{name}"] for name in self.tensors}, batch),
            )

    def scores(self, feeds: Feeds, size: int) -> Iterator[np.ndarray]:
        """The logits that `run` tells, [count, classes], in the same batches, without the way back."""
        for batch in batches(feeds, batch_size(feeds, size, self.model.batch_size)):
            recorded = self._recorded(self._prepare(batch.feeds), batch)
            yield self._flat(array_of(recorded[self.logits.tensor]))[: batch.count]

    def _recorded(self, prepared: _Prepared, batch: Batch) -> dict[str, np.ndarray | Tensor]:
        """What is fed, and what the way back reads."""
        fed: dict[str, np.ndarray | Tensor] = {n: self.engine.tensor(v) for n, v in batch.feeds.items()}
        return fed | self._recording(prepared).compute(fed)

    def _flat(self, scores: np.ndarray) -> np.ndarray:
        return scores.reshape(len(scores), -1).astype(self.dtype, copy=False)

    def _recording(self, prepared: _Prepared) -> Session:
        def make() -> Session:
            return self.engine.session(expose(prepared.model, prepared.recorded), self.model.folder)

        return self.engine.sessions.get((prepared.model, *prepared.recorded), make)

    def _propagating(self, prepared: _Prepared) -> Session:
        make = partial(self.engine.session, prepared.graph.model)
        return self.engine.sessions.get(prepared, make)

    def compiled(self, feeds: Feeds) -> RelevanceGraph:
        """The relevance graph for a batch of these shapes, with the rules that it uses."""
        return self._prepare(feeds).graph

    def view(self, feeds: Feeds) -> Model:
        """The model as relevance sees it for a batch of these shapes: plain float ops, exporters' chains as
        the single nodes they are, nothing left to decide. It is compiled, not run."""
        return self._seen(feeds).view

    def estimate_patterns(self, feeds: Feeds, size: int) -> None:
        """Estimate the patterns of all linear nodes on the way from these probes."""
        size = batch_size(feeds, size, self.model.batch_size)
        first = next(batches(feeds, size)).feeds
        seen = self._seen(first)
        shapes, computed = self._shapes(seen, first)
        arguments = seen.view, self.logits.tensor, shapes, self.composite, self.tensors, computed
        weights = linear_weights(*arguments)
        self.patterns = estimate_patterns(seen.view, seen.model, self.engine, weights, feeds, size)
        self._prepared.clear()

    def _prepare(self, feeds: Feeds) -> _Prepared:
        key = tuple(array.shape for array in feeds.values())
        if key not in self._prepared:
            seen = self._seen(feeds)
            shapes, computed = self._shapes(seen, feeds)
            graph = compile_relevance(
                seen.view,
                self.logits.tensor,
                shapes,
                self.composite,
                self.tensors,
                self.dtype,
                computed,
                self.patterns,
            )
            inputs = {i.name for i in self.model.inputs}
            exposed = [n for n in (*graph.records, self.logits.tensor) if n not in inputs | {START}]
            self._prepared[key] = _Prepared(graph, seen.model, tuple(exposed))
        return self._prepared[key]

    def sample_axes(self, feeds: Feeds) -> dict[str, int | None]:
        """Which axis of each tensor counts samples, None where none does."""

        def shapes(few: Feeds) -> dict[str, tuple[int, ...]]:
            known, _ = self._shapes(self._seen(few), few)
            return {name: known[name] for name in self.tensors}

        key = tuple(array.shape for array in feeds.values())
        if key not in self._axes:  # to ask runs the model
            self._axes[key] = sample_axes(shapes, feeds, self.model.batch_size)
        return self._axes[key]

    def _without_padding(self, relevance: dict[str, np.ndarray], batch: Batch) -> dict[str, np.ndarray]:
        size = len(next(iter(batch.feeds.values())))
        if batch.count == size:
            return relevance
        axes = self.sample_axes(batch.feeds)
        return {n: without_padding(r, axes[n], size, batch.count) for n, r in relevance.items()}

    def _seen(self, feeds: Feeds) -> _Seen:
        """The model as it runs on feeds of these shapes."""
        key = tuple(array.shape for array in feeds.values())
        if key not in self._settled:
            settled = settle(self.model, feeds, self.engine)
            same = settled is self.model
            self._settled[key] = (
                self._whole if same else _Seen(settled, recognise(settled, keep=self.tensors))
            )
        return self._settled[key]

    def _shapes(self, seen: _Seen, feeds: Feeds) -> tuple[Shapes, Mapping[str, np.ndarray]]:
        """Of all activations between the tensors and the logits, and what is computed of shapes."""
        model = seen.model
        if model not in self._measures:
            path = path_between(seen.view, self.tensors, self.logits.tensor)
            names = {n for node in path for n in (*node.inputs, *node.outputs)}
            names |= {self.logits.tensor, *self.tensors}
            self._measures[model] = Measure(model, names & model.activations, self.engine)
        return self._measures[model](feeds)
