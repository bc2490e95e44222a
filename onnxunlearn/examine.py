"""An audit in one call: what an edited model has forgotten, what it cost, what can still be found in it."""

from collections.abc import Sequence
from typing import Unpack

from onnxunlearn import judge
from onnxunlearn.arguments import check_names
from onnxunlearn.detectors import loaded_detector
from onnxunlearn.detectors.audit import audit_detector
from onnxunlearn.embedders import Embedder
from onnxunlearn.embedders.forget import audit_identity
from onnxunlearn.errors import InputError
from onnxunlearn.graph import ModelSource, check_inference, find_logits
from onnxunlearn.inquiry import Forget, Inquiry, Options, Shared
from onnxunlearn.inquiry.compared import Compared, check_alike
from onnxunlearn.inquiry.sampling import attacked, few_tags, some_of
from onnxunlearn.inquiry.shared import read_shared
from onnxunlearn.inquiry.unnamed import Unnamed, check_named
from onnxunlearn.judge.report import about_audit
from onnxunlearn.lowering import lower
from onnxunlearn.place_audit import audit_places
from onnxunlearn.probes import Probes, SharedBy, Source, copy_groups, is_unread, one_of_each, pair_groups
from onnxunlearn.streams import UNHELD

#: what `examine` gives; the name it had
Examination = judge.Findings


def examine(
    original: ModelSource,
    edited: ModelSource,
    forget: Forget,
    data: Source | None = None,
    *,
    reference: ModelSource | Sequence[ModelSource] | None = None,
    training: Source | None = None,
    by_layer: bool = True,
    attacks: Sequence[str] | None = None,
    **options: Unpack[Shared],
) -> judge.Findings:
    """Judge an edited model on data that did not choose the edit.

    reference: a model retrained without the class, or several, of which figures are then the mean, with how
    many of their deviations the edited model is away; without one, what needs it is not judged. training:
    labelled samples that the original was trained on, of the forgotten and of other classes, for membership
    inference. by_layer: also what takes long: every attack but the head's refit and membership inference.
    attacks: names of those to ask, whatever they take; default all; see `judge.attack`. options: the fields
    of `inquiry.Options`. Data without y is labelled by the original. Raises InputError for bad input, also
    where the models do not fit each other or the original does not know the classes on the data, and
    UnsupportedError for a model that cannot be run.
    """
    chosen = Options(**options).with_pipe_read()
    check_named(data, forget, chosen)
    if attacks is not None:
        check_names("attacks", attacks)
    for name in attacks or ():
        judge.attack.choose(name)
    original, detector = loaded_detector(original, forget, chosen)
    if detector is not None:
        _refuse_training(training, "detection")
        compared = Compared.of(detector.model, detector.files, edited, reference).alike()
        return audit_detector(detector, compared, data, attacks, by_layer=by_layer)
    embedder = Embedder.of(original, forget, chosen)
    if embedder is not None:
        assert isinstance(forget, SharedBy)
        for name, unused in (("training", training), ("attacks", attacks)):
            if unused is not None:
                raise InputError(f"--{name}: is not covered for embeddings; leave it out")
        compared = Compared.of(embedder.model, embedder.files, edited, reference).alike()
        return audit_identity(embedder, compared, forget, data)
    inquiry = Inquiry.of(original, forget, chosen)
    compared = Compared.of(inquiry.model, inquiry.files, edited, reference)
    if inquiry.placing is not None:
        _refuse_training(training, inquiry.placing.found.task)
        return audit_places(inquiry, compared.alike(), data, attacks, by_layer=by_layer)
    return _audit_classifier(inquiry, compared, forget, data, training, attacks, by_layer=by_layer)


def _audit_classifier(
    inquiry: Inquiry,
    compared: Compared,
    forget: Forget,
    data: Source | None,
    training: Source | None,
    attacks: Sequence[str] | None,
    *,
    by_layer: bool,
) -> judge.Findings:
    chosen = inquiry.options
    fed, notes = compared.cast()
    seen = {name: lower(model) for name, model in fed.items()}
    logits = {name: find_logits(model, chosen.output_name) for name, model in seen.items()}
    for name, model in seen.items():
        check_inference(model, logits[name])
    fed, logits = {"original": inquiry.model, **fed}, {"original": inquiry.logits, **logits}
    check_alike(fed, logits)
    classes, progress = inquiry.forget, chosen.progress
    trained = None if training is None else inquiry.read(training, UNHELD)
    if trained is not None and not trained.labelled:
        raise InputError(f"{trained.source}: training samples have no y; give each one's class")
    progress("running the models")
    if isinstance(forget, SharedBy):
        inquiry, probes, given = read_shared(inquiry, forget, data, notes)
    else:
        inquiry, probes, given = _of_classes(inquiry, data, notes)
    logits["original"] = inquiry.logits
    task = inquiry.task(probes)
    learned = None
    if trained is not None:
        learned = attacked(inquiry.classified(trained), classes, chosen.seed)
        inquiry = inquiry.known(learned, given=True)
    if is_unread(probes.feeds):
        progress("looking for copies")
    once = one_of_each(probes, pair_groups(probes, copy_groups(probes)))
    copies = int((~once).sum())
    if copies:
        probes = probes.select(once)
    unnamed = None if data is None else Unnamed.of(inquiry, data, probes, choose=False, judge=True)
    mask, said = inquiry.mask(probes if classes else some_of(inquiry, probes))
    subjects = {name: inquiry.subject(model, logits[name]) for name, model in fed.items()}
    subjects = {**subjects, "original": inquiry.original, "mask": mask}
    evidence = judge.Evidence(
        task,
        subjects,
        probes,
        probes,
        unnamed=None if unnamed is None else unnamed.judging,
        training=learned,
        labels=inquiry.labels,
        thorough=by_layer or attacks is not None,
        attacks=None if attacks is None else frozenset(attacks),
        compared=True,
        seed=chosen.seed,
        copies=copies,
        notes=(*notes, *said),
        suspicions=inquiry.suspicions,
        departs=compared.departs,
        progress=progress,
    )
    labels = "given" if given else "from the original"
    sources = {"judging": probes, "training": trained, "retain": unnamed}
    origins = {name: found.origin for name, found in sources.items() if found is not None}
    doubts = [*inquiry.doubts, *inquiry.suspicions, *compared.doubts(probes)]
    about = about_audit(compared.files, logits, inquiry.labels, origins, doubts)
    return judge.judge(evidence, chosen.max_retain_drop, labels, about)


def _refuse_training(training: Source | None, kind: str) -> None:
    if training is not None:
        raise InputError(f"--training: membership inference is not covered for {kind}; leave it out")


def _of_classes(inquiry: Inquiry, data: Source | None, notes: list[str]) -> tuple[Inquiry, Probes, bool]:
    """With what is known of the samples, these, and whether the user said their classes."""
    if data is None:
        raise InputError("no samples to judge by; give them with --data")
    probes = few_tags(inquiry, inquiry.read(data, UNHELD), notes)
    given = probes.labelled
    inquiry = inquiry.as_seen(probes)
    probes = inquiry.classified(probes)
    if not probes.are(inquiry.forget).any():
        which = ", ".join(map(inquiry.labels.shown, inquiry.forget))
        raise InputError(f"{probes.source}: no sample of {which} to judge by")
    return inquiry.known(probes, given=given), probes, given
