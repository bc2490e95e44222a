"""The descent where class scores alone are made: boxes stay, and places are looked at, not images.

A large detector's heads read features that boxes are made of, too, by dozens of layers, and no few hundred
images pin these. Behind them lie two or three layers a head that make its class scores and nothing else. What
enters them is recorded once, as windows around places (`graph.places.cut_before`): all at which something is
said, all in doubt, and of the background those that come next to it, and some others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Logits, Model, expose, find_head, find_layers
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import PRODUCTS
from onnxunlearn.graph.places import Columns, Cut, cut_before
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.methods.erase.descent import Course, Fitted, descend, stored_weights, write
from onnxunlearn.methods.whole.gathered import End
from onnxunlearn.methods.whole.heads import HeadMap, units
from onnxunlearn.methods.whole.likeness import Likeness
from onnxunlearn.methods.whole.sampled import GROUND, Sampled
from onnxunlearn.methods.whole.unfelt import Unfelt, root_of
from onnxunlearn.reverse import Differentiator, Passes, own_layers

#: places to forget, and of others, of a head that is edited at least
_FEWEST = 10
#: places of a kind that tell what enters a layer, and steps over which the rate rises
_MOMENTS, _RISING = 1000, 30


def branch_layers(model: Model, scores: str, columns: int, apart: frozenset[str]) -> list[Layer]:
    """Those before a head that make its class scores and nothing else. columns: of all its anchors. apart:
    keys of layers that make something else, too. Raises UnsupportedError where there is none."""
    products = [layer for layer in find_layers(model) if layer.kind in PRODUCTS]
    aside = {_head(model, scores, columns).key, *apart}
    found = [layer for layer in own_layers(model, products, scores) if layer.key not in aside]
    if not found:
        raise UnsupportedError(f"{scores!r}: no layer before its head makes class scores alone")
    return found


def head_of(model: Model, told: HeadMap) -> Layer:
    """The layer that makes a head's scores. Raises UnsupportedError where there is none, or several."""
    return _head(model, told.scores, sum(map(len, told.ways)))


def _head(model: Model, scores: str, columns: int) -> Layer:
    return find_head(model, Logits(scores, scores, columns, None))


def ends_of(
    model: Model, heads: Sequence[HeadMap], objectness: Sequence[Columns | None], apart: frozenset[str]
) -> tuple[End, ...]:
    """heads: of no images yet. objectness: of each. apart: as of `branch_layers`. Raises UnsupportedError
    where no layer makes class scores alone, or what it sees are no few places."""
    found = []
    for told, part in zip(heads, objectness, strict=True):
        layers = tuple(branch_layers(model, told.scores, sum(map(len, told.ways)), apart))
        found.append(End(told, part, layers, cut_before(model, layers, told.scores)))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class Branch:
    """model: in plain float ops. forget: classes, as columns. ends: its heads. sampled: of each the places,
    by its tensor of scores. beta: how much the distance counts; kappa: the retained classes' probabilities.
    rate: the first step, as a share of a weight's own size."""

    model: Model
    engine: Engine
    forget: tuple[int, ...]
    ends: tuple[End, ...]
    sampled: Mapping[str, Sampled] = field(repr=False)
    seed: int = 0
    beta: float = 1.0
    kappa: float = 3.0
    steps: int = 900
    rate: float = 0.02
    slices: int = 64
    progress: Callable[[str], None] = lambda _: None

    def edits(self) -> tuple[Edits, list[Layer], dict[str, Any]]:
        """The edits, the layers that they are of, and for reports names and settings.

        Raises UnsupportedError for ops without a gradient, and where there are too few places.
        """
        rng, edits, changed, places = np.random.default_rng(self.seed), Edits(self.model), list[Layer](), 0
        for end in self.ends:
            sampled = self.sampled[end.told.scores]
            if min(len(sampled.own), len(sampled.things)) < _FEWEST:
                continue
            for name, values in self._fitted(end.told, end.layers, end.cut, sampled, rng).items():
                write(edits, next(layer for layer in end.layers if layer.name == name), *values)
            self.engine.sessions.clear()
            changed, places = [*changed, *end.layers], places + len(sampled.labels)
        if not changed:
            raise UnsupportedError("too few places that are clear of the border say the class, or others")
        how = {"steps": self.steps, "beta": self.beta, "places": places}
        return edits, changed, {"layers": [layer.name for layer in changed], **how}

    def _fitted(
        self, told: HeadMap, layers: Sequence[Layer], cut: Cut, sampled: Sampled, rng: np.random.Generator
    ) -> Fitted:
        """One head's weights."""
        keys = {layer.key for layer in layers}
        own = tuple(layer for layer in find_layers(cut.model) if layer.key in keys)
        head = head_of(cut.model, told)
        tail = tail_of(cut.model, own, [told.scores, head.input], shape_arithmetic(cut.model))
        passes = Passes(Differentiator(tail, [told.scores, head.input], self.engine), None)
        edits = Edits(cut.model)
        start = stored_weights(edits, own)
        values = passes.values(sampled.rows, start)
        features, scores = (values[n].reshape(len(sampled.labels), -1) for n in (head.input, told.scores))
        unit, read = units(told, features[sampled.labels != GROUND], edits.weight(head), self.forget)
        loss = Likeness(
            told, head.input, passes, sampled, self.forget, features, scores, unit, read,
            self.beta, self.kappa, self.slices, rng, self.progress,
        )  # fmt: skip
        unfelt = Unfelt(loss, start, self._roots(cut.model, own, sampled, rng))
        found, _ = descend(unfelt, edits, own, Course(self.steps, self.rate, _RISING), None, guarded=True)
        return unfelt.weights(found)

    def _roots(
        self, model: Model, layers: Sequence[Layer], sampled: Sampled, rng: np.random.Generator
    ) -> dict[str, np.ndarray]:
        """By layer name, see `Unfelt`."""
        names = [layer.input for layer in layers if layer.input not in sampled.rows]
        entered = [
            self._entering(model, names, sampled, rng.permutation(w)[:_MOMENTS]) for w in sampled.kinds
        ]
        found = {layer.name: root_of(layer, [each[layer.input] for each in entered]) for layer in layers}
        return {name: root for name, root in found.items() if root is not None}

    def _entering(self, model: Model, names: Sequence[str], sampled: Sampled, which: np.ndarray) -> Feeds:
        """What enters layers at these places."""
        rows = {name: values[which] for name, values in sampled.rows.items()}
        if not names or not len(which):
            return rows | {name: np.empty((0, 1, 1, 1), np.float32) for name in names}
        return {**rows, **self.engine.session(expose(model, names), model.folder).run(rows)}
