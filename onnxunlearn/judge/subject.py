"""One model under examination: what it says of samples, and what it makes of them inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph import Layer, Logits, Model, find_layers
from onnxunlearn.judge.features import activations, features, head_of, unpooled
from onnxunlearn.judge.placed import Whole
from onnxunlearn.judge.running import Said, other_outputs, run, run_head, run_together, run_with_features
from onnxunlearn.judge.structure import Structure, behind_the_last
from onnxunlearn.lowering import lower
from onnxunlearn.numerics import unit_rows
from onnxunlearn.probes import Probes, blocks, each, is_unread, lazily
from onnxunlearn.tasks import probabilities

#: how the names of retrained models begin: "reference", "reference 2" …
REFERENCE = "reference"


@dataclass(frozen=True, eq=False)
class Subject:
    """A model and how to run it; it is run when something is asked for, once for each set of probes.

    hide: what is done to its scores; for a mask that could not be made for real. body: another subject that
    differs in the head alone, so that the features are the same. whole: the file's model, where `model` is a
    view of it (`graph.places`). beside: the original, of another model that is judged beside it.
    together: whether what is asked once goes in batches even where these round, see `run`.
    """

    model: Model
    logits: Logits
    engine: Engine
    batch_size: int
    hide: Callable[[np.ndarray], np.ndarray] | None = None
    body: "Subject | None" = None
    whole: Whole | None = None
    beside: "Subject | None" = None
    together: bool = False
    _said: dict[tuple[int, bool], tuple[Feeds, Said]] = field(default_factory=dict, init=False, repr=False)
    _features: dict[Probes, np.ndarray] = field(default_factory=dict, init=False, repr=False)
    _units: dict[Probes, np.ndarray] = field(default_factory=dict, init=False, repr=False)

    def in_batches(self, size: int) -> "Subject":
        """The same, asked once about so many samples at a time; it knows nothing yet."""
        return replace(self, batch_size=size, together=True)

    @cached_property
    def lowered(self) -> Model:
        """In plain float ops, where layers can be found; the model itself where that fails."""
        try:
            return lower(self.model)
        except UnsupportedError:
            return self.model

    def scores(self, probes: Probes) -> np.ndarray:
        """At the model's output, [N, classes]; unread where a stream has too many, see `judge.running`."""
        found = self._run(probes, others=not is_unread(probes.feeds)).scores
        return found if self.hide is None else lazily(self.hide, found, np.dtype(np.float64))

    def check_numbers(self, probes: Probes, called: str) -> None:
        """Raises InputError where a sample's scores are no numbers: the largest of such is the first, so they
        would count as that class. called: which model it is, where it has no path."""
        scores = {"": self.scores(probes)}
        wrong = sum(int(np.isnan(some[""]).any(axis=1).sum()) for some in blocks(scores))
        if wrong:
            raise InputError(
                f"{self.model.path or called}: its scores of {wrong:,} of {len(probes):,} samples are not "
                "numbers (NaN), so nothing can be judged; give a model, or samples, of which they are"
            )

    def passing(self, probes: Probes) -> np.ndarray:
        """The same of samples in memory that are asked once, of which nothing is kept: [N, classes]."""
        if self.knows(probes):
            return self.scores(probes)
        given = self.model, self.logits, self.engine, probes.feeds, self.batch_size
        found = run(*given, together=self.together).scores
        return found if self.hide is None else self.hide(np.asarray(found))

    def others(self, probes: Probes) -> dict[str, np.ndarray]:
        """The model's other outputs, [N, ...], which are held; see `other_outputs`."""
        return self._run(probes, others=True).others

    def predicted(self, probes: Probes) -> np.ndarray:
        """The class with the largest score, int [N]."""
        return each(lambda scores: np.asarray(scores.argmax(axis=1)), self.scores(probes))

    def probabilities(self, probes: Probes) -> np.ndarray:
        """[N, classes], with a sum of 1."""
        return each(lambda scores: probabilities(scores, self.logits.normaliser), self.scores(probes))

    def embedded(self, probes: Probes) -> np.ndarray:
        """The output as an embedding of length 1, float64 [N, d]."""
        return unit_rows(np.asarray(self.scores(probes)))

    def features(self, probes: Probes) -> np.ndarray | None:
        """In front of the head, float32 [N, d]; None where there is no head to find, see `_beneath`."""
        if self.body is not None:
            return self.body.features(probes)
        if self._head is None:
            if probes not in self._features and self._apart and (several := self._several(probes)):
                self._features[probes] = np.concatenate(several, axis=1)
            return self._features.get(probes)
        if probes not in self._features and self._plain and not is_unread(probes.feeds):
            return self._run(probes, others=False).features
        if probes not in self._features:
            found = features(self.lowered, self.logits, self.engine, probes.feeds, self.batch_size)
            self._features[probes] = found
        return self._features[probes]

    @cached_property
    def _head(self) -> Layer | None:
        try:
            return head_of(self.lowered, self.logits)
        except UnsupportedError:
            return None

    @cached_property
    def structure(self) -> Structure:
        return Structure(self.lowered)

    @cached_property
    def _beneath(self) -> dict[str, Layer | None]:
        """The tensors that a head may be fitted on anew, with the layer that reads such; mostly what its own
        head reads, and none where that cannot be told. The last layer of a model that is made otherwise than
        the original beside it may read what tells nothing. Of such a one also what is made as the original's
        head reads it, or, where nothing is, all that is read behind the last layer that both have."""
        own: dict[str, Layer | None] = {} if self._head is None else {self._head.input: self._head}
        first = None if self.beside is None else self.beside._head
        if first is None or self.beside is None or self.structure.alike(self.beside.structure):
            return own
        same = self.structure.like(self.beside.structure.marks.get(first.input))
        others = dict.fromkeys(same, first) or dict.fromkeys(
            behind_the_last(self.beside.lowered, self.lowered)
        )
        return {**others, **own}

    @property
    def _apart(self) -> bool:
        """Whether a head may be fitted anew on more than what the model's own reads."""
        return self.body is None and [*self._beneath.values()] != ([self._head] if self._head else [])

    @property
    def head(self) -> Layer | None:
        """The layer that reads the features; None where it cannot be told, or there may be several."""
        return None if self._apart else self._head

    def each_features(self, probes: Probes) -> list[np.ndarray]:
        """All that a head may be fitted on anew, [N, d] each; mostly the features alone. Of a model that is
        made otherwise than the original also what it answers: behind that there is no node."""
        if not self._apart:
            known = self.features(probes)
            return [] if known is None else [known]
        return [*self._several(probes), np.asarray(self.scores(probes)[:], np.float32)]

    def each_units(self, probes: Probes) -> list[np.ndarray]:
        """The same, and of a model that is made as the original also what the layer before the head makes,
        ahead of any activation: what sleeps behind a bias can be had there. At a place features alone."""
        if self.body is not None:
            return self.body.each_units(probes)
        found = self.each_features(probes)
        if self._apart or self.whole is not None or self._last is None or not found:
            return found
        if probes not in self._units:
            made = self.activations(probes, [self._last])[self._last]
            self._units[probes] = np.concatenate([*found, made], axis=1)
        return [self._units[probes]]

    @cached_property
    def _last(self) -> str | None:
        """The layer before the head."""
        if self._head is None:
            return None
        before = [n for n, each in self.layers.items() if each.node.index < self._head.node.index]
        return before[-1] if before else None

    def _several(self, probes: Probes) -> list[np.ndarray]:
        given = self.lowered, self.engine, probes.feeds
        known = {name: layer for name, layer in self._beneath.items() if layer is not None}
        found = activations(*given, known, self.batch_size) if known else {}
        rest = [name for name in self._beneath if name not in known]
        return [np.asarray(each) for each in (*found.values(), *unpooled(*given, rest, self.batch_size))]

    @property
    def _plain(self) -> bool:
        """Whether scores and features are to be had in one run."""
        made = (*self.model.producer, *(i.name for i in self.model.inputs))
        inside = self._head is not None and {self.logits.scores, self._head.input} <= set(made)
        return self.lowered is self.model and self.body is None and inside

    def divide(self, probes: Probes, parts: Sequence[np.ndarray]) -> list[Probes]:
        """The probes at each part's indices, of which is known what is known of all; that is forgotten."""
        found = [probes.select(part) for part in parts]
        for asked in (False, True):
            if (said := self._said.pop((id(probes.feeds), asked), None)) is None or is_unread(probes.feeds):
                continue
            for part, chosen in zip(parts, found, strict=True):
                self._said[id(chosen.feeds), asked] = chosen.feeds, said[1].select(part)
        return found

    def known_as(self, probes: Probes, same: Probes) -> None:
        """What is known of `probes` is from now on known of these, the same samples at another place."""
        for asked in (False, True):
            if (said := self._said.pop((id(probes.feeds), asked), None)) is not None:
                self._said[id(same.feeds), asked] = same.feeds, said[1]

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """By name, in graph order."""
        return {layer.name: layer for layer in find_layers(self.lowered)}

    def activations(self, probes: Probes, layers: Sequence[str]) -> dict[str, np.ndarray]:
        """By layer: its output, averaged over space or tokens, [N, d]."""
        own = [self.layers[name] for name in layers]
        tensors = {layer.output: layer for layer in own}
        found = activations(self.lowered, self.engine, probes.feeds, tensors, self.batch_size)
        return {layer.name: found[layer.output] for layer in own}

    @cached_property
    def _others(self) -> list[str]:
        return other_outputs(self.model, self.logits)

    def _run(self, probes: Probes, *, others: bool) -> Said:
        """others: also the other outputs, if there are any; else the features, where they cost nothing."""
        feeds = probes.feeds  # the same samples may be given classes later: that asks for no other run
        asked = self._others if others else []
        key = id(feeds), bool(asked)
        if key not in self._said and not asked and is_unread(feeds):
            _ask([self], probes)
        elif key not in self._said and not asked and (said := self._by_the_head(probes)) is not None:
            self._said[key] = feeds, said
        elif key not in self._said and not asked and self._plain:
            assert self._head is not None
            head, size = self._head, self.batch_size
            said = run_with_features(self.model, self.logits, head, self.engine, feeds, size)
            self._said[key] = feeds, said
        elif key not in self._said:
            said = run(self.model, self.logits, self.engine, feeds, self.batch_size, asked)
            self._said[key] = feeds, said  # kept: no other feeds may get that id
        return self._said[key][1]

    def _by_the_head(self, probes: Probes) -> Said | None:
        """What it says by its head alone, where it is known what enters that; None elsewhere."""
        known = None if self.body is None else self.body._said.get((id(probes.feeds), False))
        if known is None or self._head is None or self.lowered is not self.model:
            return None
        return run_head(self.model, self.logits, self._head, self.engine, known[1], self.batch_size)

    def knows(self, probes: Probes) -> bool:
        """Whether the scores are known already."""
        return (id(probes.feeds), False) in self._said

    def note_features(self, probes: Probes, tensor: str, features: np.ndarray) -> None:
        """What it makes of these probes in front of its head, if that is this tensor, [N, d]."""
        if self._head is not None and self._head.input == tensor:
            self._features[probes] = features

    def note(self, probes: Probes, scores: np.ndarray) -> None:
        """What it says of a stream."""
        self._said[id(probes.feeds), False] = probes.feeds, Said(scores, {})


def ask_together(subjects: Mapping[str, Subject], probes: Probes) -> None:
    """Have all of them, by name, say what they say of the samples; of a stream, which is read once for that,
    all are run alike. Raises InputError where a model says what are no numbers."""
    _ask([*subjects.values()], probes)
    for name, subject in subjects.items():
        subject.check_numbers(probes, f"the {name} model")


def _ask(subjects: Sequence[Subject], probes: Probes) -> None:
    asked = [subject for subject in subjects if not subject.knows(probes)]
    if asked and is_unread(probes.feeds):
        models = [(subject.model, subject.logits) for subject in asked]
        said = run_together(models, asked[0].engine, probes.feeds, asked[0].batch_size)
        for subject, scores in zip(asked, said, strict=True):
            subject.note(probes, scores)
