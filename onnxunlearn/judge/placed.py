"""What models say at every place of the inputs that judge, held against what is there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds, batch_size, batches
from onnxunlearn.graph import Model
from onnxunlearn.graph.places import PlaceScores
from onnxunlearn.judge.intervals import (
    ANYWHERE,
    CONFIDENCE,
    IN_PERCENT,
    Measured,
    Statistic,
    or_alike,
    resampled,
)
from onnxunlearn.judge.running import session_of
from onnxunlearn.lowering import sampled


class Whole(NamedTuple):
    """A model as it is in its file, of which another is a view, and where it says classes."""

    model: Model
    found: PlaceScores


def decided_maps(
    model: Model, found: PlaceScores, engine: Engine, feeds: Feeds, size: int, hide: Sequence[int] = ()
) -> np.ndarray:
    """The class that a model gives each place of its output, int16 [N, *map].

    The file is run as it is, whatever it is written in. hide: classes that are not given, where the output
    holds scores.
    """
    model, output = sampled(model), found.outputs[0]
    session = session_of(model, [output], engine, whole=True)
    parts = []
    for batch in batches(feeds, batch_size(feeds, size, model.at_once)):
        said = session.run(batch.feeds, [output])[output][: batch.count]
        parts.append(_decided(said, found, hide))
    return np.concatenate(parts)


def _decided(said: np.ndarray, found: PlaceScores, hide: Sequence[int]) -> np.ndarray:
    if found.decided:
        return np.asarray(said if found.output_axis is None else said.squeeze(found.output_axis), np.int16)
    assert found.output_axis is not None
    scores = np.moveaxis(said, found.output_axis, 1)
    if found.ground is not None:
        limit = found.ground
        if "Sigmoid" in found.behind:
            limit = 1 / (1 + math.exp(-limit))
        scores = np.concatenate([scores, np.full_like(scores[:, :1], limit)], axis=1)
    if hide:
        scores = scores.astype(np.float32)
        scores[:, list(hide)] = -np.inf
    return np.asarray(scores.argmax(axis=1), np.int16)


@dataclass(frozen=True, eq=False)
class Counted:
    """Places in each input, int [N, classes]. both: of the class and given it. found: given it. there: of the
    class. Of places that are to be forgotten no retained class counts what it was given; gone: of these, by
    the class that they were given."""

    both: np.ndarray
    found: np.ndarray
    there: np.ndarray
    gone: np.ndarray

    @classmethod
    def of(cls, decided: np.ndarray, truth: np.ndarray, forget: Sequence[int], classes: int) -> "Counted":
        rows = [_counts(d[t >= 0], t[t >= 0], forget, classes) for d, t in zip(decided, truth, strict=True)]
        return cls(*(np.stack(part) for part in zip(*rows, strict=True)))


def _counts(
    decided: np.ndarray, truth: np.ndarray, forget: Sequence[int], classes: int
) -> tuple[np.ndarray, ...]:
    def by_class(values: np.ndarray) -> np.ndarray:
        return np.bincount(values, minlength=classes)[:classes]

    own = np.isin(truth, forget)
    found = by_class(decided[~own])
    found[list(forget)] += by_class(decided[own])[list(forget)]
    return by_class(truth[decided == truth]), found, by_class(truth), by_class(decided[own])


@dataclass(frozen=True, eq=False)
class Agreed:
    """same: by model, at how many places of each input it says what the original does, int [N]. asked: of how
    many, those left out where the original says what is to be forgotten. Of boxes likewise: those of both
    models that are each other's, of those of both."""

    same: Mapping[str, np.ndarray]
    asked: Mapping[str, np.ndarray]
    seed: int

    def measured(self, name: str) -> Measured:
        """In percent of all places; whole inputs are drawn anew, as their places are alike."""
        same, asked = self.same[name], self.asked[name]

        def percent(times: np.ndarray) -> float:
            count = float(times @ asked)
            return 100 * float(times @ same) / count if count else float("nan")

        found = resampled(percent, len(asked), self.seed, within=IN_PERCENT)
        return or_alike(found, int((asked > 0).sum()), within=IN_PERCENT)


