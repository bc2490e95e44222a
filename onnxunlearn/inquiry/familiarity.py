"""Whether the original knows what it is shown, and whether it would if that were prepared otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model
from onnxunlearn.judge import check_known, scores
from onnxunlearn.probes import (
    Cure,
    Labels,
    Preprocessing,
    Probes,
    Shown,
    ToldApart,
    cures,
    declared_preprocessing,
    each,
    expected_values,
    may_be_cured,
    relabelled,
    suspicions,
)
from onnxunlearn.probes.preprocess import Preprocessor
from onnxunlearn.tasks import SingleLabel, Task

#: samples on which every change is tried, and on which the best ones are; bytes of their inputs at most
_FEW, _MANY, _MOST_BYTES = 32, 256, 2**26
#: the fraction of images without labels that has to be told apart for a change to be named
_TOLD_APART = 0.4
#: by how much answers to images without labels have to be steadier; of a few that is not well told
_STEADIER = {_FEW: -0.15, _MANY: 0.03}


@dataclass(frozen=True, eq=False)
class Familiarity:
    """The original and the probes. scores: its, [N, classes]. run: the scores of other inputs. given: whether
    the labels are the user's. declared: how the model wants its images, if that is known."""

    task: Task
    probes: Probes
    scores: np.ndarray
    run: Callable[[Mapping[str, np.ndarray]], np.ndarray]
    given: bool
    declared: Preprocessor | None

    def odd(self) -> list[str]:
        """Everything that may have gone wrong, the surest first, where nothing is known."""
        found = list(map(str, self._cures(pairs=True)))
        values = self.odd_values()
        twice = [reason for reason in values if reason.endswith("scaled twice?")]
        return [*map(str, self._other_labels()), *twice, *found, *(r for r in values if r not in twice)]

    def odd_values(self) -> list[str]:
        """What is odd about the values, as far as it is known how the model wants them."""
        return suspicions(evenly(self.probes, _FEW).feeds, self.declared)

    @cached_property
    def cure(self) -> Cure | None:
        """The one change with which the model would know clearly more of the probes, if there is one."""
        if self.given and not may_be_cured(self.known):
            return None
        found = [*self._other_labels(), *self._cures(pairs=False)]
        if not self.given:  # of a few classes alone answers are steady whatever is shown
            found = [cure for cure in found if cure.after >= _TOLD_APART]
        return max(found, key=lambda cure: cure.gain, default=None)

    @cached_property
    def known(self) -> np.ndarray:
        """Which of all probes are taken for what they are, bool [N]."""
        return self.task.known(self._decided, self.task.truth(self.probes))

    @cached_property
    def _decided(self) -> np.ndarray:
        return each(self.task.decide, self.scores)

    def _cures(self, *, pairs: bool) -> list[Cure]:
        expected = expected_values(self.declared)
        return list(cures(self._shown(_FEW), lambda: self._shown(_MANY), expected, pairs=pairs))

    def _other_labels(self) -> list[Cure]:
        """If y counts the classes from another one, what has to be added to it; or their order."""
        truth, classes = self.task.truth(self.probes), self.task.classes
        if not (self.given and isinstance(self.task, SingleLabel)):
            return []
        if start := self._other_start(truth, classes):
            return start
        other = relabelled(self._decided, truth, classes)
        return [] if other is None else [other]

    def _other_start(self, truth: np.ndarray, classes: int) -> list[Cure]:
        steps = (self._decided - truth) % classes
        step = int(np.bincount(steps, minlength=classes).argmax())
        signed = step if step <= classes // 2 else step - classes
        what = f"with {abs(signed)} {'added to' if signed > 0 else 'taken from'} every y"
        cure = Cure.of(what, steps == 0, steps == step, classes)
        several = len(np.unique(truth[steps == step])) > 1  # a single class may be taken for another
        return [cure] if step and several and cure.helps else []

    def _shown(self, count: int) -> Shown:
        some = evenly(self.probes, count)
        if not self.given:

            def predict(feeds: dict[str, np.ndarray]) -> np.ndarray:
                return np.asarray(self.run(feeds).argmax(axis=1))

            told = ToldApart(some.feeds, predict, self.task.classes, _STEADIER[count])
            return Shown(some.feeds, told, "told apart")
        truth = self.task.truth(some)
        return Shown(some.feeds, lambda feeds: self.task.known(self.task.decide(self.run(feeds)), truth))


def evenly(probes: Probes, count: int) -> Probes:
    """So many of them, fewer where they are large, evenly from all, and in memory."""
    largest = max(sum(values[:1].nbytes for values in probes.feeds.values()), 1)
    count = min(len(probes), max(min(count, _MOST_BYTES // largest), 1))
    some = probes.select(np.linspace(0, len(probes) - 1, count).astype(int))
    return replace(some, feeds={name: values[:] for name, values in some.feeds.items()})


def unfamiliar(
    model: Model,
    logits: Logits,
    engine: Engine,
    probes: Probes,
    said: np.ndarray,
    labels: Labels,
    *,
    preprocess: Preprocessing | None,
    batch_size: int,
) -> list[str]:
    """What to say of probes by which nothing is judged, if the model does not know them.

    said: its scores, [N, classes]. labels: what classes are called. preprocess: how images become inputs, if
    a file says so.
    """
    given = probes.labelled

    def run(feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        return scores(model, logits, engine, feeds, batch_size)

    if probes.y is None:
        probes = replace(probes, y=said.argmax(axis=1), by_model=True)
    assert probes.y is not None
    present = np.unique(probes.y)
    task = SingleLabel(logits, (int(present[0]),) if len(present) == 1 else ())
    declared = declared_preprocessing(model, probes.feeds, preprocess)
    familiarity = Familiarity(task, probes, said, run, given, declared)
    if given:
        try:
            check_known(task, said, probes, labels, given=True, odd=familiarity.odd)
        except InputError as error:
            return [str(error)]
    cure = familiarity.cure
    return [] if cure is None else [f"{probes.source}: {cure_warning(cure)}"]


def cure_warning(cure: Cure) -> str:
    """What to say where the probes are taken all the same."""
    return f"perhaps not what the model was trained with: {cure}"
