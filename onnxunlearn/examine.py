"""An audit in one call: what an edited model has forgotten, what it cost, what can still be found in it."""

import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Unpack

from onnx.helper import tensor_dtype_to_np_dtype

from onnxunlearn import judge
from onnxunlearn.arguments import check_names
from onnxunlearn.detectors import Detector, loaded_detector
from onnxunlearn.detectors.audit import audit_detector
from onnxunlearn.embedders import Embedder
from onnxunlearn.embedders.forget import audit_identity
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Logits, Model, ModelSource, Snapshot, check_inference, find_logits, load
from onnxunlearn.graph.input_types import float_inputs, with_float_inputs
from onnxunlearn.inquiry import Forget, Inquiry, Options, Shared
from onnxunlearn.inquiry.sampling import attacked, few_tags, some_of
from onnxunlearn.inquiry.shared import read_shared
from onnxunlearn.inquiry.unnamed import Unnamed, check_named
from onnxunlearn.judge.report import about_audit
from onnxunlearn.lowering import lower
from onnxunlearn.place_audit import audit_places
from onnxunlearn.probes import Probes, SharedBy, Source, copy_groups, is_unread, one_of_each, pair_groups
from onnxunlearn.streams import UNHELD
from onnxunlearn.tasks import independent

log = logging.getLogger(__name__)

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
    of `options.Options`. Data without y is labelled by the original. Raises InputError for bad input, also
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
        return _of_detector(detector, edited, reference, data, training, attacks, by_layer=by_layer)
    embedder = Embedder.of(original, forget, chosen)
    if embedder is not None:
        assert isinstance(forget, SharedBy)
        return _of_identity(embedder, forget, edited, reference, data, training, attacks)
    inquiry = Inquiry.of(original, forget, chosen)
    models = {"edited": load(edited), **_references(reference)}
    files = {"original": inquiry.files, **{name: Snapshot.of(model) for name, model in models.items()}}
    if inquiry.placing is not None:
        if training is not None:
            kind = inquiry.placing.found.task
            raise InputError(f"--training: membership inference is not covered for {kind}; leave it out")
        every = {"original": inquiry.model, **models}
        check_inputs(every)
        told = partial(_doubts, every)
        return audit_places(inquiry, models, files, data, attacks, by_layer=by_layer, doubts=told)
    fed, notes = _fed(models, inquiry.model)
    seen = {name: lower(model) for name, model in fed.items()}
    logits = {name: find_logits(model, chosen.output_name) for name, model in seen.items()}
    for name, model in seen.items():
        check_inference(model, logits[name])
    models, logits = {"original": inquiry.model, **models}, {"original": inquiry.logits, **logits}
    fed = {"original": inquiry.model, **fed}
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
    judge.ask_together(list(subjects.values()), probes)
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
        progress=progress,
    )
    labels = "given" if given else "from the original"
    sources = {"judging": probes, "training": trained, "retain": unnamed}
    origins = {name: found.origin for name, found in sources.items() if found is not None}
    doubts = [*inquiry.doubts, *inquiry.suspicions, *_doubts(models, probes)]
    about = about_audit(files, logits, inquiry.labels, origins, doubts)
    return judge.judge(evidence, chosen.max_retain_drop, labels, about)


def _of_detector(
    detector: Detector,
    edited: ModelSource,
    reference: ModelSource | Sequence[ModelSource] | None,
    data: Source | None,
    training: Source | None,
    attacks: Sequence[str] | None,
    *,
    by_layer: bool,
) -> judge.Findings:
    if training is not None:
        raise InputError("--training: membership inference is not covered for detection; leave it out")
    models = {"edited": load(edited), **_references(reference)}
    files = {"original": detector.files, **{name: Snapshot.of(model) for name, model in models.items()}}
    every = {"original": detector.model, **models}
    check_inputs(every)
    doubts = partial(_doubts, every)
    return audit_detector(detector, models, files, data, attacks, by_layer=by_layer, doubts=doubts)


