"""Gradients of one of a model's tensors with respect to the model's inputs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Batch, Feeds, batches, count_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Model
from onnxunlearn.judge.running import session_of
from onnxunlearn.reverse import ReverseGraph, Walk, path_between, recognise
from onnxunlearn.reverse.measure import Measure

_SIGNAL = "gradient at the target"
#: samples that go at once where any number may, and bytes of theirs: what lies between takes many times that
_AT_ONCE, _BYTES = 32, 5 << 19

#: the target for some samples, [n, ...], and which samples these are -> ∂loss/∂target
Signal = Callable[[np.ndarray, slice], np.ndarray]


@dataclass(eq=False)
class InputGradients:
    """Compiled for the shapes that arrive, once for each shape. model: in plain float ops."""

    model: Model
    target: str
    engine: Engine
    _graphs: dict[tuple[tuple[int, ...], ...], ReverseGraph] = field(default_factory=dict, init=False)

    def __call__(self, feeds: Feeds, signal: Signal) -> dict[str, np.ndarray]:
        """∂loss/∂input, by name, of the inputs that are floats.

        Raises UnsupportedError where a node on the way is not covered, or none of them is reached."""
        if self.target in feeds:  # the head reads the input itself: no node lies between
            return {self.target: np.asarray(signal(feeds[self.target][:], slice(0, count_of(feeds))))}
        found: dict[str, list[np.ndarray]] = {}
        for batch in self._batches(feeds):
            graph = self._graph(batch)
            known = {**graph.fed, **batch.feeds, **self._recorded(batch, (*graph.records, self.target))}
            known[_SIGNAL] = np.zeros(known[self.target].shape, np.float32)
            which = slice(batch.start, batch.start + batch.count)
            known[_SIGNAL][: batch.count] = signal(known[self.target][: batch.count], which)
            fed = {n: known[n].astype(np.float32, copy=False) for n in graph.records} | dict(graph.fed)
            make = partial(self.engine.session, graph.model)
            values = self.engine.sessions.get((self, _shapes(batch)), make).run(fed)
            for name in graph.tensors:
                found.setdefault(name, []).append(values[f"R:{name}"][: batch.count])
        return {name: np.concatenate(parts) for name, parts in found.items()}

    def _batches(self, feeds: Feeds) -> list[Batch]:
        baked = self.model.batch_size
        each = sum(values[:1].nbytes for values in feeds.values())
        return list(batches(feeds, baked or max(1, min(_AT_ONCE, count_of(feeds), _BYTES // max(each, 1)))))

    def _recorded(self, batch: Batch, names: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Those of the tensors that a node makes."""
        made = [n for n in dict.fromkeys(names) if n in self.model.producer]
        session = self.engine.sessions.get((self, *made), lambda: session_of(self.model, made, self.engine))
        return dict(session.run(batch.feeds))

    def _graph(self, batch: Batch) -> ReverseGraph:
        key = _shapes(batch)
        if key not in self._graphs:
            inputs = [n for n, a in batch.feeds.items() if np.issubdtype(a.dtype, np.floating)]
            view = recognise(self.model, keep=(self.target,))
            path = path_between(view, inputs, self.target)
            names = {n for node in path for n in (*node.inputs, *node.outputs)} & view.activations
            shapes, computed = Measure(self.model, names | {self.target}, self.engine)(batch.feeds)
            walk = Walk(view, self.target, shapes, inputs, {self.target: _SIGNAL}, computed=computed)
            arrived = walk.run()
            results = {n: (arrived[n], shapes[n]) for n in inputs if n in arrived}
            if not results:
                raise UnsupportedError("no input of floats leads to the features")
            self._graphs[key] = walk.graph(results)
        return self._graphs[key]


def _shapes(batch: Batch) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in batch.feeds.values())
