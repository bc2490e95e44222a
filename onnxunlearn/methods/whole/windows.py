"""Places of inputs at which a class is said of each pixel, as windows in front of the last layers.

As a sample of the view of single places, each carries its whole input, so few fit into memory, and each takes
a run of the whole model. Here every input is run once, and of each of its classes the windows of some places
stay: kilobytes, of any number of inputs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Layer, Model, expose, find_layers
from onnxunlearn.graph.places import PlaceScores, cut_before, seen_in_windows
from onnxunlearn.methods.erase.descent import stored_weights, write
from onnxunlearn.methods.whole.branch import branch_layers, head_of
from onnxunlearn.methods.whole.gathered import End
from onnxunlearn.methods.whole.heads import FORGET, HeadMap
from onnxunlearn.methods.whole.sampled import GROUND, Room, Sampled

#: places of a class of things, and of background, that an input has at most
_EACH, _GROUND = 16, 8
#: bytes of windows at most; where they are more, half of those to retain goes, by chance
_BYTES = 1 << 27
#: what is taken for background where nobody says it: a class at no place
_NONE = -3


def end_of_places(model: Model, found: PlaceScores, background: int | None) -> End:
    """The last layers of a model, as far as they see a few places around each alone. model: in plain float
    ops. Raises UnsupportedError where there are none, or scores are no maps [N, classes, height, width]."""
    scores = found.scores[0]
    if found.class_axis != 1 or found.place_axes != (2, 3):
        raise UnsupportedError(f"{scores!r}: no maps [N, classes, height, width]")
    columns = found.classes - (found.ground is not None)
    seen = seen_in_windows(model, scores)
    made = branch_layers(model, scores, columns, frozenset())
    layers = tuple(layer for layer in made if layer.node.index in seen)
    if not layers:
        raise UnsupportedError(
            f"{scores!r}: no layer in front of its head sees a few places around each alone"
        )
    several, none = found.ground is not None, np.zeros((0, 0), int)
    told = HeadMap(scores, 1, (tuple(range(columns)),), several, none, background)
    return End(told, None, layers, cut_before(model, layers, scores))


@dataclass(frozen=True, eq=False)
class Windows:
    """sampled: places of all inputs."""

    model: Model
    engine: Engine
    end: End
    sampled: Sampled = field(repr=False)

    @classmethod
    def of(
        cls,
        model: Model,
        engine: Engine,
        end: End,
        forget: tuple[int, ...],
        inputs: Iterable[Feeds],
        size: int,
        seed: int,
    ) -> "Windows":
        """inputs: some at a time, held or not. size: how many are run at once."""
        rng = np.random.default_rng(seed)
        drawing = _Drawing(end, forget, rng, Room(_BYTES, rng))
        session = engine.session(expose(model, list(dict.fromkeys(end.reads))), model.folder)
        for feeds in inputs:
            for batch in batches(feeds, batch_size(feeds, size, model.batch_size)):
                values = session.run(batch.feeds)
                drawing.add({name: value[: batch.count] for name, value in values.items()})
        engine.sessions.clear()
        return cls(model, engine, end, drawing.room.emptied())

    def features(self, which: np.ndarray, edits: Edits) -> np.ndarray:
        """What enters the head at these places, [n, numbers]. edits: of the model."""
        cut = self.end.cut.model
        own, keys = Edits(cut), {layer.key: layer for layer in self.end.layers}
        for layer in find_layers(cut):
            if layer.key in keys:
                write(own, layer, *stored_weights(edits, [keys[layer.key]])[keys[layer.key].name])
        read = head_of(cut, self.end.told).input
        model = own.applied()
        found = self.engine.session(expose(model, [read]), model.folder).run(self.sampled.select(which).rows)
        return np.asarray(found[read].reshape(int(which.sum()), -1), np.float32)

    def within(self, edits: Edits, layers: Iterable[Layer], into: Edits) -> Edits:
        """`into` with what these edits of the model make of its last layers. layers: of the model of `into`,
        which has the same."""
        by_key = {layer.key: layer for layer in layers}
        for layer in self.end.layers:
            write(into, by_key[layer.key], *stored_weights(edits, [layer])[layer.name])
        return into


@dataclass(eq=False)
class _Drawing:
    """Places of inputs that come one after another. count: of inputs that came."""

    end: End
    forget: tuple[int, ...]
    rng: np.random.Generator
    room: Room
    count: int = 0

    def add(self, values: Feeds) -> None:
        told, cut = self.end.told, self.end.cut
        scores = values[told.scores]
        if told.sigmoid:  # what no class says is of the last, which has no column
            scores = np.concatenate([scores, np.zeros_like(scores[:, :1])], axis=1)
        said = scores.argmax(axis=1)
        labels = np.where(np.isin(said, self.forget), FORGET, said)
        where = self._chosen(labels)
        rows = {name: cut.windows(name, values[name], where) for name in cut.reaches}
        own = labels.reshape(len(labels), -1)[where]
        ground = _NONE if told.background is None else told.background
        own, there = np.where(own == ground, GROUND, own), np.ones(len(own), np.float32)
        self.room.add(Sampled(rows, own, there, self.count + where[0]))
        self.count += len(labels)

    def _chosen(self, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some places of each class of each input, clear of the border, row by row. labels: [n, height,
        width]."""
        margin, found = self.end.cut.margin, np.zeros(labels.shape, bool)
        inner = (slice(margin, labels.shape[1] - margin), slice(margin, labels.shape[2] - margin))
        for one, own in zip(found, labels, strict=True):
            clear = np.full(own.shape, False)
            clear[inner] = True
            for c in np.unique(own[inner]):
                y, x = np.nonzero(clear & (own == c))
                few = self.rng.permutation(len(y))[: _GROUND if c == self.end.told.background else _EACH]
                kept = few if c == FORGET else few[self.rng.random(len(few)) < self.room.share]
                one[y[kept], x[kept]] = True
        sample, place = np.nonzero(found.reshape(len(labels), -1))
        return sample, place
