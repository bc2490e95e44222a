"""Evidence from arrays: what models say and make of samples is given, not run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, find_logits
from onnxunlearn.judge import Evidence, Subject
from onnxunlearn.numerics import hidden
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import probabilities, task_of


@dataclass(eq=False)
class Given:
    """A subject whose answers are known, whatever it is asked about."""

    said: np.ndarray
    inner: np.ndarray | None
    logits: Logits
    outputs: Mapping[str, np.ndarray] = field(default_factory=dict)

    def knows(self, _: Probes) -> bool:
        return True

    def check_numbers(self, _: Probes, called: str) -> None:
        assert not np.isnan(self.said).any(), called

    def scores(self, _: Probes) -> np.ndarray:
        return self.said

    def predicted(self, _: Probes) -> np.ndarray:
        return np.asarray(self.said.argmax(axis=1))

    def probabilities(self, _: Probes) -> np.ndarray:
        return probabilities(self.said, self.logits.normaliser)

    def features(self, _: Probes) -> np.ndarray | None:
        return self.inner

    def each_features(self, _: Probes) -> list[np.ndarray]:
        return [] if self.inner is None else [self.inner]

    def each_units(self, probes: Probes) -> list[np.ndarray]:
        return self.each_features(probes)

    def others(self, _: Probes) -> Mapping[str, np.ndarray]:
        return self.outputs


class Asked(Evidence):
    def fitted_on(self, exposed: Probes) -> "Asked":
        return replace(self, exposed=exposed)


def evidence(
    said: Mapping[str, np.ndarray],
    y: np.ndarray,
    forget: tuple[int, ...] = (0,),
    *,
    features: Mapping[str, np.ndarray] | None = None,
    tags: np.ndarray | None = None,
    made: bool = False,
    **settings: Any,
) -> Asked:
    """said: scores at the output of each model, [N, classes]. Behind a Sigmoid where `tags` are given,
    the classes that each sample has, bool [N, classes]; y is then one of them."""
    normaliser = None if tags is None else "Sigmoid"
    logits = Logits("z", "z", next(iter(said.values())).shape[1], normaliser)
    flags = np.ones(len(y), bool) if made else None
    probes = Probes({"x": np.arange(len(y))[:, None]}, y, "given", tags, flags)
    inner = features or {}
    subjects = {n: cast(Subject, Given(s, inner.get(n), logits)) for n, s in said.items()}
    return Asked(task_of(logits, forget, probes), subjects, probes, probes, **settings)


def decided(predicted: Sequence[int] | np.ndarray, classes: int) -> np.ndarray:
    """Scores with which these classes win."""
    return np.eye(classes, dtype=np.float32)[np.asarray(predicted)]


def evidence_of(
    models: Mapping[str, Model],
    probes: Probes,
    forget: tuple[int, ...],
    output: str | None = None,
    **settings: Any,
) -> Asked:
    """Of real models; the mask is the original with its scores changed."""
    engine = create_engine()
    subjects = {name: Subject(m, find_logits(m, output), engine, 32) for name, m in models.items()}
    original = subjects["original"]
    subjects = {n: s if s is original else replace(s, beside=original) for n, s in subjects.items()}
    if "mask" not in subjects:
        subjects["mask"] = replace(original, hide=lambda scores: hidden(scores, forget))
    return Asked(task_of(original.logits, forget, probes), subjects, probes, probes, **settings)
