"""How a segmenter forgets where `auto` would keep to its head: by windows of all inputs, in its last layers.

Samples of single places carry their whole inputs, so a few hundred fit, and of many classes none or one is
among them: they cannot tell what an edit costs. As for detectors whose class scores are made alone, thousands
of places are pinned here, of all inputs, those to retain among them; and a sixth of the inputs, to which
nothing is fitted, tells what others lose, and what a new head finds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Edited, Model
from onnxunlearn.graph.tail import downstream
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.inquiry.held import DEVIATIONS, ONE_IN, allowed, drawn_anew, held_of
from onnxunlearn.inquiry.maps import maps_of
from onnxunlearn.inquiry.unnamed_places import UnnamedPlaces
from onnxunlearn.judge import Placed, Relearned, relearn
from onnxunlearn.methods import Outcome, Workbench, run_method
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.whole import FORGET, Branch, End, Windows, end_of_places
from onnxunlearn.probes import Probes
from onnxunlearn.probes.places import Scenes, is_full
from onnxunlearn.probes.unread import chained
from onnxunlearn.tasks.budget import CLASS_DROP

#: how much the distance counts, tried one after another
_STRENGTHS = (6.0, 2.0, 0.2)
#: points beyond the budget from which on a weaker edit is not asked
_HOPELESS = 5.0
#: inputs to retain that are held at most; inputs that are held and show the class at least; and inputs that
#: show another class, below which they tell nothing of it
_MOST, _FEWEST, _SHOWN = 128, 8, 4
#: points of what a new head finds that an edit has to take off, and heads that are fitted
_LEAST, _HEADS = 5.0, 20
#: what `auto` keeps to where it can take nothing deeper
_HEAD_ALONE = ("head", "mask")
#: inputs that are run at once
_AT_ONCE = 8


def in_windows(
    inquiry: Inquiry,
    bench: Workbench,
    scenes: Scenes,
    retained: UnnamedPlaces | None,
    parameters: Mapping[str, Any],
) -> Outcome:
    """What `auto` decides where classes are said at places: by samples of these, unless there was no room for
    more of them, or they leave nothing but the head. Then an edit of the last layers, if one costs no more
    than it may and brings something.

    Where there was no room, places do not tell what their own edits cost either: these are held to the same
    price. bench: of places.
    scenes: the inputs that choose. parameters: of `auto`.
    """
    full, kept = is_full(bench.probes), None
    if not full:
        kept = run_method("auto", bench, dict(parameters))
        if kept.details["chosen"] not in _HEAD_ALONE:
            return kept
    reasons, price = list[str](), Price.of(inquiry, scenes, () if retained is None else retained.read)
    try:
        for name, outcome, trial in _offers(inquiry, bench, scenes, retained, price):
            refused = price.refused(name, outcome.edits) or trial.in_vain(name)
            bench.progress(refused or f"{name} is taken")
            if refused is None:
                details = {"chosen": "erase in windows", "why": "; ".join(reasons), **outcome.details}
                return Outcome(outcome.edits, {**details, "expected cost": price.told})
            reasons.append(refused)
            if price.hopeless:
                break
    except UnsupportedError as error:
        reasons.append(f"in windows: {error}")
    kept = kept or run_method("auto", bench, dict(parameters))
    reasons += [kept.details["why"]] if kept.details.get("why") else []
    if full and kept.details["chosen"] not in _HEAD_ALONE:
        share = kept.details.get("share", 1)
        name = " ".join(filter(None, ["" if share == 1 else f"{share:.0%} of", kept.details["chosen"]]))
        if refused := price.refused(f"{name} by places", kept.edits):
            kept = Outcome(run_method("head", bench, {}).edits, {"chosen": "head"})
            reasons.append(refused)
    return Outcome(kept.edits, {**kept.details, "why": "; ".join(reasons)})


def _offers(
    inquiry: Inquiry, bench: Workbench, scenes: Scenes, retained: UnnamedPlaces | None, price: "Price"
) -> Iterator[tuple[str, Outcome, "_Trial"]]:
    """Edits, each weaker than the one before, in words, and what tells of them."""
    assert inquiry.placing is not None
    model, found = inquiry.placing.view.whole, inquiry.placing.found
    end = end_of_places(model, found, inquiry.placing.background(inquiry.labels, scenes))
    _check_outputs(model, end, found.outputs)
    more = () if retained is None else retained.read
    bench.progress(f"reading {len(scenes) + sum(map(len, more))} inputs")
    every = [scenes.probes.feeds, *(probes.feeds for probes in more)]
    windows = Windows.of(model, inquiry.engine, end, inquiry.forget, every, _AT_ONCE, bench.seed)
    trial = _Trial.of(windows, price, len(scenes))
    sampled = {end.told.scores: windows.sampled.select(trial.fitted)}
    for beta in _STRENGTHS:
        branch = Branch(
            model, inquiry.engine, inquiry.forget, (end,), sampled,
            seed=bench.seed, beta=beta, progress=bench.progress,
        )  # fmt: skip
        edits, _, how = branch.edits()
        trial.edits, own = edits, Edits(bench.model)
        silence(bench, own)
        outcome = Outcome(windows.within(edits, bench.layers, own), how)
        yield f"erase at strength {beta:g} in windows", outcome, trial


def _check_outputs(model: Model, end: End, known: tuple[str, ...]) -> None:
    """Raises UnsupportedError where the layers make something else, too, which nothing would hold."""
    made = downstream(model, [layer.weight.name for layer in end.layers])
    if more := sorted(made & {o.name for o in model.graph.output} - set(known)):
        raise UnsupportedError(f"output {more[0]!r} is made by the same layers, and would not be kept")


@dataclass(eq=False)
class Price:
    """What edits cost in whole inputs. scenes: those that choose and, where nobody said what is at their
    places, behind them some of those to retain, of which the same is known. held: which of them nothing is
    fitted to, bool [N]. apart: the same of all inputs, those that choose and those to retain in their order.
    told: what the last edit is expected to cost, for the report. hopeless: whether that is so much that a
    weaker one would do no better."""

    inquiry: Inquiry
    scenes: Scenes
    held: np.ndarray
    apart: np.ndarray
    told: dict[str, Any] = field(default_factory=dict)
    hopeless: bool = False

    @classmethod
    def of(cls, inquiry: Inquiry, scenes: Scenes, retained: Sequence[Probes]) -> "Price":
        """Of inputs that show a class to forget as many are held as of others."""
        rng = np.random.default_rng(inquiry.options.seed)
        held = held_of(scenes.showing(inquiry.forget), rng)
        count = sum(map(len, retained))
        apart = np.append(held, np.zeros(count, bool))
        more = np.sort(rng.permutation(count)[: min(count // ONE_IN, _MOST)])
        if not scenes.given and len(more):
            apart[len(scenes) + more] = True
            scenes = _behind(inquiry, scenes, retained, more)
            held = np.append(held, np.ones(len(more), bool))
        return cls(inquiry, scenes, held, apart)

    def refused(self, name: str, edits: Edits) -> str | None:
        """What speaks against an edit, None if nothing does. name: it in words."""
        inquiry, budget = self.inquiry, self.inquiry.options.max_retain_drop
        edited = Edited.of(inquiry.model, edits.arrays, inquiry.files).model()
        placed = inquiry.placed(
            {"original": inquiry.original, "edited": inquiry.subject(edited)}, self.scenes
        )
        assert placed is not None
        inquiry.engine.sessions.clear()
        score, every = f"points of mean {placed.score}", np.full(len(self.scenes), True)
        held = self.held if self.held.sum() >= _SHOWN else every
        lost, deviation = _lost(placed, placed.present, held)
        seen, _ = _lost(placed, placed.present, every)
        figures = {"points": round(lost, 4), "deviation": round(deviation, 4)}
        self.told = {f"mean {placed.score}": figures, "inputs": int(held.sum())}
        self.hopeless = lost > budget + _HOPELESS
        if lost > budget:  # not put down to chance: so few inputs say too little rather than too much
            return f"{name} would cost {lost:.2f} ± {deviation:.2f} {score} ({budget:g} may be lost)"
        if seen > budget:
            return f"{name} costs {seen:.2f} {score} on all that choose ({budget:g} may be lost)"
        asked = [c for c in placed.present if placed.showing([c]) >= _SHOWN]
        chances = allowed(len(asked))
        for c in asked:
            lost, deviation = _lost(placed, [c], every)
            if lost - chances * deviation > CLASS_DROP:
                which = inquiry.labels.shown(c)
                return f"{name} costs {which} {lost:.1f} ± {deviation:.1f} points of {placed.score}"
        return None


def _lost(placed: Placed, classes: Sequence[int], which: np.ndarray) -> tuple[float, float]:
    """Points that these classes lose on the mean in some inputs, and the deviation of chance in them. which:
    bool [N]."""
    if not len(classes):
        return 0.0, 0.0
    drawn = drawn_anew(int(which.sum()), placed.seed)
    times = np.zeros((1 + len(drawn), len(which)))
    times[0], times[1:, which] = which, drawn
    lost = placed.lost("edited", classes, times)
    return float(np.nan_to_num(lost[0])), float(np.nanstd(lost[1:]))


def _behind(inquiry: Inquiry, scenes: Scenes, retained: Sequence[Probes], which: np.ndarray) -> Scenes:
    """The same inputs, and behind them some of those to retain, of which the original says what is where."""
    names = scenes.probes.feeds
    feeds = {name: chained([probes.feeds[name] for probes in retained])[which] for name in names}
    others = Scenes(replace(scenes.probes, feeds=feeds), None, False)
    others = others.said(maps_of(inquiry.original, others))
    assert scenes.truth is not None
    assert others.truth is not None
    assert scenes.maps is not None
    assert others.maps is not None
    every = {name: chained([value, feeds[name]]) for name, value in names.items()}
    truth = np.concatenate([scenes.truth, others.truth])
    maps = np.concatenate([scenes.maps, others.maps])
    return replace(scenes, probes=replace(scenes.probes, feeds=every), truth=truth, maps=maps)


@dataclass(eq=False)
class _Trial:
    """named: how many inputs were given to choose; others are to be retained. fitted: which places are fitted
    to, bool [n]. before: of each place what enters the head of the original. edits: the last that were
    offered, of the whole model."""

    windows: Windows
    named: int
    seed: int
    fitted: np.ndarray
    before: np.ndarray = field(repr=False)
    edits: Edits

    @classmethod
    def of(cls, windows: Windows, price: Price, named: int) -> "_Trial":
        """Nothing is fitted to inputs that are held, nor to places of the class in those to retain. Raises
        UnsupportedError where too few of such inputs show the class."""
        own = windows.sampled.labels == FORGET
        fitted = ~price.apart[windows.sampled.images] & ~((windows.sampled.images >= named) & own)
        if (count := len(np.unique(windows.sampled.images[own & ~fitted]))) < _FEWEST:
            raise UnsupportedError(
                f"{count} of the inputs that are not fitted to show the class; {_FEWEST} tell what an edit "
                f"brings: give some {9 * _FEWEST} that show it, or some {_FEWEST * 3 // 2} among those to "
                "--retain"
            )
        start, every = Edits(windows.model), np.full(len(own), True)
        seed = price.inquiry.options.seed
        return cls(windows, named, seed, fitted, windows.features(every, start), start)

    def in_vain(self, name: str) -> str | None:
        """What is said where a new head finds the class as before, in inputs that nothing was fitted to, or
        where that it finds less of it may be chance in which inputs they are."""
        after = self.windows.features(np.full(len(self.fitted), True), self.edits)
        found = [self._found(features) for features in (self.before, after)]
        told = [f for f in found if f is not None]
        if len(told) < len(found):
            return f"{name}: too few places tell whether a new head finds less of the class"
        gain, deviation = self._gain(*(f.right for f in told))
        if gain >= max(_LEAST, DEVIATIONS * deviation):
            return None
        said = " and ".join(f"{f.accuracy:.0f} %" for f in told)
        return (
            f"{name} brings too little: a new head finds {said} of the class, before and after "
            f"({gain:.0f} ± {deviation:.0f} points)"
        )

    def _gain(self, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
        """Points of the class that are not found any more, and the deviation of chance in inputs. before,
        after: see `Relearned.right`, of the places that are asked."""
        judged = before >= 0
        names = np.unique(self.windows.sampled.images[self._asked], return_inverse=True)[1]
        lost = np.bincount(names, weights=np.where(judged, before - after, 0).sum(axis=0))
        count = np.bincount(names, weights=judged.sum(axis=0))
        lost, count = lost[count > 0], count[count > 0]
        times = drawn_anew(len(lost), self.seed)
        drawn = 100 * (times @ lost) / np.maximum(times @ count, 1)
        return float(100 * lost.sum() / count.sum()), float(drawn.std())

    @property
    def _asked(self) -> np.ndarray:
        """Places of the inputs that were given and fitted to, and the class's where nothing is fitted."""
        own, given = self.windows.sampled.labels == FORGET, self.windows.sampled.images < self.named
        return np.asarray((self.fitted & given) | (~self.fitted & own))

    def _found(self, features: np.ndarray) -> Relearned | None:
        """What heads find of the class that are fitted on places of the inputs that were fitted to."""
        asked, labels = self._asked, self.windows.sampled.labels
        return relearn(
            features[asked], labels[asked], [FORGET],
            judging=~self.fitted[asked], seed=self.seed, draws=_HEADS,
        )  # fmt: skip
