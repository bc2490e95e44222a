"""An audit of a detector: boxes in whole images, and the same attacks at places of one of its heads."""

from collections.abc import Sequence

import numpy as np

from onnxunlearn import judge
from onnxunlearn.detectors.detecting import about_places
from onnxunlearn.detectors.detector import Detector
from onnxunlearn.detectors.judging import as_evidence, judged
from onnxunlearn.detectors.seen import Seen, nowhere
from onnxunlearn.errors import InputError
from onnxunlearn.inquiry import Inquiry
from onnxunlearn.inquiry.compared import Compared
from onnxunlearn.inquiry.placing import alone
from onnxunlearn.inquiry.unnamed import Unnamed
from onnxunlearn.judge.report import about_audit
from onnxunlearn.place_audit import attacks_on, check_attacks
from onnxunlearn.probes import Probes, Source


def audit_detector(
    detector: Detector,
    compared: Compared,
    data: Source | None,
    attacks: Sequence[str] | None,
    *,
    by_layer: bool,
) -> judge.Findings:
    """`examine` for detectors. attacks: those to ask.

    Raises InputError for bad input, and for other attacks.
    """
    chosen, models = detector.options, compared.models
    check_attacks(attacks)
    found = {name: detector.like(model, name) for name, model in models.items()}
    chosen.progress("running the models")
    every = detector.read(data)
    once = alone(every.scenes.probes, np.zeros(len(every.truth), bool))
    seen = every.select(once)
    for c in detector.forgotten:
        if not seen.showing([c]).any():
            raise InputError(
                f"{seen.scenes.probes.source}: no image shows {detector.objects.shown(c)}; give some that do"
            )
    head, inquiry, probes = _most(detector, seen)
    mask, said = inquiry.mask(probes)
    original = inquiry.original
    subjects = {name: detector.subject(head, model, found[name], original) for name, model in models.items()}
    subjects |= {"original": original, "mask": mask}
    unnamed = Unnamed.whole(chosen, detector.model, data, every.scenes.probes, choose=False, judge=True)
    others = None if unnamed is None else unnamed.judging
    there = judged(detector, models, seen, found, others)
    asked, notes = attacks_on(original, probes, attacks, by_layer=by_layer)
    evidence = judge.Evidence(
        inquiry.task(probes),
        subjects,
        probes,
        probes,
        labels=detector.labels,
        thorough=by_layer or attacks is not None,
        attacks=asked,
        compared=True,
        seed=chosen.seed,
        copies=int((~once).sum()),
        departs=compared.departs,
        progress=chosen.progress,
        **as_evidence(there, (*said, *notes)),
    )
    origins = {"judging": probes.origin, **({} if unnamed is None else {"retain": unnamed.origin})}
    logits = dict.fromkeys(compared.files, inquiry.reported)
    about = about_audit(compared.files, logits, detector.labels, origins, compared.doubts(probes))
    about |= about_places(detector, there)
    by = "given" if seen.scenes.given else "from the original"
    return judge.judge(evidence, chosen.max_retain_drop, by, about)


def _most(detector: Detector, seen: Seen) -> tuple[int, Inquiry, Probes]:
    """The head that says the class at most places, and places of it. Raises InputError where none does."""
    drawn = {head: detector.drawn(head, seen, judge=True) for head in range(len(detector.heads))}
    there = {head: probes for head, probes in drawn.items() if probes is not None}
    if not there:
        raise nowhere(seen)
    best = max(there, key=lambda head: int(there[head].are(detector.forget).sum()))
    return best, detector.inquiry(best), there[best]
