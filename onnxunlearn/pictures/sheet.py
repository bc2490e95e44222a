"""What a sheet shows, whatever the kind of data: samples of one class and their relevance."""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.pictures.choose import Chosen
from onnxunlearn.pictures.evidence import Evidence
from onnxunlearn.probes import Labels

ORIGINAL, EDITED, DIFFERENCE = "original", "edited", "difference"


@dataclass(frozen=True)
class Prediction:
    """name: of the class. score: as the model's own output has it. wrong: whether y says otherwise."""

    name: str
    score: str
    wrong: bool


@dataclass(frozen=True, eq=False)
class Sample:
    """value: the input. truth: the given class's name, None without y. maps: relevance by title, one number
    a place; with a model to compare with, also that model's and the difference. predictions: by title."""

    value: np.ndarray
    truth: str | None
    maps: dict[str, np.ndarray]
    predictions: dict[str, Prediction]


@dataclass(frozen=True, eq=False)
class Sheet:
    """title: the class that is explained. subtitle: how. samples: at least one."""

    target: int
    title: str
    subtitle: str
    samples: list[Sample]

    @property
    def columns(self) -> list[str]:
        return list(self.samples[0].maps)

    @property
    def scaled(self) -> list[np.ndarray]:
        """What the scale is chosen by: every map but the differences, which share the scale."""
        return [r for sample in self.samples for title, r in sample.maps.items() if title != DIFFERENCE]


def make_sheet(
    c: int,
    chosen: Chosen,
    values: np.ndarray,
    before: Evidence,
    after: Evidence | None,
    labels: Labels,
    composite: str,
) -> Sheet:
    """The sheet of class `c`. values: the drawn input's samples, [N, ...], fit to draw."""
    y = chosen.probes.y
    samples = []
    for i in chosen.of(c):
        truth = None if y is None else int(y[i])
        maps = {ORIGINAL: before.relevance[i]}
        predictions = {ORIGINAL: _said(before, i, truth, labels)}
        if after is not None:
            maps |= {EDITED: after.relevance[i], DIFFERENCE: after.relevance[i] - before.relevance[i]}
            predictions[EDITED] = _said(after, i, truth, labels)
        name = None if truth is None else labels.short(truth)
        samples.append(Sample(values[i], name, maps, predictions))
    return Sheet(c, labels.short(c), subtitle(c, labels, composite), samples)


def subtitle(c: int, labels: Labels, composite: str) -> str:
    number = "" if labels.short(c) == labels.shown(c) else f"column {c}  ·  "
    return f"{number}red speaks for it, blue against it  ·  {composite}"


def _said(evidence: Evidence, i: int, truth: int | None, labels: Labels) -> Prediction:
    wrong = truth is not None and int(evidence.predicted[i]) != truth
    return Prediction(*evidence.answer(i, labels), wrong)
