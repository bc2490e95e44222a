"""Places of all images, recorded in one pass: as many images as there are, of which none is held.

What tells the cost of an edit is how much of the others it was pinned by. Images are read once, a few at a
time; of each, windows around its places stay.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.graph import Layer, Model, expose
from onnxunlearn.graph.places import Columns, Cut
from onnxunlearn.methods.whole.heads import ASIDE, FORGET, HeadMap
from onnxunlearn.methods.whole.sampled import SHARE, Room, Said, Sampled, Sampling

#: images that are looked at in one go
_AT_ONCE = 8
#: bytes of the windows of all heads at most
_BYTES = 1 << 29
#: heads, with labels of some images, by what tensors say of these
Named = Callable[[Mapping[str, np.ndarray]], tuple[HeadMap, ...]]


@dataclass(frozen=True, eq=False)
class End:
    """One head. told: of no image yet. objectness: what says whether there is anything, None where nothing
    does. layers: those that make its class scores and nothing else. cut: the model from there on."""

    told: HeadMap
    objectness: Columns | None
    layers: tuple[Layer, ...]
    cut: Cut

    @property
    def reads(self) -> list[str]:
        """Tensors that are recorded of it."""
        return [
            *self.cut.reaches,
            self.told.scores,
            *([] if self.objectness is None else [self.objectness.tensor]),
        ]

    def said(self, told: HeadMap, values: Mapping[str, np.ndarray]) -> Said:
        """told: of these images."""
        there, part, scores = np.ones(told.labels.shape), self.objectness, values[told.scores]
        if part is not None:
            own = np.moveaxis(values[part.tensor], told.axis, -1)[..., (part.columns or (0,))[0]]
            there = expit(own.reshape(told.labels.shape).astype(np.float64))
        return Said(told.labels, values, told.rows(scores), there, scores.shape[3])


@dataclass(frozen=True, eq=False)
class Gathered:
    """sampled: places, by the tensor of scores. aside: in which images, as they came, the class is said but
    not looked at, bool [N]."""

    sampled: Mapping[str, Sampled]
    aside: np.ndarray

    @classmethod
    def of(
        cls,
        model: Model,
        engine: Engine,
        ends: Iterable[End],
        named: Named,
        forget: tuple[int, ...],
        images: Iterable[tuple[Feeds, bool]],
        seed: int,
    ) -> "Gathered":
        """images: some at a time, held or not, and whether the class is left aside in them: they were not
        given for it."""
        ends, rng, aside = tuple(ends), np.random.default_rng(seed), list[np.ndarray]()
        rooms = [Room(_BYTES // len(ends), rng, SHARE) for _ in ends]
        found = {
            end.told.scores: Sampling(end.told, end.cut, forget, room, rng)
            for end, room in zip(ends, rooms, strict=True)
        }
        session = engine.session(
            expose(model, list(dict.fromkeys(name for end in ends for name in end.reads))), model.folder
        )
        for feeds, leave in images:
            for batch in batches(feeds, batch_size(feeds, _AT_ONCE, model.batch_size)):
                values = {name: value[: batch.count] for name, value in session.run(batch.feeds).items()}
                left = np.zeros(batch.count, bool)
                for end, told in zip(ends, named(values), strict=True):
                    own = leave & (told.labels == FORGET)
                    left |= own.any(axis=1)
                    told = replace(told, labels=np.where(own, ASIDE, told.labels))
                    found[told.scores].add(end.said(told, values))
                aside.append(left)
        engine.sessions.clear()
        sampled = {name: sampling.room.emptied() for name, sampling in found.items()}
        return cls(sampled, np.concatenate(aside))
