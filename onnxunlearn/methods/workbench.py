"""What a method works with: the model, the choosing probes, relevance on demand, cheap trials."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.engines import Engine, Session
from onnxunlearn.engines.batching import Feeds, batch_size, batches, record, run_batched, samples_first
from onnxunlearn.graph import Layer, Logits, Model, expose, pooled
from onnxunlearn.methods.changeable import Changeable
from onnxunlearn.methods.entering import Entered, Recorder, Reduce, as_it_is, end_of
from onnxunlearn.methods.trial import Trial
from onnxunlearn.probes import Labels, Probes
from onnxunlearn.relevance import Composite, Propagator
from onnxunlearn.tasks import AUTO, EMBEDDING, Task, beliefs, independent, task_of
from onnxunlearn.tasks.budget import CLASS_SAMPLES, dearest_class, exceeds


@dataclass(eq=False)
class Workbench(Changeable):
    """probes: those that choose, labelled. budget: points of retain accuracy that may be lost. posed: the
    task, by name. labels: what classes are called. turned: percent of samples to retain of which the model
    may say something else. others: keys of layers that are left as they are.
    multiplications: that a layer makes for one sample, of those that were asked about."""

    model: Model
    logits: Logits
    engine: Engine
    probes: Probes
    forget: tuple[int, ...]
    composite: Composite
    budget: float
    batch_size: int
    seed: int
    progress: Callable[[str], None] = lambda _: None
    posed: str = AUTO
    labels: Labels = field(default_factory=lambda: Labels(0))
    turned: float = 100.0
    others: frozenset[str] = frozenset()
    trials: int = field(default=0, init=False)
    multiplications: dict[Layer, int] = field(default_factory=dict, init=False, repr=False)
    _entered: Feeds = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self.model = self.logits.within(self.model)

    @cached_property
    def task(self) -> Task:
        """How the probes tell whether the classes are forgotten and the others kept."""
        return task_of(self.logits, self.forget, self.probes, self.posed)

    @property
    def y(self) -> np.ndarray:
        assert self.probes.y is not None
        return self.probes.y

    @cached_property
    def forgotten(self) -> np.ndarray:
        """Which probes show what is to be forgotten, bool [N]."""
        return self.task.concerned(self.probes)

    @property
    def forgotten_each(self) -> list[np.ndarray]:
        """The same of each of several identities, whose y are −1, −2 …; of all else as one."""
        who = np.unique(self.y[self.forgotten])[::-1]
        if len(who) < 2 or who[0] >= 0 or self.task.name != EMBEDDING:
            return [self.forgotten]
        return [self.forgotten & (self.y == w) for w in who]

    @property
    def made(self) -> np.ndarray:
        """Which probes were made from the model, bool [N]."""
        made = self.probes.made
        return np.zeros(len(self.probes), dtype=bool) if made is None else made

    def relevance(
        self,
        tensors: Sequence[str],
        samples: np.ndarray,
        targets: np.ndarray,
        reduce: Callable[[str, np.ndarray], np.ndarray],
        composite: Composite | None = None,
    ) -> dict[str, np.ndarray]:
        """Relevance of the given samples (indices) from the logits of `targets`, reduced batch by batch.

        targets: as in `Propagator.run`; a float [n, classes] is itself the seed. composite: another than the
        run's. reduce: (tensor name, relevance [n, ...], samples first) -> [n, ...], e.g. the sum over space,
        so that big activations are never held for all probes at once.
        """
        tensors = tuple(dict.fromkeys(tensors))
        chosen = self.probes.select(samples)
        propagator = self._propagator(tensors, composite or self.composite)
        axes = propagator.sample_axes(chosen.feeds)
        parts: dict[str, list[np.ndarray]] = {name: [] for name in tensors}
        for batch in propagator.run(chosen.feeds, targets, self.batch_size):
            for name in tensors:
                relevance = samples_first(batch.relevance[name], axes[name], batch.count)
                parts[name].append(reduce(name, relevance))
            self.progress(f"relevance {batch.start + batch.count}/{len(chosen)}")
        return {name: np.concatenate(arrays) for name, arrays in parts.items()}

    def _propagator(self, tensors: tuple[str, ...], composite: Composite) -> Propagator:
        key = (tensors, composite.name)
        if key not in self._propagators:
            self._propagators[key] = Propagator(self.model, self.logits, self.engine, composite, tensors)
        return self._propagators[key]

    @cached_property
    def _propagators(self) -> dict[tuple[tuple[str, ...], str], Propagator]:
        return {}

    def scores(self, edits: Edits) -> np.ndarray:
        """Logits of the choosing probes under trial edits, [N, classes].

        A trial is a feed: the edited tensors are inputs of an in-memory copy, made once for each set of them;
        and where what enters the edited part is known (`recorded`), nothing before it is run.
        """
        tensor, baked = self.logits.tensor, self.model.batch_size
        fed, known = edits.feeds, self._entered
        end = end_of(self.model, self.engine, [tensor], fed, known, self.probes.feeds) if known else None
        session, feeds = end or (self._session([tensor], edits), self.probes.feeds)
        values = run_batched(session, feeds, [tensor], self.batch_size, edits.feeds, baked=baked)
        self.trials += 1
        self.progress(f"trial {self.trials}")
        return np.asarray(values[tensor].reshape(len(self.probes), -1))

    def features(self, edits: Edits) -> tuple[str, np.ndarray] | None:
        """What enters the head under edits for the choosing probes, by name, `pooled`: [N, d]; None where it
        would take a run of the whole model."""
        if not self._entered:
            return None
        fed, tensors = edits.feeds, [self.logits.tensor, self.head.input]
        end = end_of(self.model, self.engine, tensors, fed, self._entered, self.probes.feeds)
        if end is None:
            return None
        session, feeds = end
        parts = [
            pooled(session.run({**batch.feeds, **fed}, tensors[1:])[tensors[1]][: batch.count], self.head)
            for batch in batches(feeds, batch_size(feeds, self.batch_size, self.model.batch_size))
        ]
        return tensors[1], np.concatenate(parts).astype(np.float32, copy=False)

    def recorded(
        self, boundary: Sequence[str], beside: Sequence[str] = (), reduce: Reduce = as_it_is
    ) -> Entered:
        """What enters the end of the model for the choosing probes, and in the same run more; see `entering`.

        The boundary is kept, for trials. Raises UnsupportedError if its samples are not on the first axis.
        """
        found = self.recorder(boundary, beside, reduce)(self.probes.feeds)
        self._entered = found.boundary
        return found

    def recorder(
        self, boundary: Sequence[str], beside: Sequence[str] = (), reduce: Reduce = as_it_is
    ) -> Recorder:
        """The same for any samples."""
        return Recorder(self.model, self.engine, self.batch_size, boundary, beside, reduce)

    def record(
        self,
        tensors: Sequence[str],
        samples: np.ndarray | None = None,
        edits: Edits | None = None,
        reduce: Callable[[str, np.ndarray], np.ndarray] = lambda _, value: value,
    ) -> dict[str, np.ndarray]:
        """Activations of the given samples (indices; all by default) under trial edits: float32 [n, ...].

        Samples come first, also where the graph has them on another axis (tokens first) or folded into one
        with the tokens. reduce: as in `relevance`, batch by batch.
        """
        tensors = tuple(dict.fromkeys(tensors))  # branches read the same one
        chosen = self.probes if samples is None else self.probes.select(samples)
        edits = edits or Edits(self.model)
        fed = {name: value for name, value in chosen.feeds.items() if name in tensors}
        inner = [name for name in tensors if name not in fed]
        found = {name: reduce(name, value[:].astype(np.float32, copy=False)) for name, value in fed.items()}
        if inner:
            found |= record(
                self._session(inner, edits),
                chosen.feeds,
                inner,
                self.batch_size,
                edits.feeds,
                baked=self.model.batch_size,
                reduce=lambda name, value: reduce(name, value.astype(np.float32, copy=False)),
            )
        return found

    def under(self, edits: Edits) -> "Workbench":
        """The same bench for the edited model, to take gradients or relevances there; compiled anew."""
        return replace(self, model=edits.applied())

    def _session(self, tensors: Sequence[str], edits: Edits) -> Session:
        """Gives `tensors` and takes the edited weights."""
        names = (*tensors, "", *sorted(edits.feeds))

        def make() -> Session:
            copy = expose(self.model, tensors, fed=sorted(edits.feeds))
            return self.engine.session(copy, self.model.folder)

        return self.engine.sessions.get((self.model, *names), make)

    def trial(self, edits: Edits, *, silenced: bool = False) -> Trial:
        """What the choosing probes say of trial edits. silenced: see `Trial`."""
        return self.judged(self.scores(edits), silenced=silenced)

    def judged(self, scores: np.ndarray, *, silenced: bool = False) -> Trial:
        """Likewise, once an edited model's scores of them are known, [N, classes]."""
        scores, task = scores.astype(np.float64), self.task
        truth = task.truth(self.probes)
        figures = task.figures(scores, truth, raw=True, believed=self.believed)
        return Trial(figures, task.margins(scores, truth), task.confidence(scores, truth), silenced)

    @cached_property
    def believed(self) -> np.ndarray | None:
        """How likely each retained class is for each choosing probe, [N, classes], where the original alone
        says what they are; None where somebody knows of all."""
        guessed = np.ones(len(self.y), bool) if self.probes.by_model else self.probes.guessed
        if guessed is None or self.probes.labels is not None or independent(self.logits):
            return None
        known = np.arange(self.logits.classes) == self.y[:, None]
        found = np.where(guessed[:, None], beliefs(self.before, self.forget), known)
        return found if np.isfinite(found).all() else None

    @cached_property
    def before(self) -> np.ndarray:
        """Logits of the choosing probes before any edit, [N, classes]."""
        return self.scores(Edits(self.model))

    @cached_property
    def original(self) -> Trial:
        """What the choosing probes say before any edit."""
        return self.judged(self.before)

    def affordable(self, trial: Trial, deviations: float = 0) -> bool:
        """Whether the retained classes' loss is within the budget, in accuracy (`exceeds`) and in confidence,
        and no class with enough probes lost more than one may by more than chance: the worst of many classes
        often seems to have.

        Accuracy on a few probes stays put until many more unseen images have fallen; the confidence in the
        right class falls with the first. Half the budget is kept in reserve: a choice looks better on the
        probes it was made by than on others. True where there are no retain probes.
        """
        before, after = self.original.confidence, trial.confidence
        if before is None or after is None:
            return True
        if self.made.any():  # they lie close to where classes meet: some change sides for nothing
            return before - after <= self.budget
        figures, counts = (self.original.figures, trial.figures), self.probes.counts(self.logits.classes)
        dearest = dearest_class(*figures, counts, self.forget, CLASS_SAMPLES, deviations=2)
        return (
            before - after <= self.budget / 2
            and not exceeds(*figures, self.budget, deviations)
            and (dearest is None or dearest.beyond <= 0)
        )
