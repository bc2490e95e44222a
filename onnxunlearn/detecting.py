"""A detector forgets: head by head, each as a classifier of places, and is judged by its boxes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.detector import Detector, Seen, nowhere
from onnxunlearn.edits import Plan
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.graph import Edited, Model
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.judge.report import about_run, versions
from onnxunlearn.methods import Outcome, check_parameters, run_method
from onnxunlearn.placing import too_few, two_sides
from onnxunlearn.probes import Probes, Source
from onnxunlearn.relevance import Composite, parse_composite
from onnxunlearn.tasks.budget import CLASS_DROP

#: of the weights of a layer that `erase` may change, tried one after another
_SHARES = (1.0, 0.6)


@dataclass(frozen=True, eq=False)
class Forgotten:
    """edited: the file. outcomes: by the head's number. plan: of all heads together. asked: of whom and how,
    JSON-ready. depth: how far back it reaches."""

    edited: Edited
    outcomes: Mapping[int, Outcome]
    plan: Plan
    asked: Mapping[str, Any]
    depth: str


def parts(detector: Detector, seen: Seen) -> tuple[Seen, Seen, int]:
    """The images that choose, and those that judge; and how many are copies of others. Raises InputError
    unless both show each class."""
    probes = seen.scenes.probes
    first, others, copies = two_sides(probes, seen.showing(detector.forgotten), detector.options.seed)
    choosing, judged = seen.select(first), seen.select(others)
    for c in detector.forgotten:
        if not (choosing.showing([c]).any() and judged.showing([c]).any()):
            count = int(seen.showing([c]).sum())
            raise too_few(f"{probes.source}: {count} images show {detector.objects.shown(c)}")
    return choosing, judged, copies


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
    """With `auto` as much of `erase` as costs the images that choose no more than it may; the accuracy at
    places, by which methods keep to their budget, falls sooner than what is found in images."""
    check_parameters(method, parameters)
    if method == "auto":
        with suppress(UnsupportedError):  # then auto says what can be done, or why nothing
            for share in _SHARES:
                done = _head_by_head(places, "erase", {"share": share, **parameters}, hide=True)
                if _is_affordable(places, done):
                    asked = {**done.asked, "method": method, "parameters": dict(parameters)}
                    return replace(done, asked=asked)
                places.detector.options.progress(f"erase with a share of {share:g} costs too much")
    return _head_by_head(places, method, parameters, hide=method == "auto")


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


def _head_by_head(places: Places, method: str, parameters: Mapping[str, Any], *, hide: bool) -> Forgotten:
    """The heads one after another, each of the model as it is by then."""
    detector = places.detector
    model, arrays = detector.model, dict[str, np.ndarray]()
    outcomes: dict[int, Outcome] = {}
    depths, asked, described = [], dict[str, Any](), dict[str, Any]()
    edited = Edited.of(detector.model, arrays, detector.files)
    for head in places.of:
        detector.options.progress(f"head {head + 1} of {len(detector.heads)}")
        fit = places.fit(head, model)
        decision = fit.decide(method, parameters)
        detector.engine.sessions.clear()
        outcomes[head], asked, described = (
            decision.outcome,
            dict(decision.asked),
            described or fit.described(),
        )
        depths.append(decision.depth)
        arrays |= decision.outcome.edits.arrays
        edited = Edited.of(detector.model, arrays, detector.files)
        if hide:
            arrays |= _silenced(fit, detector.inquiry(head, edited.model()))
            edited = Edited.of(detector.model, arrays, detector.files)
        model = edited.model()
    about = {
        "options": asked,
        "names": [detector.labels.shown(c) for c in detector.forget],
        "engine": {"name": detector.engine.name, "providers": list(detector.engine.providers)},
        "versions": versions(),
        "probes": described,
    }
    data = {name: file.sha256 for name, file in detector.files.data.items()}
    plan = Plan.of(detector.model, arrays, {"forget": list(detector.forget), **about}, data)
    return Forgotten(edited, outcomes, plan, asked, "; ".join(dict.fromkeys(depths)))


def _silenced(fit: Fit, edited: Inquiry) -> Mapping[str, np.ndarray]:
    """What hides the class's scores on top: what is left of them says the class nowhere, but scores far below
    any threshold still rank, and average precision counts ranks."""
    return run_method("mask", edited.bench(fit.choosing, fit.composite), {}).edits.arrays


def unlearn_detector(
    detector: Detector,
    data: Source | None,
    method: str,
    parameters: Mapping[str, Any],
    composite: str,
) -> tuple[Edited, judge.Findings, Plan]:
    """`unlearn` for a detector. Raises InputError for bad input and UnsupportedError for a model that cannot
    be worked on."""
    options, clock, rules = detector.options, Clock(), parse_composite(composite)
    with clock("original"):
        options.progress("running the original")
        seen = detector.read(data)
        choosing, judged, copies = parts(detector, seen)
    with clock("search"):
        places = Places.drawn(detector, choosing, judged, rules)
        done = forget_all(places, method, parameters)
    with clock("judge"):
        options.progress("judging the edited model")
        edited_model = done.edited.model()
        detected = detector.detected({"edited": edited_model}, judged)
        head = max(places.of, key=lambda h: int(places.of[h][1].are(detector.forget).sum()))
        fit = places.fit(head, detector.model)
        evidence = _evidence(detector, head, fit, edited_model, detected, copies)
        findings = judge.judge(evidence, options.max_retain_drop, fit.labelled)
        changes = judge.diff(detector.model, edited_model, detector.seen)
    about = about_run(
        files=detector.files,
        logits=fit.inquiry.reported,
        labels=detector.labels,
        edited=done.edited.data,
        options=done.asked,
        engine={"name": detector.engine.name, "providers": list(detector.engine.providers)},
        probes=fit.described(),
        method={
            "name": method,
            "depth": done.depth,
            "details": {"heads": {detector.called(h): o.details for h, o in done.outcomes.items()}},
        },
        changes=changes,
        notes={t: note for o in done.outcomes.values() for t, note in o.edits.notes.items()},
        seconds=clock.seconds,
    )
    about |= about_places(detector, detected)
    return done.edited, replace(findings, about=about), done.plan


def _evidence(
    detector: Detector, head: int, fit: Fit, edited: Model, detected: judge.Detected, copies: int
) -> judge.Evidence:
    """Of the head that says the class at most places, and of boxes in whole images."""
    inquiry = fit.inquiry
    mask, notes = inquiry.mask(fit.choosing)
    subjects = {"original": inquiry.original, "edited": inquiry.subject(edited), "mask": mask}
    where = f"what attackers find is of places of {detector.called(head)}"
    more = (where,) if len(detector.heads) > 1 else ()
    return judge.Evidence(
        inquiry.task(fit.judging),
        subjects,
        fit.judging,
        fit.choosing,
        labels=detector.labels,
        seed=detector.options.seed,
        copies=copies,
        notes=(*notes, *more),
        detected=detected,
        progress=detector.options.progress,
    )


def about_places(detector: Detector, detected: judge.Detected) -> dict[str, Any]:
    """What reports say besides."""
    places = detector.found.places
    return {"places": {**places.to_json(places.background), "judged": detected.judged}}
