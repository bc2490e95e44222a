"""An audit of a detector: boxes in whole images, and the same attacks at places of one of its heads."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from onnxunlearn import judge
from onnxunlearn.detecting import about_places
from onnxunlearn.detector import Detector, Seen
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, Snapshot
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.judge.report import about_audit
from onnxunlearn.place_audit import ATTACKS
from onnxunlearn.probes import Probes, Source, copy_groups, one_of_each


def audit_detector(
    detector: Detector,
    models: Mapping[str, Model],
    files: Mapping[str, Snapshot],
    data: Source | None,
    attacks: Sequence[str] | None,
    *,
    by_layer: bool,
    doubts: Callable[[Probes], Sequence[str]],
) -> judge.Findings:
    """`examine` for detectors. models: all but the original. attacks: those to ask, of ATTACKS. doubts: what
    is odd about the edited model.

    Raises InputError for bad input, and for other attacks.
    """
    chosen = detector.options
    if other := sorted(set(attacks or ()) - ATTACKS):
        raise InputError(
            f"attack {other[0]}: not where classes are said at places; give {', '.join(sorted(ATTACKS))}"
        )
    found = {name: detector.like(model, name) for name, model in models.items()}
    chosen.progress("running the models")
    seen, copies = _distinct(detector.read(data))
    for c in detector.forgotten:
        if not seen.showing([c]).any():
            raise InputError(
                f"{seen.scenes.probes.source}: no image shows {detector.objects.shown(c)}; give some that do"
            )
    head, inquiry, probes = _most(detector, seen)
    mask, said = inquiry.mask(probes)
    subjects = {name: detector.subject(head, model, found[name]) for name, model in models.items()}
    subjects = {**subjects, "original": inquiry.original, "mask": mask}
    judge.ask_together(list(subjects.values()), probes)
    detected = detector.detected({"original": detector.model, **models}, seen, found)
    evidence = judge.Evidence(
        inquiry.task(probes),
        subjects,
        probes,
        probes,
        labels=detector.labels,
        thorough=by_layer or attacks is not None,
        attacks=ATTACKS if attacks is None else frozenset(attacks),
        compared=True,
        seed=chosen.seed,
        copies=copies,
        notes=said,
        detected=detected,
        progress=chosen.progress,
    )
    logits = dict.fromkeys(files, inquiry.reported)
    about = about_audit(files, logits, detector.labels, {"judging": probes.origin}, doubts(probes))
    about |= about_places(detector, detected)
    by = "given" if seen.scenes.given else "from the original"
    return judge.judge(evidence, chosen.max_retain_drop, by, about)


def _distinct(seen: Seen) -> tuple[Seen, int]:
    """Without copies of others, and how many these are."""
    probes = seen.scenes.probes
    sides = Probes(probes.feeds, np.zeros(len(probes), np.int64), probes.source)
    alone = one_of_each(sides, copy_groups(sides))
    return seen.select(alone), int((~alone).sum())


def _most(detector: Detector, seen: Seen) -> tuple[int, Inquiry, Probes]:
    """The head that says the class at most places, and places of it. Raises InputError where none does."""
    best: tuple[int, Inquiry, Probes] | None = None
    for head in range(len(detector.heads)):
        if (drawn := detector.drawn(head, seen, judge=True)) is None:
            continue
        count = int(drawn[1].are(detector.forget).sum())
        if best is None or count > int(best[2].are(detector.forget).sum()):
            best = head, *drawn
    if best is None:
        raise InputError(
            f"{seen.scenes.probes.source}: the original finds the class at no place that is clear of the "
            "border; give more images that show it"
        )
    return best
