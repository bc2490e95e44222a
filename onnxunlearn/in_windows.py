"""How a segmenter forgets where `auto` would keep to its head: by windows of all inputs, in its last layers.

Samples of single places carry their whole inputs, so a few hundred fit, and of many classes none or one is
among them: they cannot tell what an edit costs. As for detectors whose class scores are made alone, thousands
of places are pinned here, of all inputs, those to retain among them; and of the inputs that were given a
sixth, to which nothing is fitted, tells what others lose, and what a new head finds.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import norm

from onnxunlearn.edits import Edits
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import Edited, Model
from onnxunlearn.graph.tail import downstream
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.inquiry.unnamed_places import UnnamedPlaces
from onnxunlearn.judge import Placed, relearn
from onnxunlearn.methods import Outcome, Workbench
from onnxunlearn.methods.head import silence
from onnxunlearn.methods.partway import partway
from onnxunlearn.methods.whole import FORGET, Branch, End, Windows, end_of_places
from onnxunlearn.probes.places import Scenes
from onnxunlearn.tasks.budget import CLASS_DROP

#: how much the distance counts, and shares of the way there, tried one after another
_STRENGTHS, _PARTS = (6.0, 2.0), (1.0, 0.5)
#: points beyond the budget from which on less of an edit is not asked: half of its way costs half of that
_HOPELESS = 5.0
#: of the inputs one in so many tells the cost and is not fitted to; of those that show the class so many at
#: least; and inputs that show another class, below which they tell nothing of it
_ONE_IN, _FEWEST, _SHOWN = 6, 8, 4
#: inputs are drawn anew so often to tell chance, and so many deviations of it are put down to it
_DRAWS, _DEVIATIONS = 30, 2.0
#: points of what a new head finds that an edit has to take off, and heads that are fitted
_LEAST, _HEADS = 5.0, 20
#: inputs that are run at once
_AT_ONCE = 8


def in_windows(
    inquiry: Inquiry, bench: Workbench, scenes: Scenes, retained: UnnamedPlaces | None, kept: Outcome
) -> Outcome:
    """An edit of the last layers, if one costs no more than it may and brings something, else `kept`, with
    what speaks against all others among its reasons.

    bench: of places, which made `kept`. scenes: the inputs that choose.
    """
    reasons = [kept.details["why"]] if kept.details.get("why") else []
    try:
        for name, outcome, trial in _offers(inquiry, bench, scenes, retained):
            refused = trial.refused(name, outcome)
            bench.progress(refused or f"{name} is taken")
            if refused is None:
                details = {"chosen": "erase in windows", "why": "; ".join(reasons), **outcome.details}
                return Outcome(outcome.edits, {**details, "expected cost": trial.told})
            reasons.append(refused)
            if trial.hopeless:
                break
    except UnsupportedError as error:
        reasons.append(f"in windows: {error}")
    return Outcome(kept.edits, {**kept.details, "why": "; ".join(reasons)})


def _offers(
    inquiry: Inquiry, bench: Workbench, scenes: Scenes, retained: UnnamedPlaces | None
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
    trial = _Trial.of(inquiry, windows, scenes)
    sampled = {end.told.scores: windows.select(trial.fitted)}
    for beta in _STRENGTHS:
        branch = Branch(
            model, inquiry.engine, inquiry.forget, (end,), sampled,
            seed=bench.seed, beta=beta, progress=bench.progress,
        )  # fmt: skip
        edits, layers, how = branch.edits()
        for share in _PARTS:
            trial.edits = part = edits if share == 1 else partway(edits, layers, share)
            own = Edits(bench.model)
            silence(bench, own)
            outcome = Outcome(windows.within(part, bench.layers, own), {**how, "share": share})
            whole = f"erase at strength {beta:g} in windows"
            yield whole if share == 1 else f"{share:.0%} of {whole}", outcome, trial


def _check_outputs(model: Model, end: End, known: tuple[str, ...]) -> None:
    """Raises UnsupportedError where the layers make something else, too, which nothing would hold."""
    made = downstream(model, [layer.weight.name for layer in end.layers])
    if more := sorted(made & {o.name for o in model.graph.output} - set(known)):
        raise UnsupportedError(f"output {more[0]!r} is made by the same layers, and would not be kept")


@dataclass(eq=False)
class _Trial:
    """held: of the inputs that choose those that nothing is fitted to, bool [N]. fitted: which places are
    fitted to, bool [n]. before: of each place what enters the head of the original. edits: the last that were
    offered, of the whole model. told: what they are expected to cost, for the report. hopeless: whether that
    is so much that less of them would do no better."""

    inquiry: Inquiry
    windows: Windows
    scenes: Scenes
    held: np.ndarray
    fitted: np.ndarray
    before: np.ndarray = field(repr=False)
    edits: Edits
    told: dict[str, Any] = field(default_factory=dict)
    hopeless: bool = False

    @classmethod
    def of(cls, inquiry: Inquiry, windows: Windows, scenes: Scenes) -> "_Trial":
        """Raises UnsupportedError where too few inputs that are not fitted to show the class."""
        rng, held = np.random.default_rng(inquiry.options.seed), np.zeros(len(scenes), bool)
        showing = scenes.showing(inquiry.forget)
        for side in (np.flatnonzero(showing), np.flatnonzero(~showing)):
            held[rng.permutation(side)[: len(side) // _ONE_IN]] = True
        own, unnamed = windows.sampled.labels == FORGET, windows.inputs >= len(scenes)
        apart = np.append(held, np.zeros(int(windows.inputs.max(initial=0)) + 1, bool))[windows.inputs]
        fitted = ~apart & ~(unnamed & own)
        if (count := len(np.unique(windows.inputs[own & ~fitted]))) < _FEWEST:
            raise UnsupportedError(
                f"{count} of the inputs that are not fitted to show the class; {_FEWEST} tell what an edit "
                f"brings: give some {9 * _FEWEST} that show it, or some {_FEWEST * 3 // 2} among those to "
                "--retain"
            )
        start = Edits(windows.model)
        return cls(
            inquiry, windows, scenes, held, fitted, windows.features(np.full(len(own), True), start), start
        )

    def refused(self, name: str, outcome: Outcome) -> str | None:
        """What speaks against an edit, None if nothing does. name: it in words."""
        inquiry, budget = self.inquiry, self.inquiry.options.max_retain_drop
        edited = Edited.of(inquiry.model, outcome.edits.arrays, inquiry.files).model()
        subjects = {"original": inquiry.original, "edited": inquiry.subject(edited)}
        placed = inquiry.placed(subjects, self.scenes)
        assert placed is not None
        score = f"points of mean {placed.score}"
        lost, deviation = self._lost(placed, placed.present, self.held)
        seen, _ = self._lost(placed, placed.present, np.full(len(self.scenes), True))
        figures = {"points": round(lost, 4), "deviation": round(deviation, 4)}
        self.told = {f"mean {placed.score}": figures, "inputs": int(self.held.sum())}
        self.hopeless = lost > budget + _HOPELESS
        if lost > budget and lost - _DEVIATIONS * deviation > budget / 2:
            return f"{name} would cost {lost:.2f} ± {deviation:.2f} {score} ({budget:g} may be lost)"
        if seen > budget:
            return f"{name} costs {seen:.2f} {score} on all that choose ({budget:g} may be lost)"
        asked = [c for c in placed.present if placed.showing([c]) >= _SHOWN]
        allowed = float(norm.isf(norm.sf(_DEVIATIONS) / max(len(asked), 1)))
        for c in asked:
            lost, deviation = self._lost(placed, [c], np.full(len(self.scenes), True))
            if lost - allowed * deviation > CLASS_DROP:
                which = inquiry.labels.shown(c)
                return f"{name} costs {which} {lost:.1f} ± {deviation:.1f} points of {placed.score}"
        return self._in_vain(name)

    def _in_vain(self, name: str) -> str | None:
        """Whether a new head finds the class as before, in inputs that nothing was fitted to."""
        after = self.windows.features(np.full(len(self.fitted), True), self.edits)
        found = [self._found(self.before), self._found(after)]
        if None in found or (found[0] or 0) - (found[1] or 0) < _LEAST:
            said = " and ".join("nothing that can be told" if f is None else f"{f:.0f} %" for f in found)
            return f"{name} brings too little: a new head finds {said} of the class, before and after"
        return None

    def _found(self, features: np.ndarray) -> float | None:
        """Percent of the class's places, by heads fitted on places of the inputs that were fitted to."""
        labels, given = self.windows.sampled.labels, self.windows.inputs < len(self.scenes)
        asked = (self.fitted & given) | (~self.fitted & (labels == FORGET))
        seed = self.inquiry.options.seed
        found = relearn(
            features[asked], labels[asked], [FORGET], judging=~self.fitted[asked], seed=seed, draws=_HEADS
        )
        return None if found is None else found.accuracy

    def _lost(self, placed: Placed, classes: list[int], which: np.ndarray) -> tuple[float, float]:
        """Points that these classes lose on the mean in these inputs, and the deviation of chance in them."""
        rng, count = np.random.default_rng(placed.seed), int(which.sum())
        times = np.zeros((1 + _DRAWS, len(which)))
        times[0] = which
        times[1:, which] = rng.multinomial(count, np.full(count, 1 / count), size=_DRAWS)
        if not len(classes):
            return 0.0, 0.0
        lost = placed.lost("edited", classes, times)
        return float(np.nan_to_num(lost[0])), float(np.nanstd(lost[1:]))