@dataclass(frozen=True, eq=False)
class Placed:
    """found: where classes are said. truth: what is where in the inputs that judge, int [N, *map], below 0
    where it is not known. maps: by model what it says there. background: the class that is none of a thing.
    agreed: of other inputs, that nobody named. believed: where nobody but the original says what is there,
    what is expected of it; see `believed_places`."""

    found: PlaceScores
    forget: tuple[int, ...]
    truth: np.ndarray
    maps: Mapping[str, np.ndarray]
    background: int | None
    seed: int = 0
    agreed: Agreed | None = None
    believed: Mapping[str, Counted] | None = None

    @cached_property
    def counted(self) -> dict[str, Counted]:
        """By model."""
        return {
            name: Counted.of(decided, self.truth, self.forget, self.found.classes)
            for name, decided in self.maps.items()
        }

    @property
    def judged(self) -> dict[str, int]:
        """How many inputs judge, with how many places of which it is known what is there."""
        return {"inputs": len(self.truth), "places": int((self.truth >= 0).sum())}

    @property
    def score(self) -> str:
        """What classes are scored by."""
        return "F1" if self.found.task == "tagging" else "IoU"

    @property
    def things(self) -> list[int]:
        """Retained classes that are no background."""
        return [c for c in range(self.found.classes) if c not in (*self.forget, self.background)]

    @cached_property
    def present(self) -> list[int]:
        """The retained classes that are there somewhere."""
        there = self.counted["original"].there.sum(axis=0)
        return [c for c in range(self.found.classes) if there[c] and c not in self.forget]

    def measured(
        self,
        statistic: Statistic,
        confidence: float = CONFIDENCE,
        within: tuple[float, float] = ANYWHERE,
    ) -> Measured:
        """A figure with its bounds: whole inputs are drawn anew, as their places are alike."""
        return resampled(statistic, len(self.truth), self.seed, confidence, within=within, together=True)

    def found_in(
        self,
        statistic: Statistic,
        within: tuple[float, float] = IN_PERCENT,
        classes: Sequence[int] | None = None,
    ) -> Measured:
        """The same of what is found of classes, by default of those to forget, in percent; see
        `or_alike`."""
        shown = self.showing(self.forget if classes is None else classes)
        return or_alike(self.measured(statistic, within=within), shown, within=within)

    def showing(self, classes: Sequence[int]) -> int:
        """How many inputs have places of one of these classes."""
        return int(self.counted["original"].there[:, list(classes)].any(axis=1).sum())

    def of_class(self, name: str, classes: Sequence[int], times: np.ndarray) -> np.ndarray:
        """IoU or F1 in one model, in percent: the mean of these classes, as far as they are there; NaN where
        none is.
        times: how often each input counts, [N], or of several draws, [draws, N], which get a number each."""
        return self._shares(self.counted, name, classes, times)

    def lost(self, name: str, classes: Sequence[int], times: np.ndarray) -> np.ndarray:
        """Points of it that one model has less than the original, where only that says what is there as far
        as it believes it."""
        counted = self.counted if self.believed is None else self.believed
        return self._shares(counted, "original", classes, times) - self._shares(counted, name, classes, times)

    def _shares(
        self, counted: Mapping[str, Counted], name: str, classes: Sequence[int], times: np.ndarray
    ) -> np.ndarray:
        both, found, there = (
            times @ self._places(counted, name, part, tuple(classes)) for part in ("both", "found", "there")
        )
        known = times @ self._places(self.counted, name, "there", tuple(classes)) > 0
        with np.errstate(invalid="ignore"):
            shares = 2 * both / (found + there) if self.score == "F1" else both / (found + there - both)
            return np.asarray(100 * np.where(known, shares, 0).sum(axis=-1) / known.sum(axis=-1))

    def recall(self, name: str, times: np.ndarray) -> np.ndarray:
        """Of the places of the classes to forget those that are still given their class, in percent."""
        return self._percent(name, ("both", self.forget), self.forget, times)

    def absorbed(self, name: str, times: np.ndarray) -> np.ndarray:
        """Those that are given another class, of things, in percent."""
        return self._percent(name, ("gone", tuple(self.things)), self.forget, times)

    def kept_background(self, name: str, times: np.ndarray) -> np.ndarray:
        """Of the background's places those that are still said to be background, in percent."""
        assert self.background is not None
        own = (self.background,)
        return self._percent(name, ("both", own), own, times)

    def _percent(
        self, name: str, part: tuple[str, tuple[int, ...]], of: tuple[int, ...], times: np.ndarray
    ) -> np.ndarray:
        """Of the places of some classes those that a part of what was counted holds of others."""
        some, there = times @ self._sum(name, *part), times @ self._sum(name, "there", of)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(there > 0, 100 * some / there, np.nan))

    def _places(
        self, counted: Mapping[str, Counted], name: str, part: str, classes: tuple[int, ...]
    ) -> np.ndarray:
        """A part of what was counted, [N, classes]: whole numbers, but products of floats are quick."""
        key = name, part if counted is self.counted else f"{part} believed", classes
        if key not in self._asked:
            self._asked[key] = getattr(counted[name], part)[:, list(classes)].astype(np.float64)
        return self._asked[key]

    def _sum(self, name: str, part: str, classes: tuple[int, ...]) -> np.ndarray:
        """The same of all these classes, [N]."""
        key = name, f"{part} in all", classes
        if key not in self._asked:
            rows = getattr(self.counted[name], part)[:, list(classes)]
            self._asked[key] = rows.sum(axis=1).astype(np.float64)
        return self._asked[key]

    @cached_property
    def _asked(self) -> dict[tuple[str, str, tuple[int, ...]], np.ndarray]:
        return {}
