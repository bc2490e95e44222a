"""A detector forgets a class, and is judged by its boxes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from onnxunlearn import judge
from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.forget import Places, forget_all
from onnxunlearn.detectors.judging import as_evidence, judged
from onnxunlearn.detectors.seen import Seen
from onnxunlearn.edits import Plan
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.graph import Edited, Model
from onnxunlearn.inquiry.placing import too_few, two_sides
from onnxunlearn.inquiry.unnamed import Unnamed
from onnxunlearn.judge.report import about_run
from onnxunlearn.probes import Source
from onnxunlearn.relevance import parse_composite


def parts(detector: Detector, seen: Seen) -> tuple[Seen, Seen, int]:
    """The images that choose, and those that judge; and how many are copies of others. Raises InputError
    unless both show each class."""
    probes = seen.scenes.probes
    first, others, copies = two_sides(probes, seen.showing(detector.forgotten), detector.options.seed)
    choosing, judged = seen.select(first), seen.select(others)
    for c in detector.forgotten:
        if not (choosing.showing([c]).any() and judged.showing([c]).any()):
            count = int(seen.showing([c]).sum())
            show = "image shows" if count == 1 else "images show"
            raise too_few(f"{probes.source}: {count} {show} {detector.objects.shown(c)}")
    return choosing, judged, copies


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
        choosing, judging, copies = parts(detector, seen)
        every = seen.scenes.probes
        unnamed = Unnamed.whole(options, detector.model, data, every, choose=True, judge=True, unheld=True)
    with clock("search"):
        places = Places.drawn(detector, choosing, judging, rules, unnamed)
        done = forget_all(places, method, parameters)
    with clock("judge"):
        options.progress("judging the edited model")
        edited_model = done.edited.model()
        others = None if unnamed is None else unnamed.judging
        there = judged(detector, {"edited": edited_model}, judging, unnamed=others)
        head = max(places.of, key=lambda h: int(places.of[h][1].are(detector.forget).sum()))
        fit = places.fit(head, detector.model)
        evidence = _evidence(detector, head, fit, edited_model, there, copies)
        findings = judge.judge(evidence, options.max_retain_drop, fit.labelled)
        changes = judge.diff(detector.model, edited_model, detector.seen)
    about = about_run(
        files=detector.files,
        logits=fit.inquiry.reported,
        labels=detector.labels,
        edited=done.edited.content,
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
    about |= about_places(detector, there)
    return done.edited, replace(findings, about=about), done.plan


def _evidence(
    detector: Detector, head: int, fit: Fit, edited: Model, there: judge.Detected | judge.Placed, copies: int
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
        progress=detector.options.progress,
        **as_evidence(there, (*notes, *more)),
    )


def about_places(detector: Detector, there: judge.Detected | judge.Placed) -> dict[str, Any]:
    """What reports say besides."""
    places = detector.found.places
    return {"places": {**places.to_json(places.background), "judged": there.judged}}
