"""Where `unlearn` and `examine` start: a classifier, the classes it is to forget, and how it is looked at."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from onnxunlearn.engines import Engine, create_engine
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Edited, Logits, Model, ModelSource, Snapshot, check_inference, find_logits, load
from onnxunlearn.inquiry.familiarity import Familiarity, cure_warning
from onnxunlearn.inquiry.maps import placed_by
from onnxunlearn.inquiry.options import Forget, Options
from onnxunlearn.inquiry.placing import Placing
from onnxunlearn.judge import Placed, Subject, check_known, scores
from onnxunlearn.lowering import lower
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.numerics import hidden
from onnxunlearn.probes import (
    Labels,
    Probes,
    Readers,
    SharedBy,
    Source,
    blocks,
    declared_preprocessing,
    is_unread,
    load_probes,
)
from onnxunlearn.probes.load import WHOLE
from onnxunlearn.probes.places import Scenes
from onnxunlearn.relevance import Composite, parse_composite
from onnxunlearn.streams import shelved
from onnxunlearn.tasks import AUTO, Task, independent, task_of
from onnxunlearn.tasks.budget import own_turned, unnamed_turned

log = logging.getLogger(__name__)


#: a classifier that is right on less than this is said so
_HALF = 0.5


@dataclass(frozen=True, eq=False)
class Inquiry:
    """model: as it is in the file. labels: what its classes are called. files: what these held. seen: the
    same in plain float ops, which is what methods work on. original: what is asked of the model; it is run
    once. doubts: lines on what its scores mean.
    suspicions: lines on why the probes may not be what it was trained with. placing: where classes are said
    at places; `seen`, `logits` and `original` are then of its view. others: keys of layers that are left as
    they are, since they make something else, too, as boxes."""

    options: Options
    model: Model
    labels: Labels
    files: Snapshot
    seen: Model
    logits: Logits
    forget: tuple[int, ...]
    engine: Engine
    original: Subject
    doubts: tuple[str, ...] = ()
    suspicions: tuple[str, ...] = ()
    placing: Placing | None = None
    others: frozenset[str] = frozenset()

    @classmethod
    def of(cls, model: ModelSource, forget: Forget, options: Options) -> "Inquiry":
        """Load the model and find in it what the options name. Raises InputError for bad input and
        UnsupportedError for a model that cannot be worked on."""
        options = options.with_pipe_read()
        loaded = load(model)
        files = Snapshot.of(loaded)  # before anything is read from them
        seen = lower(loaded)
        placing = Placing.of(seen, options.output_name, options.head)
        if placing is None:
            logits = find_logits(seen, options.output_name)
        else:
            seen, logits = placing.view.model, placing.view.logits
        check_inference(seen, logits)
        if placing is None:
            labels = Labels.of(loaded, logits, options.names).warned()
        else:
            labels = placing.labels(loaded, options.names).warned()
        classes = chosen_classes(forget, labels)
        engine = create_engine(options.engine, options.providers)
        original = Subject(loaded, logits, engine, options.batch_size)
        if placing is not None:
            if isinstance(forget, SharedBy):
                raise InputError(
                    f"--forget-samples: {placing.found.task} is not covered, where classes are said at "
                    "places; give --forget CLASS"
                )
            if options.task not in (AUTO, placing.found.task):
                raise InputError(
                    f"--task {options.task}: the model says classes at places, which is "
                    f"{placing.found.task}; give that, or auto"
                )
            original = placing.subject(loaded, engine, options.batch_size)
        return cls(options, loaded, labels, files, seen, logits, classes, engine, original, placing=placing)

    def read(self, source: Source, readers: Readers = WHOLE) -> Probes:
        """Probes for this model. readers: how files are read. Raises InputError if they do not fit it."""
        return load_probes(
            source,
            self.model,
            self.logits.classes,
            preprocess=self.options.preparation(source, self.options.retain),
            labels=self.labels,
            several=independent(self.logits),
            readers=readers,
        )

    def task(self, probes: Probes) -> Task:
        """The one that was asked for, or that the probes pose."""
        return task_of(self.logits, self.forget, probes, self.posed)

    @property
    def posed(self) -> str:
        """The name of the task; "auto" where the probes pose it."""
        if self.placing is None or self.options.task != AUTO:
            return self.options.task
        return self.placing.found.task

    def subject(self, model: Model, logits: Logits | None = None) -> Subject:
        """A model under examination, by default with the logits where the original has them."""
        if self.placing is not None:
            return self.placing.again(model).subject(model, self.engine, self.options.batch_size)
        size = self.options.batch_size
        return Subject(model, logits or self.logits, self.engine, size, beside=self.original)

    def placing_of(self, model: Model, name: str) -> Placing:
        """Where another model says classes at places. name: of the model. Raises InputError unless it does as
        the original."""
        assert self.placing is not None
        where = f"the {name} model" if model.path is None else str(model.path)
        other = Placing.of(lower(model), self.options.output_name, self.options.head)
        return self.placing.like(other, where)

    def check_placed(self, probes: Probes, *, given: bool) -> None:
        """Raises InputError unless the original knows the classes at these places."""
        check_known(self.task(probes), self.scores(probes), probes, self.labels, given=given)

    @property
    def reported(self) -> Logits:
        """The logits as tensors of the file."""
        return self.logits if self.placing is None else self.placing.reported

    def placed(
        self, subjects: Mapping[str, Subject], scenes: Scenes, unnamed: Probes | None = None
    ) -> Placed | None:
        """What these models say at all places of inputs; None where classes are not said at places. unnamed:
        others, at whose places nothing is to change."""
        if self.placing is None:
            return None
        background = self.placing.background(self.labels, scenes)
        seed = self.options.seed
        return placed_by(self.placing.found, subjects, scenes, self.forget, background, seed, unnamed)

    def about_places(self, placed: Placed | None) -> dict[str, Any]:
        """What reports say besides where classes are said at places."""
        if self.placing is None or placed is None:
            return {}
        return {"places": {**self.placing.found.to_json(placed.background), "judged": placed.judged}}

    def scores(self, probes: Probes) -> np.ndarray:
        """The original's, [N, classes]."""
        return self.original.scores(probes)

    def classified(self, probes: Probes) -> Probes:
        """The probes with a class each: their own, else what the original says.

        Of a sample's several classes see `Probes.focused`.
        """
        scores = self.scores(probes)
        if not probes.labelled:
            best = self.original.predicted(probes)
            decided = scores > self.logits.threshold if independent(self.logits) else None
            several = decided is not None and bool((decided.sum(axis=1) != 1).any())
            probes = replace(probes, y=best, labels=decided if several else None, by_model=True)
        return probes if probes.labels is None else probes.focused(self.forget, scores)

    def put_aside(self, probes: Probes) -> Probes:
        """The same samples where they take no memory (`streams.shelved`); what the original says of them
        stays known."""
        found = probes if is_unread(probes.feeds) else shelved(probes)
        self.original.known_as(probes, found)
        return found

    def as_seen(self, probes: Probes) -> "Inquiry":
        """The same once it is known what the original says: logits may turn out to be probabilities."""
        scores = next(blocks({"": self.scores(probes)}))[""]
        doubts = tuple(self.logits.doubts(scores))
        for line in doubts:
            log.warning("%s", line)
        seen = self.logits.as_seen(self.seen, scores)
        if not doubts:
            return self
        return replace(self, logits=seen, original=self.subject(self.model, seen), doubts=doubts)

    def known(self, probes: Probes, *, given: bool) -> "Inquiry":
        """The same, with what makes the probes suspicious.

        given: whether the labels are the user's. Raises InputError where the original does not know the
        classes on these probes, and where it would know far more of them if they were prepared otherwise,
        unless they are to be taken as they are.
        """
        task = self.task(probes)
        declared = declared_preprocessing(self.model, probes.feeds, self.options.preprocess)
        familiarity = Familiarity(task, probes, self.scores(probes), self._run, given, declared)
        check_known(task, self.scores(probes), probes, self.labels, given=given, odd=familiarity.odd)
        self.original.check_numbers(probes, "the original")
        cure = familiarity.cure
        if cure is not None and given and cure.certain and not self.options.as_they_are:
            raise InputError(
                f"{probes.source}: probably not what the model was trained with: {cure}; correct it, or "
                f"insist with --as-they-are{self._or_embedding}"
            )
        found = [] if cure is None else [cure_warning(cure)]
        if declared is not None:
            found += familiarity.odd_values()
        lines = tuple(f"{probes.called}: {reason}" for reason in found)
        for line in lines:
            log.warning("%s", line)
        doubts = self.doubts
        if given and not found and (share := float(familiarity.known.mean())) < _HALF:
            line = (
                f"{probes.called}: the original is right on {100 * share:.1f} % of them; if it is better "
                "than that, they are not prepared as it wants, and what is measured on them says little"
            )
            log.warning("%s", line)
            doubts = (*doubts, line)
        return replace(self, suspicions=(*self.suspicions, *lines), doubts=doubts)

    @property
    def _or_embedding(self) -> str:
        """What else may be wrong where samples are to be forgotten that are of no class."""
        may_be = not self.forget and self.logits.normaliser is None
        return "; if its output is an embedding and no class scores: --task embedding" if may_be else ""

    def _run(self, feeds: Mapping[str, np.ndarray]) -> np.ndarray:
        """The original's scores, which are not kept."""
        return scores(self.model, self.logits, self.engine, feeds, self.options.batch_size)

    def bench(self, probes: Probes, composite: Composite) -> Workbench:
        """What a method works with. probes: all that choose."""
        options, turned = self.options, 100.0
        if self.placing is None and options.retain is not None:
            turned = unnamed_turned(options.max_retain_drop)
        elif self.placing is None and probes.by_model and not independent(self.logits):
            turned = own_turned(options.max_retain_drop)
        return Workbench(
            self.seen,
            self.logits,
            self.engine,
            probes,
            self.forget,
            composite,
            budget=options.max_retain_drop,
            batch_size=options.batch_size,
            seed=options.seed,
            progress=options.progress,
            posed=self.posed,
            labels=self.labels,
            turned=turned,
            others=self.others,
        )

    def mask(self, probes: Probes) -> tuple[Subject, tuple[str, ...]]:
        """The original with the classes' logits hidden, by a real edit of its head; and what to say of it.

        Where there is no head that can be edited so, its scores are changed behind the model.
        """
        try:
            baseline = "mask" if self.forget else "project"
            outcome = run_method(baseline, self.bench(probes, parse_composite("epsilon")), {})
            masked = self.subject(Edited.of(self.model, outcome.edits.arrays).model())
            return replace(masked, body=self.original), ()
        except UnsupportedError as error:
            note = f"the mask is not a real edit, its scores are changed behind the model: {error}"
            hide = partial(hidden, classes=self.forget)
            return replace(self.original, hide=hide, body=self.original), (note,)


def chosen_classes(forget: Forget, labels: Labels) -> tuple[int, ...]:
    """The columns of the classes to forget, checked; none where samples show what is to be forgotten. Raises
    InputError if one is unknown or none would remain."""
    if isinstance(forget, SharedBy):
        return ()
    text = forget if isinstance(forget, str) else ",".join(map(str, np.atleast_1d(forget).tolist()))
    classes = tuple(sorted(set(labels.parse(text))))
    if len(classes) == labels.classes:
        raise InputError(f"forget={text!r} names all {labels.classes} classes; at least one must remain")
    return classes
