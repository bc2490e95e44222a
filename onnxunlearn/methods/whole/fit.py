"""The descent: layers, what enters them, steps of Adam on a few images at a time."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, count_of
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Logits, Model, find_head, find_layers
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import PRODUCTS
from onnxunlearn.graph.places import Part
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.entering import Recorder
from onnxunlearn.methods.erase.descent import Course, Fitted, Loss, Step, descend, stored_weights, write
from onnxunlearn.methods.kept import JOINED, joined
from onnxunlearn.methods.whole.beside import Beside
from onnxunlearn.methods.whole.first_seen import first_seen
from onnxunlearn.methods.whole.heads import FORGET, HeadLoss, HeadMap, things
from onnxunlearn.methods.whole.resistance import Resistance
from onnxunlearn.methods.whole.spots import Spots
from onnxunlearn.methods.whole.unfelt import Unfelt, roots_in_images
from onnxunlearn.methods.whole.work import affordable, multiplications
from onnxunlearn.reverse import own_layers
from onnxunlearn.reverse.bottlenecks import block_start
from onnxunlearn.reverse.differentiate import Differentiator, Weights
from onnxunlearn.reverse.passes import Passes

#: images that are looked at in one go before the first step
_AT_ONCE = 16
#: layers that change at least, where there are as many
_LAYERS = 4
#: of queries: images whose inputs of layers tell what others feel, and share of the steps over which the
#: rate rises
_FELT, _RISING = 96, 0.1
Values = Mapping[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Whole:
    """model: in plain float ops. forget: classes, as columns. heads: where it says what. boxes, objectness:
    what it says besides, of a box `sides` numbers. there: where there is something, bool [N, places], in the
    order of the boxes. feeds: the images. beta: how much the distance counts; kappa: the retained classes'
    probabilities; gamma: boxes. images: that show the class, in a step; fewer: so many times as many as of
    others, as these are pinned in both. rate: the first step, as a share of a weight's own size. resist: how
    much it counts what fine-tuning would bring back; 0: it is not asked. queries: whether places are queries,
    which look at all of an image: all layers before the heads change then, by steps that others hardly feel,
    and the class is drawn where it is seen first, too."""

    model: Model
    engine: Engine
    forget: tuple[int, ...]
    heads: tuple[HeadMap, ...]
    boxes: tuple[Part, ...]
    objectness: tuple[Part, ...]
    there: np.ndarray
    feeds: Feeds = field(repr=False)
    seed: int = 0
    beta: float = 4.0
    kappa: float = 3.0
    gamma: float = 8.0
    steps: int = 900
    images: int = 16
    fewer: int = 3
    sides: int = 4
    rate: float = 0.1
    resist: float = 0.0
    queries: bool = False
    slices: int = 64
    progress: Callable[[str], None] = lambda _: None

    def edits(self) -> tuple[Edits, list[Layer], dict[str, Any]]:
        """The edits, the layers that they are of, and for reports names and settings.

        Raises UnsupportedError where nothing but heads could change, and for ops without a gradient.
        """
        readers = {told.scores: find_head(self.model, self._logits(told)) for told in self.heads}
        layers = self._layers(readers)
        descent = _Descent.of(self, readers, layers)
        taken = descent.whole
        how = {name: getattr(taken, name) for name in ("steps", "images", "beta", "resist")}
        return descent.run(), layers, {"layers": [layer.name for layer in layers], **how}

    @property
    def in_full(self) -> bool:
        """Whether all steps, of images as many as they may have, are no more work than it may be. Raises as
        `edits`."""
        layers = self._layers({told.scores: find_head(self.model, self._logits(told)) for told in self.heads})
        some = {n: v[: self.model.batch_size or 2] for n, v in self.feeds.items()}
        made = Recorder(self.model, self.engine, 2, (), [la.output for la in layers])(some).beside
        wanted = self.steps, self.images
        return affordable(multiplications(layers, made), *wanted, self.fewer) == wanted

    def _logits(self, told: HeadMap) -> Logits:
        return Logits(told.scores, told.scores, sum(map(len, told.ways)), None)

    def _layers(self, readers: Mapping[str, Layer]) -> list[Layer]:
        """All before the heads, or those behind the last tensor that all of them read, at least _LAYERS."""
        products = [layer for layer in find_layers(self.model) if layer.kind in PRODUCTS]
        heads = {layer.key for layer in readers.values()}
        keys = {la.key for t in readers for la in own_layers(self.model, products, t)} - heads
        found = [layer for layer in products if layer.key in keys]
        if not found:
            raise UnsupportedError("no layer before the heads has a stored weight of its own")
        if self.queries:
            return found
        first, *others = self.heads
        together = joined(self.model, self._logits(first), [told.scores for told in others])
        last = sorted(layer.node.index for layer in found)[-_LAYERS:]
        start = block_start(together, JOINED, last)
        return [layer for layer in found if layer.node.index >= start]


@dataclass(eq=False)
class _Descent:
    """sizes: numbers that each tensor of what is said has, by name, in the order in which they are joined.
    early: the loss where queries see the class first, None where that is not asked."""

    whole: Whole
    layers: list[Layer]
    start: Weights
    passes: Passes
    entered: Feeds
    shapes: Mapping[str, tuple[int, ...]]
    rng: np.random.Generator
    heads: list[HeadLoss] = field(default_factory=list)
    beside: list[Beside] = field(default_factory=list)
    early: HeadLoss | None = None
    resistance: Resistance | None = None

    @classmethod
    def of(cls, whole: Whole, readers: Mapping[str, Layer], layers: list[Layer]) -> "_Descent":
        """Record what the loss needs of the original."""
        said = list(dict.fromkeys([*readers, *(p.tensor for p in (*whole.boxes, *whole.objectness))]))
        first = whole._logits(whole.heads[0])
        model = joined(whole.model, first, [name for name in said if name != first.tensor])
        some = {n: v[: max(whole.model.batch_size or 2, 2)] for n, v in whole.feeds.items()}
        own = Recorder(model, whole.engine, 2, (), [*said, *(la.output for la in layers)])(some).beside
        early = None
        if whole.queries and len(whole.heads) == 1:
            early = first_seen(layers, own, whole.heads[0].labels.shape[1])
        read = list(dict.fromkeys([*(la.input for la in readers.values()), *([early] if early else [])]))
        tail = tail_of(model, layers, [JOINED, *read], shape_arithmetic(model))
        passes = Passes(Differentiator(tail, [JOINED, *read], whole.engine), whole.model.batch_size)
        each = multiplications(layers, own)
        steps, images = affordable(each, whole.steps, whole.images, whole.fewer)
        whole = replace(whole, steps=steps, images=images)
        recorded = Recorder(model, whole.engine, _AT_ONCE, tail.boundary)(whole.feeds).boundary
        entered = {name: values[:] for name, values in recorded.items()}  # some are drawn in each step
        start = stored_weights(Edits(whole.model), layers)
        shapes = {name: own[name].shape[1:] for name in said}
        made = cls(whole, layers, start, passes, entered, shapes, np.random.default_rng(whole.seed))
        made._look(readers, early)
        return made

    def _look(self, readers: Mapping[str, Layer], early: str | None) -> None:
        """What the original reads and says at the places of things. early: see `first_seen`."""
        whole, total, edits = self.whole, count_of(self.entered), Edits(self.whole.model)
        read: list[tuple[HeadMap, Spots, np.ndarray | None]] = []
        for told in whole.heads:
            reader = readers[told.scores]
            read.append((told, Spots.of(reader), edits.weight(reader)))
        read += [(told, Spots(early, None), None) for told in whole.heads if early is not None]
        rows: list[list[np.ndarray]] = [[] for _ in read]
        near: list[list[np.ndarray]] = [[] for _ in read]
        some: dict[str, np.ndarray] = {}
        for begin in range(0, total, _AT_ONCE):
            chosen = np.arange(begin, min(begin + _AT_ONCE, total))
            values = self._values(chosen)
            some = some or dict(values)
            for (told, spots, _), read_there, next_best in zip(read, rows, near, strict=True):
                image, place = things(told)
                here = (image >= begin) & (image < begin + len(chosen))
                read_there.append(spots.rows(values[spots.tensor], (image[here] - begin, place[here])))
                next_best.append(told.next_best(values[told.scores], whole.forget))
        for (told, spots, weight), *seen in zip(read, rows, near, strict=True):
            there, best = (np.concatenate(each) for each in seen)
            how = there, best, whole.slices, self.rng
            self.heads.append(HeadLoss.of(told, spots, weight, whole.forget, *how))
        if early is not None:
            self.early = self.heads.pop()
        every = np.flatnonzero(self._showing)
        if whole.resist and len(every):
            self.resistance = Resistance(self.heads, self.passes, self.entered, every, whole.resist, self.rng)
        if whole.boxes:
            self.beside.append(Beside.of(whole.boxes, whole.sides, whole.there, some))
        if whole.objectness:
            everywhere = np.ones_like(whole.there)
            self.beside.append(Beside.of(whole.objectness, 1, everywhere, some))

    def run(self) -> Edits:
        """The edits that the descent ends at."""
        edits, whole = Edits(self.whole.model), self.whole
        fitted = (
            self._of_queries() if whole.queries else self._descended(self, Course(whole.steps, whole.rate))
        )
        for layer in self.layers:
            write(edits, layer, *fitted[layer.name])
        return edits

    def _of_queries(self) -> Fitted:
        """By steps that others hardly feel."""
        whole = self.whole
        some = {name: values[:_FELT] for name, values in whole.feeds.items()}
        roots = roots_in_images(whole.model, whole.engine, self.layers, some)
        unfelt = Unfelt(self, self.start, roots)
        rising = math.ceil(_RISING * whole.steps)
        return unfelt.weights(self._descended(unfelt, Course(whole.steps, whole.rate, rising)))

    def _descended(self, loss: Loss, course: Course) -> Fitted:
        return descend(loss, Edits(self.whole.model), tuple(self.layers), course, None, guarded=True)[0]

    def begin(self) -> None:
        """Nothing is kept of earlier steps."""
        for head in (*self.heads, *([self.early] if self.early else [])):
            head.begin()
        if self.resistance is not None:
            self.resistance.begin()

    def follow(self, step: Step, said: str) -> None:
        self.whole.progress(f"erase: {said}, distance {step.distance:.3f}")

    def loss_and_gradients(self, weights: Weights) -> Step:
        """Of images drawn anew."""
        whole, chosen = self.whole, self._drawn()
        before = self._values(chosen)
        forward = self.passes.forward({n: v[chosen] for n, v in self.entered.items()}, weights)
        values = self._parted(forward.values)
        signals = {name: np.zeros_like(value) for name, value in values.items()}
        pins, left = 0.0, []
        for head in self.heads:
            scores, read = head.told.scores, head.spots.tensor
            found = head(
                chosen, values[read], values[scores], before[read], before[scores], whole.beta, whole.kappa
            )
            signals[read] += found.at_features
            signals[scores] += found.at_scores
            pins += found.pins
            left.append(found.distance)
        if self.early is not None:
            read = self.early.spots.tensor
            seen = self.early.drawn(chosen, values[read], before[read], whole.beta)
            signals[read] += seen.at_features
            pins += seen.pins
            left.append(seen.distance)
        for beside in self.beside:
            pins += beside(chosen, values, before, whole.gamma, signals)
        rows = [signals[name].reshape(len(chosen), -1) for name in self.shapes]
        own = {JOINED: np.concatenate(rows, axis=1)}
        own |= {name: signals[name] for name in self.passes.network.targets if name != JOINED}
        gradients = self.passes.backward(forward, own)
        if self.resistance is not None:
            gradients = self.resistance.joined(gradients, weights)
        return Step(pins + whole.beta * sum(left), float(np.mean(left)), gradients)

    def _drawn(self) -> np.ndarray:
        """Images of a step: some that show the class, and fewer others, if there are any."""
        showing = self._showing
        found, size, others = [], self.whole.images, -(-self.whole.images // self.whole.fewer)
        for side, count in ((np.flatnonzero(showing), size), (np.flatnonzero(~showing), others)):
            if len(side):
                found.append(self.rng.choice(side, count, replace=len(side) < count))
        return np.concatenate(found)

    @cached_property
    def _showing(self) -> np.ndarray:
        """Which images show the class, bool [N]."""
        return np.any([(told.labels == FORGET).any(axis=1) for told in self.whole.heads], axis=0)

    def _values(self, chosen: np.ndarray) -> Values:
        """What the original reads and says in these images."""
        return self._parted(self.passes.values({n: v[chosen] for n, v in self.entered.items()}, self.start))

    def _parted(self, values: Values) -> Values:
        """What is joined, by tensor; and what the heads read."""
        found, begin = {n: v for n, v in values.items() if n != JOINED}, 0
        for name, shape in self.shapes.items():
            end = begin + int(np.prod(shape))
            found[name] = values[JOINED][:, begin:end].reshape(-1, *shape)
            begin = end
        return found
