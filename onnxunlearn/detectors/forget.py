"""How a detector forgets: in whole images, or head by head, each as a classifier of places."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxunlearn.choices import DEEP
from onnxunlearn.detectors.detector import Detector, Seen, nowhere
from onnxunlearn.detectors.whole import forget_everywhere
from onnxunlearn.edits import Plan
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.fitting import Fit
from onnxunlearn.graph import Edited, Model
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.judge.report import versions
from onnxunlearn.methods import Outcome, check_depth, check_parameters, run_method
from onnxunlearn.probes import Probes
from onnxunlearn.relevance import Composite
from onnxunlearn.tasks.budget import CLASS_DROP

#: how much the distance counts in whole images, and of the weights of a layer the share that `erase` may
#: change head by head: tried one after another
_STRENGTHS, _SHARES = (1.5, 0.4), (1.0, 0.6)


@dataclass(frozen=True, eq=False)
class Forgotten:
    """edited: the file. outcomes: by the head's number. plan: of all heads together. asked: of whom and how,
    JSON-ready. depth: how far back it reaches."""

    edited: Edited
    outcomes: Mapping[int, Outcome]
    plan: Plan
    asked: Mapping[str, Any]
    depth: str


@dataclass(frozen=True, eq=False)
class Places:
    """choosing, judged: images. of: by the head's number its places that choose, and those that judge; heads
    at whose places the class is nowhere are left out. rules: of relevance."""

    detector: Detector
    choosing: Seen
    judged: Seen
    of: Mapping[int, tuple[Probes, Probes]]
    rules: Composite

    @classmethod
    def drawn(cls, detector: Detector, choosing: Seen, judged: Seen, rules: Composite) -> "Places":
        """Raises InputError where the class is at no place of any head."""
        found = {}
        for head in range(len(detector.heads)):
            if (own := detector.drawn(head, choosing, judge=False)) is not None:
                others = detector.drawn(head, judged, judge=True)
                found[head] = own, own.select([]) if others is None else others
        if not found:
            raise nowhere(choosing)
        return cls(detector, choosing, judged, found, rules)

    def fit(self, head: int, model: Model) -> Fit:
        """One head. model: as far as it is edited."""
        own, judging = self.of[head]
        inquiry, given = self.detector.inquiry(head, model), self.choosing.scenes.given
        fit = Fit(inquiry, self.rules, own.origin, given, own, own, judging, 0, ())
        return replace(fit, scenes=self.judged.scenes, chosen_by=len(self.choosing.truth))


def forget_all(places: Places, method: str, parameters: Mapping[str, Any]) -> Forgotten:
    """With `auto` as much of `erase` as costs the images that choose no more than it may, in whole images
    first; the accuracy at places, by which methods keep to their budget, falls sooner than what is found in
    images."""
    check_parameters(method, parameters)
    if method in ("auto", "erase"):
        check_depth(method, parameters.get("depth", DEEP))
    if method == "erase" and parameters.get("depth") == DEEP:
        return _everywhere(places, method, parameters, hide=False)
    if method == "auto":
        for name, way, tried in _tries(places, parameters):
            with suppress(UnsupportedError):  # then others may do; or auto says why nothing can be done
                done = way(places, "erase", tried, hide=True)
                if _is_affordable(places, done):
                    asked = {**done.asked, "method": method, "parameters": dict(parameters)}
                    return replace(done, asked=asked)
                places.detector.options.progress(f"erase with a {name} costs too much")
    return _head_by_head(places, method, parameters, hide=method == "auto")


def _tries(places: Places, parameters: Mapping[str, Any]) -> Iterator[tuple[str, "_Way", dict[str, Any]]]:
    """What `auto` tries one after another: in words, how, and with what."""
    for beta in _STRENGTHS:
        yield f"strength of {beta:g} in whole images", _everywhere, {"beta": beta, **parameters}
    for share in _SHARES:
        yield f"share of {share:g} head by head", _head_by_head, {"share": share, **parameters}


def _is_affordable(places: Places, done: Forgotten) -> bool:
    """Whether the other classes lose no more than they may, on the images that choose."""
    detector = places.detector
    found = detector.detected({"edited": done.edited.model()}, places.choosing)
    once = np.ones(len(places.choosing.truth), int)

    def lost(classes: list[int], *, half: bool) -> float:
        was, left = (found.ap(name, classes, once, half=half) for name in ("original", "edited"))
        return was - left

    worst = max((lost([c], half=True) for c in found.present), default=0.0)
    return worst <= CLASS_DROP and lost(found.present, half=False) <= detector.options.max_retain_drop


def _everywhere(places: Places, method: str, parameters: Mapping[str, Any], *, hide: bool) -> Forgotten:
    """All heads together, in whole images, and what lies before them."""
    detector = places.detector
    outcome = forget_everywhere(detector, places.choosing, parameters)
    detector.engine.sessions.clear()
    arrays = dict(outcome.edits.arrays)
    for head in places.of if hide else ():
        model = Edited.of(detector.model, arrays, detector.files).model()
        arrays |= _silenced(places.fit(head, model), detector.inquiry(head, model))
    fit = places.fit(next(iter(places.of)), detector.model)
    depth = f"layers {', '.join(outcome.details['layers'])}"
    asked, outcomes = fit.asked(method, parameters), dict.fromkeys(places.of, outcome)
    return _forgotten(places, fit, arrays, outcomes, asked, depth)


def _head_by_head(places: Places, method: str, parameters: Mapping[str, Any], *, hide: bool) -> Forgotten:
    """The heads one after another, each of the model as it is by then."""
    detector, first = places.detector, None
    model, arrays, outcomes, depths = detector.model, dict[str, np.ndarray](), dict[int, Outcome](), []
    for head in places.of:
        detector.options.progress(f"head {head + 1} of {len(detector.heads)}")
        fit = places.fit(head, model)
        first = first or fit
        decision = fit.decide(method, parameters)
        detector.engine.sessions.clear()
        outcomes[head] = decision.outcome
        depths.append(decision.depth)
        arrays |= decision.outcome.edits.arrays
        model = Edited.of(detector.model, arrays, detector.files).model()
        if hide:
            arrays |= _silenced(fit, detector.inquiry(head, model))
            model = Edited.of(detector.model, arrays, detector.files).model()
    assert first is not None
    asked = first.asked(method, parameters)
    return _forgotten(places, first, arrays, outcomes, asked, "; ".join(dict.fromkeys(depths)))


def _forgotten(
    places: Places,
    fit: Fit,
    arrays: Mapping[str, np.ndarray],
    outcomes: Mapping[int, Outcome],
    asked: Mapping[str, Any],
    depth: str,
) -> Forgotten:
    """The file and its plan. fit: the first head's."""
    detector = places.detector
    about = {
        "options": asked,
        "names": [detector.labels.shown(c) for c in detector.forget],
        "engine": {"name": detector.engine.name, "providers": list(detector.engine.providers)},
        "versions": versions(),
        "probes": fit.described(),
    }
    data = {name: file.sha256 for name, file in detector.files.data.items()}
    plan = Plan.of(detector.model, arrays, {"forget": list(detector.forget), **about}, data)
    edited = Edited.of(detector.model, arrays, detector.files)
    return Forgotten(edited, outcomes, plan, asked, depth)


def _silenced(fit: Fit, edited: Inquiry) -> Mapping[str, np.ndarray]:
    """What hides the class's scores on top: what is left of them says the class nowhere, but scores far below
    any threshold still rank, and average precision counts ranks."""
    return run_method("mask", edited.bench(fit.choosing, fit.composite), {}).edits.arrays


#: (places, method, parameters, hide) -> what was forgotten. hide: the class's scores, on top
_Way = Callable[..., Forgotten]
