"""From a model and probes to a plan: where a run begins, up to what its method decides."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnxunlearn.edits import Plan
from onnxunlearn.errors import InputError
from onnxunlearn.graph import ModelSource
from onnxunlearn.in_windows import in_windows
from onnxunlearn.inquiry import Forget, Inquiry, Options
from onnxunlearn.inquiry.sampling import check_parts, check_probes, few_tags, parts
from onnxunlearn.inquiry.sampling import choosing as chosen_of
from onnxunlearn.inquiry.shared import read_shared
from onnxunlearn.inquiry.unnamed import Unnamed, check_named
from onnxunlearn.inquiry.unnamed_places import UnnamedPlaces
from onnxunlearn.judge.report import versions
from onnxunlearn.methods import Outcome, check_parameters, run_method
from onnxunlearn.probes import (
    Maker,
    Probes,
    SharedBy,
    Source,
    beside,
    copies_among,
    copy_groups,
    is_unread,
    lacks_retained,
    pair_groups,
    with_made,
)
from onnxunlearn.probes.places import Scenes
from onnxunlearn.relevance import Composite, parse_composite
from onnxunlearn.streams import UNHELD


class Clock:
    """Seconds spent in each named stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


@dataclass(frozen=True, eq=False)
class Fit:
    """A classifier, and probes that are ready to choose and to judge.

    origin: where the probes are from, see `Probes`. given: whether their classes are the user's. choosing:
    those that a method sees, in memory, named or not. exposed: of these those that an attacker has: the named
    ones, if there are any to retain. judging: others, perhaps a stream; none where nothing
    is held back. copies: how many of the probes are copies of others. notes: what a reader of the findings
    should know. unnamed: inputs to retain that nobody named, if some were given. scenes: where classes are
    said at places, the inputs that judge, of which `judging` are places; chosen_by: how many inputs those of
    `choosing` are of; chosen: these, where the model says nothing else; retained: inputs there that nobody
    named.
    """

    inquiry: Inquiry
    composite: Composite
    origin: Mapping[str, Any]
    given: bool
    choosing: Probes
    exposed: Probes
    judging: Probes
    copies: int
    notes: tuple[str, ...]
    unnamed: Unnamed | None = None
    scenes: Scenes | None = None
    chosen_by: int = 0
    chosen: Scenes | None = None
    retained: UnnamedPlaces | None = None

    @classmethod
    def of(
        cls,
        model: ModelSource,
        forget: Forget,
        data: Source | None,
        composite: str,
        options: Options,
        clock: Clock,
        *,
        hold_back: bool,
    ) -> "Fit":
        """hold_back: some probes, to judge by. Raises as `unlearn` does."""
        with clock("load"):
            options.progress("loading")
            inquiry, rules = Inquiry.of(model, forget, options), parse_composite(composite)
            check_named(data, forget, options)
        if isinstance(forget, SharedBy):
            return cls._of_samples(inquiry, rules, forget, data, clock, hold_back=hold_back)
        if inquiry.placing is not None:
            return cls._of_places(inquiry, rules, data, clock, hold_back=hold_back)
        return cls._of_classes(inquiry, rules, data, clock, hold_back=hold_back)

    @classmethod
    def _of_classes(
        cls, inquiry: Inquiry, rules: Composite, data: Source | None, clock: Clock, *, hold_back: bool
    ) -> "Fit":
        """Of a classifier that forgets classes; probes that there are none of are made."""
        options, classes, notes = inquiry.options, inquiry.forget, list[str]()
        progress = options.progress
        with clock("load"):
            maker = Maker(
                inquiry.seen, inquiry.logits, inquiry.engine, options.batch_size, options.seed, progress
            )
            if data is not None:
                probes = inquiry.put_aside(few_tags(inquiry, inquiry.read(data, UNHELD), notes))
        if data is None:
            with clock("making probes"):
                probes = maker.from_noise(classes)
        with clock("original"):
            progress("running the original")
            inquiry = inquiry.as_seen(probes)
            given = probes.labelled
            probes = inquiry.classified(probes)
            inquiry = check_probes(inquiry, probes, given, least=2 if hold_back else 1)
            alone = probes.made is None and lacks_retained(probes, classes, inquiry.logits.classes)
            if alone and not given:  # what the model takes for other classes is of the forgotten ones, too
                probes = probes.of(classes)
            copies = 0
            if not hold_back:
                choosing, judging = chosen_of(inquiry, probes, notes), probes.select([])
            elif probes.made is not None:
                copies = copies_among(probes)
                choosing, judging = parts(inquiry, probes, np.arange(len(probes)), notes)
            else:
                if is_unread(probes.feeds):
                    progress("looking for copies")
                groups = copy_groups(probes)
                copies = len(probes) - len(np.unique(groups))
                choosing, judging = parts(inquiry, probes, groups, notes)
                check_parts(inquiry, probes, choosing, judging)
            unnamed = None
            if data is not None:
                unnamed = Unnamed.of(inquiry, data, probes, choose=True, judge=hold_back)
        exposed = choosing
        if unnamed is not None:
            choosing = unnamed.with_named(exposed)
            exposed = choosing if alone else unnamed.named_among(choosing, inquiry.original, exposed)
        elif alone:
            with clock("making probes"):
                examples = choosing.of(classes)
                made = maker.beside(examples, inquiry.scores(examples), classes)
                choosing = with_made(choosing, replace(made, y=inquiry.scores(made).argmax(axis=1)), classes)
            exposed = choosing
        origin = probes.origin
        return cls(inquiry, rules, origin, given, choosing, exposed, judging, copies, tuple(notes), unnamed)

    @classmethod
    def _of_samples(
        cls,
        inquiry: Inquiry,
        rules: Composite,
        asked: SharedBy,
        data: Source | None,
        clock: Clock,
        *,
        hold_back: bool,
    ) -> "Fit":
        """The same where samples show what is to be forgotten."""
        notes = list[str]()
        with clock("original"):
            inquiry.options.progress("running the original")
            inquiry, probes, given = read_shared(inquiry, asked, data, notes)
            if is_unread(probes.feeds):
                inquiry.options.progress("looking for copies")
            groups = pair_groups(probes, copy_groups(probes))
            copies = len(probes) - len(np.unique(np.stack([groups, probes.strata]), axis=1).T)
            if not hold_back:
                choosing, judging = chosen_of(inquiry, probes, notes), probes.select([])
            else:
                choosing, judging = parts(inquiry, probes, groups, notes)
                if not all(part.shared is not None and part.shared.any() for part in (choosing, judging)):
                    raise InputError(
                        f"{probes.source}: too few samples that differ; at least 2 with it and 2 without are "
                        "needed, to choose by and to judge"
                    )
        origin = probes.origin
        return cls(inquiry, rules, origin, given, choosing, choosing, judging, copies, tuple(notes))

    @classmethod
    def _of_places(
        cls, inquiry: Inquiry, rules: Composite, data: Source | None, clock: Clock, *, hold_back: bool
    ) -> "Fit":
        """The same where classes are said at places: inputs choose or judge, places of them are drawn."""
        placing, options, forget = inquiry.placing, inquiry.options, inquiry.forget
        assert placing is not None
        with clock("original"):
            options.progress("running the original")
            scenes = placing.read(data, inquiry.model, inquiry.labels, inquiry.original, options.preprocess)
            chosen, judged, copies = scenes, scenes.select([]), 0
            if hold_back:
                chosen, judged, copies = placing.parts(scenes, forget, options.seed, inquiry.labels)
            choosing = placing.drawn(chosen, forget, options.seed, inquiry.engine, judge=False)
            judging = choosing.select([])
            if hold_back:
                judging = placing.drawn(judged, forget, options.seed, inquiry.engine, judge=True)
            inquiry.check_placed(choosing, given=scenes.given)
            retained = UnnamedPlaces.of(inquiry, data, scenes.probes, choose=True, judge=hold_back)
        named = choosing
        if retained is not None:
            choosing = beside(named, retained.choosing)
        given, notes = scenes.given, (placing.background_note(inquiry.labels, scenes),)
        found = cls(inquiry, rules, scenes.probes.origin, given, choosing, named, judging, copies, notes)
        return replace(found, scenes=judged, chosen_by=len(chosen), chosen=chosen, retained=retained)

    def decide(self, method: str, parameters: Mapping[str, Any], *, to_judge: bool = False) -> "Decision":
        """to_judge: with the features that judging asks for.

        Raises InputError for an unknown method or parameter, and UnsupportedError where the method cannot
        work on the model.
        """
        check_parameters(method, parameters)
        bench = self.inquiry.bench(self.choosing, self.composite)
        if method == "auto" and self.chosen is not None:
            outcome = in_windows(self.inquiry, bench, self.chosen, self.retained, parameters)
        else:
            outcome = run_method(method, bench, dict(parameters))
        original = self.inquiry.original
        plain = original.lowered is original.model  # else what is stored is not what was computed with
        found = bench.features(outcome.edits) if plain and to_judge else None
        asked = self.asked(method, parameters)
        return Decision(self, asked, outcome, bench.depth(outcome.edits), found)

    def asked(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Of whom and how, JSON-ready."""
        own = {"method": method, "parameters": dict(parameters), "composite": self.composite.name}
        return own | self.inquiry.options.to_json()

    @property
    def labelled(self) -> str:
        """Who says what the probes are."""
        return "given" if self.given else "from the model"

    def described(self) -> dict[str, Any]:
        """The probes, JSON-ready."""
        sides, unnamed = {"choosing": self.choosing, "judging": self.judging}, self.unnamed or self.retained
        counts = {name: len(probes) for name, probes in sides.items()}
        if unnamed is not None:
            counts["choosing"] -= len(unnamed.choosing)
        inputs = {}
        if self.scenes is not None:
            inputs = {"inputs": {"choosing": self.chosen_by, "judging": len(self.scenes)}}
        return {
            **self.origin,
            **inputs,
            "labels": self.labelled,
            **counts,
            **({} if unnamed is None else {"retain": unnamed.described()}),
            "made": {
                name: 0 if probes.made is None else int(probes.made.sum()) for name, probes in sides.items()
            },
        }


@dataclass(frozen=True, eq=False)
class Decision:
    """What a method decided. asked: of whom and how, JSON-ready. depth: how far back it reaches. features:
    what enters the edited model's head for those that choose, by name, where that is known."""

    fit: Fit
    asked: Mapping[str, Any]
    outcome: Outcome
    depth: str
    features: tuple[str, np.ndarray] | None = field(default=None, repr=False)

    @property
    def plan(self) -> Plan:
        inquiry = self.fit.inquiry
        about = {
            "options": self.asked,
            "names": [inquiry.labels.shown(c) for c in inquiry.forget],
            "engine": {"name": inquiry.engine.name, "providers": list(inquiry.engine.providers)},
            "versions": versions(),
            "probes": self.fit.described(),
        }
        return Plan.of(
            inquiry.model,
            self.outcome.edits.arrays,
            {"forget": list(inquiry.forget), **about},
            {name: file.sha256 for name, file in inquiry.files.data.items()},
        )
