"""Train a frozen model further, on gradients taken from its own graph."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from onnxunlearn.adam import Adam
from onnxunlearn.edits import Edits
from onnxunlearn.engines import Session
from onnxunlearn.engines.batching import run_batched
from onnxunlearn.engines.multiplications import multiplications_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import ClassRows, Layer, Model, class_rows, find_layers
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.judge.running import session_of
from onnxunlearn.judge.subject import Subject
from onnxunlearn.numerics import hidden, softmax
from onnxunlearn.probes import Probes
from onnxunlearn.reverse import Differentiator, Passes, Weights, block_start, own_layers

Key = tuple[str, int]
#: which weights are trained further
Scope = Literal["everything", "the last block", "the head"]
#: layers that the last block has at least, the head not counted: as many as `erase` edits
_BLOCK = 2


@dataclass(eq=False)
class Learner:
    """network: the model as a function of its weights. front: makes what its first layers read. adam: the
    weights, by layer and whether they are a bias, in `units` where there are such. aside: classes that the
    loss leaves aside, as if the model had no such outputs. units: each weight's size at the start."""

    network: Passes
    front: Session | None
    logits: str
    adam: Adam[Key]
    rate: float
    baked: int | None
    aside: tuple[int, ...] = ()
    units: Mapping[Key, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        subject: Subject,
        forget: Sequence[int],
        rate: float,
        scope: Scope = "everything",
        aside: Sequence[int] = (),
        relative: bool = False,
    ) -> "Learner":
        """All weights in the scope that no two layers share; the head's rows of the classes to forget become
        the mean of the others', those that are turned off left out. relative: each weight's steps are shares
        of its own size, so that all goes alike in a model whose neurons are longer and read as much less.
        Raises UnsupportedError where a gradient is not covered."""
        model = subject.logits.within(subject.lowered)
        top = subject.logits.tensor
        layers = own_layers(model, find_layers(model, EVERY_KIND), top)
        if not layers:
            raise UnsupportedError("no layer on the way to the logits has a stored weight of its own")
        rows = class_rows(model, subject.logits, layers)
        layers = within(model, layers, rows.layers, top, scope)
        weights = _without_rows(subject, layers, rows, forget)
        tail = tail_of(model, layers, [top], shape_arithmetic(model))
        network = Passes(Differentiator(tail, [top], subject.engine), model.batch_size)
        inputs = {i.name for i in model.inputs}
        made = [name for name in tail.boundary if name not in inputs]
        front = session_of(model, made, subject.engine) if made else None
        units = {key: np.abs(values).astype(np.float32) for key, values in weights.items() if relative}
        begun = {key: np.sign(values) if relative else values for key, values in weights.items()}
        adam = Adam(begun, dict.fromkeys(weights, 1.0))
        return cls(network, front, top, adam, rate, model.batch_size, tuple(aside), units)

    def steps(
        self, probes: Probes, size: int, rng: np.random.Generator, stops: Sequence[int]
    ) -> Iterator[int]:
        """Step by step on batches of so many samples, drawn anew in every round; halts after each of
        `stops`."""
        assert probes.y is not None
        size = min(size, len(probes))
        order = np.zeros(0, int)
        for step in range(1, max(stops) + 1):
            if len(order) < size:
                order = np.concatenate([order, rng.permutation(len(probes))])
            batch, order = order[:size], order[size:]
            self._step(probes.select(batch))
            if step in stops:
                yield step

    def predict(self, probes: Probes, size: int) -> np.ndarray | None:
        """The class with the largest logit, int [N]; None where one is no number."""
        found = []
        for start in range(0, len(probes), size):
            some = probes.select(np.arange(start, min(start + size, len(probes))))
            said = self.network.values(self._boundary(some), self._weights)[self.logits]
            scores = said.reshape(len(said), -1)
            if not np.isfinite(scores).all():
                return None
            found.append(scores.argmax(axis=1))
        return np.concatenate(found)

    def _step(self, probes: Probes) -> None:
        assert probes.y is not None
        forward = self.network.forward(self._boundary(probes), self._weights)
        said = forward.values[self.logits]
        signal = softmax(hidden(said.reshape(len(said), -1), self.aside))
        signal[np.arange(len(said)), probes.y] -= 1
        signals = {self.logits: (signal / len(probes)).astype(np.float32).reshape(said.shape)}
        found = self.network.backward(forward, signals)
        gradients = {(n, i): g for n, pair in found.items() for i, g in enumerate(pair) if g is not None}
        with np.errstate(over="ignore", invalid="ignore"):  # of features times 1e20; `predict` sees it
            if self.units:
                gradients = {
                    key: g.reshape(self.units[key].shape) * self.units[key] for key, g in gradients.items()
                }
            self.adam.step(gradients, self.rate)

    @property
    def _weights(self) -> Weights:
        values, layers = self.adam.values, self.network.network.tail.layers
        values = {key: self.units[key] * share for key, share in values.items()} if self.units else values
        return {layer.name: (values[layer.name, 0], values.get((layer.name, 1))) for layer in layers}

    def _boundary(self, probes: Probes) -> dict[str, np.ndarray]:
        """What enters the first layers."""
        feeds = {name: values[:] for name, values in probes.feeds.items()}
        names = self.network.network.tail.boundary
        made = [name for name in names if name not in feeds]
        known = run_batched(self.front, feeds, made, len(probes), baked=self.baked) if self.front else {}
        return {name: (known if name in known else feeds)[name] for name in names}


def multiply_adds(subject: Subject, probes: Probes) -> int:
    """How many one forward pass of one sample takes in its matrix products."""
    model = subject.lowered
    layers = [layer for layer in find_layers(model) if layer.output in model.activations]
    return multiplications_of(model, layers, subject.engine, probes.select([0]).feeds)


def within(
    model: Model, layers: Sequence[Layer], heads: Collection[Layer], logits: str, scope: Scope
) -> list[Layer]:
    """Those of the layers that are trained. heads: those that make the logits. The last block lies behind the
    last tensor through which all goes that has two layers behind it besides the head."""
    if scope == "the head":
        return [layer for layer in layers if layer in heads]
    body = sorted(layer.node.index for layer in layers if layer not in heads)
    if scope == "everything" or len(body) < _BLOCK:
        return list(layers)
    start = block_start(model, logits, body[-_BLOCK:])
    return [layer for layer in layers if layer.node.index >= start]


def _without_rows(
    subject: Subject, layers: Sequence[Layer], rows: ClassRows, forget: Sequence[int]
) -> dict[Key, np.ndarray]:
    """The weights to start from."""
    edits = Edits(subject.logits.within(subject.lowered))
    found: dict[Key, np.ndarray] = {}
    for layer in layers:
        found[layer.name, 0] = edits.weight(layer)
        bias = edits.bias(layer)
        if bias is not None:
            found[layer.name, 1] = bias
    off = {*forget, *rows.turned_off([edits.bias(head) for head in rows.layers])}
    for k, head in enumerate(rows.layers):
        own = [int(rows.index[k, c]) for c in forget if rows.scale[k, c]]
        others = [int(r) for c, r in enumerate(rows.index[k]) if c not in off and rows.scale[k, c]]
        for i in range(2):
            if (head.name, i) in found and own and others:
                values = found[head.name, i].copy()
                values[own] = values[others].mean(axis=0)
                found[head.name, i] = values
    return found
