"""Probes from nothing but the model: what it takes for each class, found from noise or from given samples."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import count_of
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.probes.flips import Lookup, exchange, lookups
from onnxunlearn.probes.impressions import climb
from onnxunlearn.probes.inputs import TEXT, Input, declared_inputs
from onnxunlearn.probes.origin import from_memory
from onnxunlearn.probes.probes import Probes
from onnxunlearn.probes.pull import Pull, soft_targets
from onnxunlearn.probes.unread import chained

#: what reports call probes that no user gave
MADE = "made from the model"
#: samples a class, from noise and from given samples
_PER_CLASS = 16
_PER_CLASS_NEAR = 24
_STEPS, _STEPS_NEAR = 60, 30
#: noise put on given samples, in standard deviations
_NOISE = 0.3
#: values of all samples together, which bounds the time: 13 images at 224², 682 at 32²
_VALUES = 1 << 21
#: samples that a class gets at least; with many classes only some get any
_FEWEST = 4


@dataclass(eq=False)
class Maker:
    """Makes probes of one model, without y. Deterministic under `seed`.

    Inputs that no gradient reaches, and all where none passes, stay as they start.
    """

    model: Model
    logits: Logits
    engine: Engine
    batch_size: int
    seed: int
    progress: Callable[[str], None] = field(default=lambda _: None, repr=False)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.seed)

    @cached_property
    def _lookups(self) -> list[Lookup]:
        return lookups(self.model)

    def from_noise(self, forget: Sequence[int]) -> Probes:
        """Samples of each class; with many classes of the forgotten ones and some others.

        Raises InputError if the size of an input is open or it takes texts, UnsupportedError if an input is
        no plain tensor.
        """
        inputs = self._inputs()
        for i in inputs:
            if None in i.sizes[1:]:
                raise InputError(
                    f"without --data probes are made, but of which size? input {i.name!r} takes "
                    f"{i.shape_text}; name one with --input-shapes, or give probes with --data"
                )
        shapes = {i.name: tuple(size for size in i.sizes[1:] if size) for i in inputs}
        others = self._rng.permutation([c for c in range(self.logits.classes) if c not in forget])
        y = _spread([*forget, *others.tolist()], len(forget) + 1, _PER_CLASS, shapes)
        return _made(self._pulled(self._noise(shapes, len(y)), y, _STEPS))

    def beside(self, given: Probes, scores: np.ndarray, forget: Sequence[int]) -> Probes:
        """Samples of the retained classes, from the `given` ones of forgotten classes and from noise.

        What is found from a real sample is still like real samples to the first layers, and like the class
        it was pulled to further on. scores: of the given ones, [N, classes]; with many classes only those
        that they are closest to get samples. Raises InputError if an input takes texts.
        """
        self._inputs()
        shapes = {name: value.shape[1:] for name, value in given.feeds.items()}
        order = [int(c) for c in np.argsort(-scores.mean(axis=0), kind="stable") if c not in forget]
        y = _spread(order, 2, _PER_CLASS_NEAR, shapes)
        drawn = given.select(self._rng.integers(len(given), size=len(y)))
        start = {name: self._shaken(value[:]) for name, value in drawn.feeds.items()}
        near = self._pulled(start, y, _STEPS_NEAR)
        y = _spread(order, 2, _PER_CLASS, shapes)
        far = self._pulled(self._noise(shapes, len(y)), y, _STEPS)
        return _made({name: np.concatenate([value, far[name]]) for name, value in near.items()})

    def _inputs(self) -> tuple[Input, ...]:
        inputs = declared_inputs(self.model)
        for i in inputs:
            if i.dtype == TEXT:
                raise InputError(
                    f"input {i.name!r} takes texts, which are not made from the model; "
                    "give probes of every class with --data"
                )
        return inputs

    def _pulled(self, start: dict[str, np.ndarray], y: np.ndarray, steps: int) -> dict[str, np.ndarray]:
        """Towards the classes `y`, as far as gradients pass."""
        moving = tuple(name for name, value in start.items() if value.dtype.kind == "f")
        tokens = self._lookups[0] if self._lookups and not moving else None
        tensors = (tokens.output,) if tokens else moving
        if not tensors:
            return start
        classes = self.logits.classes
        wanted = np.eye(classes)[y] if tokens else soft_targets(y, classes, self._rng)
        try:
            pull = Pull(self.model, self.logits, self.engine, tensors, wanted, self.batch_size)
            if tokens:
                return exchange(start, tokens, pull, steps, self.progress)
            return climb(start, moving, pull, steps, self._rng, self.progress)
        except UnsupportedError as error:
            self.progress(f"making probes: {error}; noise has to do")
            return start

    def _shaken(self, value: np.ndarray) -> np.ndarray:
        if value.dtype.kind != "f":
            return value
        return (value + _NOISE * self._rng.standard_normal(value.shape)).astype(value.dtype)

    def _noise(self, shapes: Mapping[str, tuple[int, ...]], count: int) -> dict[str, np.ndarray]:
        """Standard normal floats, random tokens, random bytes for images; 1 for other integers (masks)."""
        tables = {lookup.input: len(lookup.table) for lookup in reversed(self._lookups)}
        found = {}
        for i in self._inputs():
            shape = (count, *shapes[i.name])
            value = np.ones(shape)
            if i.is_float:
                value = self._rng.standard_normal(shape)
            elif i.name in tables:
                value = np.floor(self._rng.random(shape) * tables[i.name])
            elif len(shape) == 4:
                value = np.floor(self._rng.random(shape) * 128)
            found[i.name] = value.astype(i.dtype)
        return found


def _spread(
    order: Sequence[int], fewest: int, each: int, shapes: Mapping[str, tuple[int, ...]]
) -> np.ndarray:
    """The class of each sample, int [N]: of `order` as many as there is time for, at least `fewest`."""
    room = max(_VALUES // sum(math.prod(shape) for shape in shapes.values()), 1)
    chosen = order[: max(room // _FEWEST, fewest)]
    return np.repeat(np.asarray(chosen, np.int64), min(each, max(room // len(chosen), _FEWEST)))


def _made(feeds: dict[str, np.ndarray]) -> Probes:
    every = np.ones(count_of(feeds), dtype=bool)
    return from_memory(Probes(feeds, None, MADE, made=every))


def lacks_retained(probes: Probes, forget: Sequence[int], classes: int) -> bool:
    """Whether these probes are of the forgotten classes alone, but for a few taken for others."""
    assert probes.y is not None
    others = probes.y[~np.isin(probes.y, forget)]
    few = 2 * len(np.unique(others)) < classes - len(forget)
    return not len(others) or (few and 2 * len(others) < len(probes))


def with_made(given: Probes, made: Probes, forget: Sequence[int]) -> Probes:
    """The given ones, then those made ones that are of other classes; `made` says which. Both have y."""
    assert given.y is not None
    assert made.y is not None
    kept = made.select(~np.isin(made.y, forget))
    assert kept.y is not None
    feeds = {name: chained([value, kept.feeds[name]]) for name, value in given.feeds.items()}
    y = np.concatenate([given.y, kept.y])
    flags = np.repeat([False, True], [len(given), len(kept)])
    return Probes(feeds, y, given.source, made=flags, origin=given.origin)