def _of_identity(
    embedder: Embedder,
    forget: SharedBy,
    edited: ModelSource,
    reference: ModelSource | Sequence[ModelSource] | None,
    data: Source | None,
    training: Source | None,
    attacks: Sequence[str] | None,
) -> judge.Findings:
    for name, given in (("training", training), ("attacks", attacks)):
        if given is not None:
            raise InputError(f"--{name}: is not covered for embeddings; leave it out")
    models = {"edited": load(edited), **_references(reference)}
    files = {"original": embedder.files, **{name: Snapshot.of(model) for name, model in models.items()}}
    every = {"original": embedder.model, **models}
    check_inputs(every)
    return audit_identity(embedder, models, files, forget, data, partial(_doubts, every))


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


def _fed(models: Mapping[str, Model], original: Model) -> tuple[dict[str, Model], list[str]]:
    """The models as they take the original's probes, in another float type than theirs where they have one;
    and notes that say so."""
    found, notes = {}, []
    for name, model in models.items():
        types = float_inputs(model, original)
        found[name] = with_float_inputs(model, types)
        for own, given in sorted(set(types.values())):
            kinds = [str(tensor_dtype_to_np_dtype(kind)) for kind in (own, given)]
            notes.append(
                f"{_called(name, model)} takes {kinds[0]} where the original takes {kinds[1]}: samples are "
                "cast for it"
            )
    return found, notes


def _references(given: ModelSource | Sequence[ModelSource] | None) -> dict[str, Model]:
    """By name: "reference", "reference 2" …"""
    several: Sequence[ModelSource] = () if given is None else [given]  # type: ignore[list-item]
    if isinstance(given, list | tuple):
        several = given
    return {f"reference {i}" if i > 1 else "reference": load(source) for i, source in enumerate(several, 1)}


def _doubts(models: Mapping[str, Model], probes: Probes) -> list[str]:
    """What is odd about the edited model, beside what it answers; warned of."""
    found = []
    if nodes := judge.other_nodes(models["original"], models["edited"]):
        found.append(f"the edited model's graph is not the original's: it has {nodes} nodes")
    if judge.chose(models["edited"], probes.origin.get("sha256")):
        found.append(
            f"{probes.called}: these samples were given to the run that made the edit, and some of them "
            "chose it; judge with others"
        )
    for line in found:
        log.warning("%s", line)
    return found


def _called(name: str, model: Model) -> str:
    return f"the {name} model" if model.path is None else str(model.path)


def check_inputs(models: Mapping[str, Model]) -> None:
    """Raises InputError unless all take the inputs that the original takes."""
    wanted = {i.name for i in models["original"].inputs}
    for name, model in models.items():
        if (found := {i.name for i in model.inputs}) != wanted:
            raise InputError(
                f"{_called(name, model)}: its inputs are {', '.join(sorted(found))}, the original's are "
                f"{', '.join(sorted(wanted))}; give models that take the same inputs"
            )
        for i in model.inputs:
            kinds = [
                tensor_dtype_to_np_dtype(k)
                for k in (_kind(model, i.name), _kind(models["original"], i.name))
                if k
            ]
            if len({*kinds}) > 1:
                raise InputError(
                    f"{_called(name, model)}: takes {i.name!r} as {kinds[0]}, the original as {kinds[1]}; "
                    "convert one of the models to the type of the other"
                )


def _kind(model: Model, name: str) -> int:
    """The declared element type of an input, as ONNX numbers them."""
    return next(int(i.type.tensor_type.elem_type) for i in model.inputs if i.name == name)


def check_alike(models: Mapping[str, Model], logits: Mapping[str, Logits]) -> None:
    """Raises InputError unless all take the inputs, and know as many classes, as the original."""
    check_inputs(models)
    for name, model in models.items():
        where = _called(name, model)
        if logits[name].classes != logits["original"].classes:
            raise InputError(
                f"{where}: has {logits[name].classes} classes, the original {logits['original'].classes}; "
                "give models with the same classes (a reference keeps an output for the class it never saw)"
            )
        if len({independent(found) for found in (logits[name], logits["original"])}) > 1:
            raise InputError(
                f"{where}: its scores are behind {logits[name].normaliser}, the original's behind "
                f"{logits['original'].normaliser}; give models whose outputs mean the same"
            )
