"""Run the end of a model with weights of one's choice, and take gradients with respect to them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import onnx

from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.engines.tensor import Tensor, Values, typed
from onnxunlearn.graph import Layer, expose
from onnxunlearn.graph.tail import BIAS, WEIGHT, Tail
from onnxunlearn.reverse.measure import Measure
from onnxunlearn.reverse.recognise import recognise
from onnxunlearn.reverse.walk import ReverseGraph, path_between
from onnxunlearn.reverse.weight_gradients import SIGNAL, compile_gradients

#: layer name -> (weight in canonical layout, bias [outputs] or None)
Weights = Mapping[str, tuple[np.ndarray, np.ndarray | None]]
#: layer name -> the gradient of a loss with respect to those
Gradients = dict[str, tuple[np.ndarray, np.ndarray | None]]


@dataclass(frozen=True)
class Recorded:
    """What a run gave. `recorded[name]` is a target as an array. kept: all that the reverse walk reads, where
    the engine has it. nbytes: of what was made."""

    targets: Mapping[str, np.ndarray]
    kept: Values
    nbytes: int = 0

    def __getitem__(self, target: str) -> np.ndarray:
        return self.targets[target]

    def alone(self) -> "Recorded":
        """The targets."""
        return Recorded(self.targets, {})


@dataclass(frozen=True, eq=False)
class _Prepared:
    """forward: gives all that the graph reads, and the targets."""

    graph: ReverseGraph
    forward: onnx.ModelProto


class Differentiator:
    """The tail of a model as a function of its layers' weights.

    targets: tensors of the tail that a loss is made of; the first is reached by all others. Compiled for the
    shapes that arrive, once for each shape.
    """

    def __init__(self, tail: Tail, targets: Sequence[str], engine: Engine) -> None:
        self.tail, self.targets, self.engine = tail, tuple(targets), engine
        self.view = recognise(tail.model, keep=targets, apart=_made_by(tail.layers))
        self._prepared: dict[tuple[tuple[int, ...], ...], _Prepared] = {}

    def opened(self, baked: int) -> "Differentiator":
        """The same for any number of samples, where `baked` of them are built in; see `Tail`."""
        return Differentiator(replace(self.tail, opened=baked), self.targets, self.engine)

    def values(self, batch: Feeds, weights: Weights) -> dict[str, np.ndarray]:
        """The targets alone, by name. batch: the tail's boundary."""

        def make() -> Session:
            copy = expose(self.tail.as_model(batch), self.targets)
            return self.engine.session(copy, self.tail.model.folder)

        session = self.engine.sessions.get((self, "values"), make)
        return session.run({**batch, **self.tail.feeds(weights)})

    def record(self, batch: Feeds, weights: Weights) -> Recorded:
        """Run a batch for its targets, and for what `gradients` needs."""
        prepared = self._prepare(batch, weights)
        fed = {n: self.engine.tensor(v) for n, v in {**batch, **self.tail.feeds(weights)}.items()}
        make = partial(self.engine.session, prepared.forward, self.tail.model.folder)
        made = self.engine.sessions.get((prepared, "forward"), make).compute(fed)
        size = sum(math.prod(value.shape) * value.dtype.itemsize for value in made.values())
        return Recorded({name: made[name].numpy() for name in self.targets}, {**fed, **made}, size)

    def gradients(self, batch: Feeds, recorded: Recorded, signals: Mapping[str, np.ndarray]) -> Gradients:
        """∂loss/∂(weight, bias) by layer name. signals: ∂loss/∂target, by target, shaped as it is."""
        prepared = self._prepared[_key(batch)]
        known: dict[str, np.ndarray | Tensor] = {
            **recorded.kept,
            **prepared.graph.fed,
            **{SIGNAL + name: value for name, value in signals.items()},
        }
        asked = (*prepared.graph.records, *prepared.graph.fed)
        # Whatever the file computes in, integers or doubles: gradients are float32.
        fed = {n: known[n] if n in prepared.graph.fed else typed(known[n], np.float32) for n in asked}
        make = partial(self.engine.session, prepared.graph.model)
        values = self.engine.sessions.get((prepared, "backward"), make).run(fed)
        found = {}
        for layer in self.tail.layers:
            found[layer.name] = values[f"R:{WEIGHT}{layer.key}"], values.get(f"R:{BIAS}{layer.key}")
        return found

    def _prepare(self, batch: Feeds, weights: Weights) -> _Prepared:
        key = _key(batch)
        if key not in self._prepared:
            model = self.tail.as_model(batch)
            measure = Measure(model, self._activations(), self.engine)
            shapes, computed = measure({**batch, **self.tail.feeds(weights)})
            graph = compile_gradients(self.view, self.targets, self.tail.layers, shapes, computed)
            fed = {i.name for i in model.inputs}
            made = [n for n in graph.records if n not in fed and not n.startswith(SIGNAL)]
            self._prepared[key] = _Prepared(graph, expose(model, [*made, *self.targets]))
        return self._prepared[key]

    def _activations(self) -> set[str]:
        """Those between the layers, their inputs included, and the targets."""
        starts = _made_by(self.tail.layers)
        path = path_between(self.view, starts, self.targets[0])
        own = [self.view.producer[name] for name in starts]
        names = {n for node in (*path, *own) for n in (*node.inputs, *node.outputs)}
        return names & self.view.activations | set(self.targets)


def _made_by(layers: Sequence[Layer]) -> list[str]:
    return list(dict.fromkeys(o for layer in layers for o in layer.node.outputs if o))


def _key(batch: Feeds) -> tuple[tuple[int, ...], ...]:
    return tuple(array.shape for array in batch.values())
