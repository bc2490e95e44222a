"""A detector forgets: head by head, each as a classifier of places, and is judged by its boxes."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.detector import Detector, Seen
from onnxunlearn.edits import Plan
from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.graph import Edited, Model
from onnxunlearn.judge.report import about_run, versions
from onnxunlearn.methods import Outcome, check_parameters, run_method
from onnxunlearn.probes import Probes, Source, copy_groups, one_of_each, split_mask
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
    sides = Probes(probes.feeds, seen.showing(detector.forgotten).astype(np.int64), probes.source)
    groups = copy_groups(sides)
    judging = split_mask(sides, detector.options.seed, groups)
    alone = one_of_each(sides, groups)
    choosing, judged = seen.select(~judging), seen.select(judging & alone)
    for c in detector.forgotten:
        if not (choosing.showing([c]).any() and judged.showing([c]).any()):
            count = int(seen.showing([c]).sum())
            raise InputError(
                f"{probes.source}: {count} images show {detector.objects.shown(c)}; at least 2 that differ "
                "are needed, one to choose by and one to judge"
            )
    return choosing, judged, len(groups) - len(np.unique(groups))


def fit_head(
    detector: Detector, head: int, model: Model, choosing: Seen, judged: Seen, rules: Composite
) -> Fit | None:
    """One head, and places that choose and judge; None where the class is at none of its places. model: as
    far as it is edited."""
    chosen = detector.drawn(head, choosing, judge=False, model=model)
    if chosen is None:
        return None
    inquiry, own = chosen
    others = detector.drawn(head, judged, judge=True)
    judging = own.select([]) if others is None else others[1]
    given, count = choosing.scenes.given, len(choosing.truth)
    scenes = judged.scenes
    return Fit(inquiry, rules, own.origin, given, own, own, judging, 0, (), scenes=scenes, chosen_by=count)


def forget_all(
    detector: Detector,
    choosing: Seen,
    judged: Seen,
    method: str,
    parameters: Mapping[str, Any],
    rules: Composite,
) -> tuple[Forgotten, dict[int, Fit]]:
    """With `auto` as much of `erase` as costs the images that choose no more than it may; the accuracy at
    places, by which methods keep to their budget, falls sooner than what is found in images."""
    check_parameters(method, parameters)
    if method == "auto":
        with suppress(UnsupportedError):  # then auto says what can be done, or why nothing
            for share in _SHARES:
                whole = {"share": share, **parameters}
                done, fits = _head_by_head(detector, choosing, judged, "erase", whole, rules, hide=True)
                if _is_affordable(detector, done, choosing):
                    asked = {**done.asked, "method": method, "parameters": dict(parameters)}
                    return replace(done, asked=asked), fits
                detector.options.progress(f"erase with a share of {share:g} costs too much")
    return _head_by_head(detector, choosing, judged, method, parameters, rules, hide=method == "auto")


def _is_affordable(detector: Detector, done: Forgotten, choosing: Seen) -> bool:
    """Whether the other classes lose no more than they may, on the images that choose."""
    found = detector.detected({"original": detector.model, "edited": done.edited.model()}, choosing)
    once = np.ones(len(choosing.truth), int)

    def lost(classes: list[int], *, half: bool) -> float:
        was, left = (found.ap(name, classes, once, half=half) for name in ("original", "edited"))
        return was - left

    worst = max((lost([c], half=True) for c in found.present), default=0.0)
    return worst <= CLASS_DROP and lost(found.present, half=False) <= detector.options.max_retain_drop


def _head_by_head(
    detector: Detector,
    choosing: Seen,
    judged: Seen,
    method: str,
    parameters: Mapping[str, Any],
    rules: Composite,
    *,
    hide: bool,
) -> tuple[Forgotten, dict[int, Fit]]:
    """The heads one after another, each of the model as it is by then; and each head's places."""
    model, arrays = detector.model, dict[str, np.ndarray]()
    outcomes: dict[int, Outcome] = {}
    fits: dict[int, Fit] = {}
    depths, asked = [], dict[str, Any]()
    edited = Edited.of(detector.model, arrays, detector.files)
    for head in range(len(detector.heads)):
        detector.options.progress(f"head {head + 1} of {len(detector.heads)}")
        fit = fit_head(detector, head, model, choosing, judged, rules)
        if fit is None:
            continue
        decision = fit.decide(method, parameters)
        detector.engine.sessions.clear()
        fits[head], outcomes[head], asked = fit, decision.outcome, dict(decision.asked)
        depths.append(decision.depth)
        arrays |= decision.outcome.edits.arrays
        edited = Edited.of(detector.model, arrays, detector.files)
        if hide:
            arrays |= _silenced(detector, head, edited.model(), fit, rules)
            edited = Edited.of(detector.model, arrays, detector.files)
        model = edited.model()
    if not fits:
        raise InputError(
            f"{choosing.scenes.probes.source}: the model finds the class at no place that is clear of the "
            "border; give more images that show it"
        )
    about = {
        "options": asked,
        "names": [detector.labels.shown(c) for c in detector.forget],
        "engine": {"name": detector.engine.name, "providers": list(detector.engine.providers)},
        "versions": versions(),
        "probes": next(iter(fits.values())).described(),
    }
    data = {name: file.sha256 for name, file in detector.files.data.items()}
    plan = Plan.of(detector.model, arrays, {"forget": list(detector.forget), **about}, data)
    return Forgotten(edited, outcomes, plan, asked, "; ".join(dict.fromkeys(depths))), fits


