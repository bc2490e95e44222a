"""How a detector forgets: in whole images, or head by head, each as a classifier of places."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from onnxunlearn.choices import DEEP, LAST_BLOCK
from onnxunlearn.detectors.branches import Branches, check_branches
from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.gain import Gain, check_tells
from onnxunlearn.detectors.price import Price
from onnxunlearn.detectors.seen import Seen, nowhere
from onnxunlearn.detectors.whole import forget_everywhere, in_full
from onnxunlearn.edits import Plan
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.fitting import Fit
from onnxunlearn.graph import Edited, Model
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.inquiry.unnamed import Unnamed
from onnxunlearn.inquiry.unnamed_places import UnnamedPlaces
from onnxunlearn.judge.report import versions
from onnxunlearn.methods import Outcome, check_depth, check_parameters, run_method
from onnxunlearn.probes import Probes, beside
from onnxunlearn.relevance import Composite

#: how much the distance counts in whole images, and shares of the way there; and of the weights of a layer
#: the share that `erase` may change head by head: tried one after another
_STRENGTHS, _PARTS, _SHARES = (4.0, 1.0), (1.0, 0.8, 0.6), (1.0, 0.6)
#: the same of queries, of which all layers change
_OF_QUERIES = (2.0, 1.0)
#: the same in class branches
_IN_BRANCHES, _PARTS_OF_BRANCHES = (6.0, 2.0), (1.0, 0.5)
#: points beyond the budget from which on an edit in whole images is not made weaker, but given up: a descent
#: that threw the network off takes as long again
_HOPELESS = 5.0


@dataclass(frozen=True, eq=False)
class Forgotten:
    """edited: the file. outcomes: by the head's number. plan: of all heads together. asked: of whom and how,
    JSON-ready. depth: how far back it reaches."""

    edited: Edited
    outcomes: Mapping[int, Outcome]
    plan: Plan
    asked: Mapping[str, Any]
    depth: str

    def asking(self, method: str, parameters: Mapping[str, Any]) -> "Forgotten":
        """As an answer to what was asked in place of this."""
        return replace(self, asked={**self.asked, "method": method, "parameters": dict(parameters)})

    def because(self, reasons: Sequence[str], told: Mapping[str, Any]) -> "Forgotten":
        """With what speaks against all that would go deeper, and what images tell of this, in each outcome's
        details."""
        outcomes = {}
        for head, outcome in self.outcomes.items():
            why = "; ".join([*reasons, *filter(None, [outcome.details.get("why")])])  # a head has its own
            outcomes[head] = Outcome(outcome.edits, {**outcome.details, "why": why, **told})
        return replace(self, outcomes=outcomes)


@dataclass(frozen=True, eq=False)
class Places:
    """choosing, judged: images. of: by the head's number its places that choose, and those that judge; heads
    at whose places the class is nowhere are left out. rules: of relevance. retained: images that nobody
    named, if some were given."""

    detector: Detector
    choosing: Seen
    judged: Seen
    of: Mapping[int, tuple[Probes, Probes]]
    rules: Composite
    retained: Unnamed | None = None

    @classmethod
    def drawn(
        cls,
        detector: Detector,
        choosing: Seen,
        judged: Seen,
        rules: Composite,
        retained: Unnamed | None = None,
    ) -> "Places":
        """Raises InputError where the class is at no place of any head, in what chooses or in what judges."""
        found = {}
        for head in range(len(detector.heads)):
            if (own := detector.drawn(head, choosing, judge=False)) is not None:
                others = detector.drawn(head, judged, judge=True)
                found[head] = own, own.select([]) if others is None else others
        if not found:
            raise nowhere(choosing)
        if not any(len(others) for _, others in found.values()):
            raise nowhere(judged, f" in the {len(judged.truth)} of its images that judge")
        return cls(detector, choosing, judged, found, rules, retained)

    @property
    def held(self) -> Probes | None:
        """The images that nobody named and that choose."""
        given = self.retained
        return None if given is None or not len(given.choosing) else given.choosing

    def fit(self, head: int, model: Model) -> Fit:
        """One head. model: as far as it is edited."""
        own, judging = self.of[head]
        inquiry, given = self.detector.inquiry(head, model), self.choosing.scenes.given
        every, unnamed = own, None
        if self.retained is not None:
            places = self.detector.retained(head, self.held) if self.held else own.select([])
            unnamed = UnnamedPlaces.of_whole(self.retained, places)
            every = beside(own, places) if len(places) else own
        fit = Fit(inquiry, self.rules, own.origin, given, every, own, judging, 0, ())
        chosen_by = len(self.choosing.truth)
        return replace(fit, scenes=self.judged.scenes, chosen_by=chosen_by, retained=unnamed)


def forget_all(places: Places, method: str, parameters: Mapping[str, Any]) -> Forgotten:
    """With `auto` as much of `erase` as costs no more than it may, in whole images first, of which a sixth
    tells the cost and is not fitted to (head by head it is: fewer weights change there, and by the accuracy
    at places, which falls sooner than what is found in images). Where no image shows another class, and none
    was given to retain, head by head at once."""
    check_parameters(method, parameters)
    if method in ("auto", "erase"):
        check_depth(method, parameters.get("depth", DEEP))
    if method == "erase" and parameters.get("depth") == DEEP:
        done = next(_everywhere(places, places.choosing, parameters, (1.0,), hide=False))
        return done.asking(method, parameters)
    if method != "auto":
        return _head_by_head(places, method, parameters, hide=False)
    reasons: list[str] = []
    price = Price.of(places.detector, places.choosing)
    if not price.tells and places.held is None:
        reasons.append("no image shows another class: nothing tells what a deeper edit costs")
        return _head_by_head(places, method, parameters, hide=True).because(reasons, {})
    budget, hopeless = places.detector.options.max_retain_drop, False
    for attempt in _attempts(places, price, parameters):
        if attempt.in_whole_images and hopeless:
            continue
        try:
            for name, done, gain in attempt.offers():
                refused, told, points = price.asked(name, done.edited.model())
                if refused is None and gain is not None:
                    refused = gain.refused(name, done.edited.model())
                if refused is None:
                    return done.asking(method, parameters).because(reasons, told)
                places.detector.options.progress(refused)
                reasons.append(refused)
                if hopeless := attempt.in_whole_images and points > budget + _HOPELESS:
                    break
        except UnsupportedError as error:  # then others may do; or auto says why nothing can be done
            reasons.append(str(error))
    return _head_by_head(places, method, parameters, hide=True).because(reasons, {})


#: edits, by what they are in words, and what tells whether they bring anything, if that is asked
_Offers = Iterator[tuple[str, Forgotten, Gain | None]]


class _Attempt(NamedTuple):
    """offers: makes edits, each weaker than the one before."""

    offers: Callable[[], _Offers]
    in_whole_images: bool = False


def _attempts(places: Places, price: Price, parameters: Mapping[str, Any]) -> Iterator[_Attempt]:
    """What `auto` tries one after another, deepest first."""
    fitted = price.fitted
    if parameters.get("depth") != LAST_BLOCK and in_full(places.detector, fitted, parameters):
        for beta in _OF_QUERIES if places.detector.of_queries else _STRENGTHS:
            own = {"beta": beta, **parameters}
            yield _Attempt(partial(_in_parts, places, fitted, own), in_whole_images=True)
    yield _Attempt(partial(_in_branches, places, price, parameters))
    for share in _SHARES:
        yield _Attempt(partial(_of_a_share, places, {"share": share, **parameters}))


def _in_parts(places: Places, fitted: Seen, parameters: Mapping[str, Any]) -> _Offers:
    """In whole images, and weaker versions of that."""
    whole = f"erase at strength {parameters['beta']:g} in whole images"
    offered = _everywhere(places, fitted, parameters, _PARTS, hide=True)
    for share, done in zip(_PARTS, offered, strict=True):
        yield whole if share == 1 else f"{share:.0%} of {whole}", done, None


def _in_branches(places: Places, price: Price, parameters: Mapping[str, Any]) -> _Offers:
    """Where class scores alone are made, and weaker versions of that. Raises UnsupportedError where they are
    made alone nowhere, and where too few images tell what that brings."""
    detector, fitted, given = places.detector, price.fitted, places.retained
    check_branches(detector)  # first: more images would not help then
    retained = () if given is None else given.read
    if not retained:
        check_tells(detector, fitted, price.held)
    branches = Branches.of(detector, fitted, retained)
    check_tells(detector, fitted, price.held, branches.shown)
    more = branches.showing_among(price.held)
    held = [price.held] * (price.held is not fitted) + ([] if more is None else [more])
    gain = Gain.of(detector, fitted, held)
    for beta in _IN_BRANCHES:
        own = {"beta": beta, **parameters}
        outcomes = branches.forget(own, _PARTS_OF_BRANCHES)
        whole = f"erase at strength {own['beta']:g} in the class branches"
        offered = _together(places, outcomes, own, hide=True)
        for share, done in zip(_PARTS_OF_BRANCHES, offered, strict=True):
            yield whole if share == 1 else f"{share:.0%} of {whole}", done, gain


def _of_a_share(places: Places, parameters: Mapping[str, Any]) -> _Offers:
    """Head by head."""
    done = _head_by_head(places, "erase", parameters, hide=True)
    yield f"erase of a share of {parameters['share']:g} head by head", done, None


def _everywhere(
    places: Places, seen: Seen, parameters: Mapping[str, Any], shares: Sequence[float], *, hide: bool
) -> Iterator[Forgotten]:
    """All heads together, in whole images, and what lies before them; by share of the way there. seen: the
    images."""
    outcomes = forget_everywhere(places.detector, seen, parameters, shares, places.held)
    return _together(places, outcomes, parameters, hide=hide)


def _together(
    places: Places, outcomes: Sequence[Outcome], parameters: Mapping[str, Any], *, hide: bool
) -> Iterator[Forgotten]:
    """Edits of all heads as files. hide: the class's scores, too."""
    detector = places.detector
    for outcome in outcomes:
        detector.engine.sessions.clear()
        arrays = dict(outcome.edits.arrays)
        for head in places.of if hide else ():
            model = Edited.of(detector.model, arrays, detector.files).model()
            arrays |= _silenced(places.fit(head, model), detector.inquiry(head, model))
        fit = places.fit(next(iter(places.of)), detector.model)
        depth = f"layers {', '.join(outcome.details['layers'])}"
        asked = fit.asked("erase", parameters)
        yield _forgotten(places, fit, arrays, dict.fromkeys(places.of, outcome), asked, depth)


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
