"""What judging stands on: models side by side, and the samples that they are asked about."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from onnxunlearn.judge.detected import Detected
from onnxunlearn.judge.intervals import CONFIDENCE, Measured, difference
from onnxunlearn.judge.placed import Placed
from onnxunlearn.judge.subject import REFERENCE, Subject
from onnxunlearn.probes import Labels, Probes, each, is_unread
from onnxunlearn.streams import KEPT, RESERVOIR, drawn, reservoir
from onnxunlearn.tasks import Answers, Figures, SingleLabel, Task, beliefs, pointed_to, probabilities

#: the models in the order in which they are shown
ORDER = ("original", "edited", "mask", "reference")


class Turned(NamedTuple):
    """How often an answer that one model has right is wrong in the other, and the other way round."""

    lost: float
    gained: float
    of: float

    def measured(self, confidence: float = CONFIDENCE) -> Measured:
        """Points lost."""
        return difference(*self, confidence)


@dataclass(frozen=True, eq=False)
class Evidence:
    """subjects: "original", "edited", "mask" (the original with the classes hidden) and perhaps "reference"
    (retrained without them), "reference 2" …. probes: those that judge, labelled. exposed: those that an
    attacker may fit on; the same as `probes` where he has to take some of them. unnamed: inputs on which all
    is to stay as it is, of no known class. training: samples of the original's training. labels: what the
    classes are called. thorough: also what takes long. attacks: the names of those to ask; None: all.
    compared: also how like the reference, or else the original, the edited model is. copies: how many of the
    samples that were given are copies of others among them; none of these judges twice. drawn: what is to be
    said where these are some of the samples that judge. notes: what else a reader of the findings should
    know. suspicions: why the samples may not be what the original was trained with; then nothing is passed.
    departs: what the edited model has otherwise than the original, values of weights aside; nor is it then.
    placed: what is said at all places, where samples are a few of these; detected: likewise what is found in
    whole images.
    """

    task: Task
    subjects: Mapping[str, Subject]
    probes: Probes
    exposed: Probes
    unnamed: Probes | None = None
    training: Probes | None = None
    labels: Labels | None = None
    thorough: bool = False
    attacks: frozenset[str] | None = None
    compared: bool = False
    seed: int = 0
    copies: int = 0
    drawn: str = ""
    notes: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()
    departs: str = ""
    placed: Placed | None = None
    detected: Detected | None = None
    progress: Callable[[str], None] = field(default=lambda _: None, repr=False)

    @property
    def names(self) -> list[str]:
        """Which models there are."""
        return sorted(self.subjects, key=lambda name: (ORDER.index(name.split()[0]), len(name), name))

    @property
    def reference(self) -> Subject | None:
        """The first of them."""
        return self.subjects.get(REFERENCE)

    @property
    def references(self) -> list[str]:
        """Their names."""
        return [name for name in self.names if name.startswith(REFERENCE)]

    @property
    def forget(self) -> tuple[int, ...]:
        return self.task.forget

    @cached_property
    def truth(self) -> np.ndarray:
        return self.task.truth(self.probes)

    @property
    def y(self) -> np.ndarray:
        """One class for each sample, int [N]."""
        assert self.probes.y is not None
        return self.probes.y

    @cached_property
    def forgotten(self) -> np.ndarray:
        """Which samples show what is to be forgotten, bool [N]."""
        return self.task.concerned(self.probes)

    @cached_property
    def pointed(self) -> int | None:
        """The class that a trigger which samples share points to, by the original; None where there is
        none."""
        if self.probes.shared is None:
            return None
        return pointed_to(self.decided["original"], self.probes, self.task.classes)

    @cached_property
    def counts(self) -> np.ndarray:
        """Samples of each class, int [classes]."""
        return self.probes.counts(self.task.classes)

    @property
    def made(self) -> bool:
        """Whether samples that judge were made from the model: what they say of real ones is not known."""
        return self.probes.made is not None and bool(self.probes.made.any())

    @cached_property
    def decided(self) -> dict[str, np.ndarray]:
        """What each model takes the probes for."""
        return {n: each(self.task.decide, self.subjects[n].scores(self.probes)) for n in self.names}

    @cached_property
    def answers(self) -> dict[str, Answers]:
        """Of each model, to the probes."""
        return {name: self.task.answers(decided, self.truth) for name, decided in self.decided.items()}

    @cached_property
    def attacked(self) -> "Evidence":
        """The samples that attackers work with: of a long stream some, half of them of the classes to
        forget."""
        return self._of_some("attacks", reservoir(self.forgotten, self.seed))

    @cached_property
    def sampled(self) -> "Evidence":
        """The same for the other outputs, which may be of any size: of a stream some, all equally likely."""
        if not is_unread(self.probes.feeds):
            return self
        two = self.subjects["original"].others(self.probes.select(np.arange(2) % len(self.probes)))
        most = max(KEPT // max(sum(values[0].size for values in two.values()), 1), 1)
        return self._of_some("other outputs", drawn(len(self.probes), self.seed, min(most, RESERVOIR)))

    def _of_some(self, what: str, which: np.ndarray) -> "Evidence":
        """what: they are for."""
        if len(which) == len(self.probes) or not is_unread(self.probes.feeds):
            return self
        some = self.probes.select(which)
        on = f"{what}: on {len(some):,} of {len(self.probes):,} samples, drawn with seed {self.seed}"
        exposed = some if self.exposed is self.probes else self.exposed
        return replace(self, probes=some, exposed=exposed, drawn=on)

    @cached_property
    def accuracies(self) -> dict[str, Figures]:
        """Of each model."""
        return {n: Figures.of(self.answers[n], self.forget, self.task.classes) for n in self.names}

    def lost(self, name: str) -> Turned:
        """What a model's retained classes lost against the original, as a share of the samples.

        Where answers weigh differently, so many samples of one weight as have the same variance (Kish), but
        no more than there are.
        """
        before = self.answers["original"]
        kept = before.weight > 0
        weight = before.weight[kept]
        if not kept.any():
            return Turned(0, 0, 0)
        count = min(1 / float(weight @ weight), len(np.unique(before.sample[kept])))
        lost, gained = (float(weight @ turned[kept]) for turned in self._turned(name))
        return Turned(lost * count, gained * count, count)

    def lost_of_class(self, name: str, which: int) -> Turned:
        """The same of one class."""
        before = self.answers["original"]
        own = before.present & (before.of == which)
        lost, gained = (float(turned[own].sum()) for turned in self._turned(name))
        return Turned(lost, gained, int(own.sum()))

    def _turned(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """How much of each answer a model has lost, and how much it has gained, both [M], 0..1.

        Where the labels are the original's own, an answer that turned is lost as surely as the original
        believed it, and gained as surely as it believed the new one: see `tasks.believed`.
        """
        before, after = self.answers["original"], self.answers[name]
        if not self.guessed:
            was, now = before.right, after.right
            return (was & ~now).astype(float), (now & ~was).astype(float)
        turned = self.decided["original"] != self.decided[name]
        turned &= ~self.forgotten
        was, now = (turned * self._likely(self.decided[n]) for n in ("original", name))
        return was[before.sample], now[before.sample]

    @property
    def guessed(self) -> bool:
        """Whether the original alone says what the samples are, one class each."""
        return self.probes.by_model and isinstance(self.task, SingleLabel) and self.placed is None

    def _likely(self, decided: np.ndarray) -> np.ndarray:
        """How likely each decision is by the original, the classes to forget left out, [N]."""
        forget, normaliser = self.forget, self.task.logits.normaliser

        def of_some(scores: np.ndarray, which: np.ndarray) -> np.ndarray:
            said = np.log(np.maximum(probabilities(scores, normaliser), 1e-300))
            return np.asarray(beliefs(said, forget)[np.arange(len(which)), which])

        return each(of_some, self.subjects["original"].scores(self.probes), decided)

    def class_name(self, which: int) -> str:
        return f"class {which}" if self.labels is None else self.labels.shown(which)

    def short_name(self, which: int) -> str:
        """The same without its column, and a number as it is."""
        return str(which) if self.labels is None else self.labels.short(which).removeprefix("class ")