def _silenced(
    detector: Detector, head: int, model: Model, fit: Fit, rules: Composite
) -> Mapping[str, np.ndarray]:
    """What hides the class's scores on top: what is left of them says the class nowhere, but scores far below
    any threshold still rank, and average precision counts ranks."""
    bench = detector.inquiry(head, model).bench(fit.choosing, rules)
    return run_method("mask", bench, {}).edits.arrays


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
        done, fits = forget_all(detector, choosing, judged, method, parameters, rules)
    with clock("judge"):
        options.progress("judging the edited model")
        edited_model = done.edited.model()
        detected = detector.detected({"original": detector.model, "edited": edited_model}, judged)
        head = max(fits, key=lambda h: int(fits[h].judging.are(detector.forget).sum()))
        evidence, inquiry = _evidence(detector, head, fits[head], edited_model, detected, copies)
        findings = judge.judge(evidence, options.max_retain_drop, fits[head].labelled)
        changes = judge.diff(detector.model, edited_model, detector.seen)
    about = about_run(
        files=detector.files,
        logits=inquiry.reported,
        labels=detector.labels,
        edited=done.edited.data,
        options=done.asked,
        engine={"name": detector.engine.name, "providers": list(detector.engine.providers)},
        probes=fits[head].described(),
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
) -> tuple[judge.Evidence, Any]:
    """Of the head that says the class at most places, and of boxes in whole images."""
    inquiry = detector.inquiry(head)
    mask, notes = inquiry.mask(fit.choosing)
    subjects = {"original": inquiry.original, "edited": inquiry.subject(edited), "mask": mask}
    where = f"what attackers find is of places of {detector.called(head)}"
    more = (where,) if len(detector.heads) > 1 else ()
    evidence = judge.Evidence(
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
    return evidence, inquiry


def about_places(detector: Detector, detected: judge.Detected) -> dict[str, Any]:
    """What reports say besides."""
    places = detector.found.places
    return {
        "places": {
            "task": places.task,
            "scores": list(places.scores),
            "class_axis": places.class_axis,
            "place_axes": list(places.place_axes),
            "normaliser": places.normaliser,
            "heads": list(places.heads),
            "background": places.background,
            "judged": detected.judged,
        }
    }
