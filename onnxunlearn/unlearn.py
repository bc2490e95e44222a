"""The whole way of the data, from a model file and probes to the edited model and its report."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

from onnxunlearn import judge
from onnxunlearn.detectors import loaded_detector
from onnxunlearn.detectors.detecting import unlearn_detector
from onnxunlearn.edits.plan import Plan
from onnxunlearn.embedders import Embedder
from onnxunlearn.embedders.forget import unlearn_identity
from onnxunlearn.errors import InputError
from onnxunlearn.fitting import Clock, Fit
from onnxunlearn.frozen import freeze, plain
from onnxunlearn.graph import Edited, Inputs, ModelSource
from onnxunlearn.inquiry import Forget, Options, Shared
from onnxunlearn.judge.report import about_run
from onnxunlearn.probes import Labels, SharedBy, Source
from onnxunlearn.sources import files_read, model_files


@dataclass(frozen=True)
class Result:
    """What `unlearn` made. plan: what was decided, by which any copy of the original becomes the edited
    model. findings: what judging it found, and how it came about. inputs: the files it was made from, the
    model's among them, each with what it is. None of it can be changed."""

    edited: Edited = field(repr=False)
    findings: judge.Findings = field(repr=False)
    plan: Plan = field(repr=False)
    labels: Labels = field(repr=False)
    inputs: Inputs = field(default_factory=dict, repr=False)
    _saved: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        freeze(self, "inputs")

    def __repr__(self) -> str:
        """What was forgotten, by which method, and what became of the targets; met as the property says."""
        found = self.findings
        what = self.labels.listed(found.forget) if found.forget else "what the samples share"
        used = found.about["method"]
        chosen = used["details"].get("chosen")
        how = used["name"] if chosen is None else f"{used['name']} ({chosen})"
        counts = found.statuses
        told = [f"{counts[kind]} {kind}" for kind in counts if counts[kind]]
        return f"<Result: {what} forgotten by {how}; targets: {', '.join(told)}; met={self.met}>"

    @property
    def report(self) -> dict[str, Any]:
        """What judging found and how it all came about, JSON-ready; see `judge.schema`. A new copy each time:
        whatever is written into it, all else here stays. Once saved, it says as what."""
        report = self.findings.to_json()
        for name, value in plain(self._saved).items():
            report[name] = {**report[name], **value} if name == "changes" else value
        return report

    def told(self, input_shapes: Sequence[str], beside: Sequence[Path] = ()) -> dict[str, Any]:
        """The report with what only its caller knows: sizes that inputs were given before, and, once it is
        saved, which files were written beside the edited model's."""
        report = self.report
        report["options"]["input_shapes"] = list(input_shapes)
        if beside:
            edited = report["edited"]
            models = [file["path"] for file in (edited, *edited.get("data", ()))]
            report["written"] = [*models, *(path.name for path in beside)]
        return report

    @property
    def model_bytes(self) -> bytes:
        """The edited model's file. Raises InputError where weights lie in other files, of which it would name
        the original's: `save` writes those, too."""
        if self.edited.outside:
            raise InputError(
                "the edited model has weights in files of its own, which bytes cannot name; save() it"
            )
        return self.edited.data

    @property
    def met(self) -> bool:
        """Whether no figure that counts is on the wrong side of its limit."""
        return self.findings.met

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, keep: Inputs | None = None
    ) -> Path:
        """Write the edited model, with data files of its own if the original has some, whole or not at all;
        what it was made from is never written. From then on `report` says what the files are called, and what
        sums they have.

        keep: more files that must not be written, each with what it is. Raises InputError if something is in
        the way, the disk is full, or the original is no longer what it was.
        """
        out, *others = self.edited.save(path, overwrite, {**self.inputs, **(keep or {})})
        sizes = self.report["changes"]["sizes"][0], sum(file.stat().st_size for file in (out, *others))
        self._saved["edited"] = judge.describe_files(out, others)
        self._saved["changes"] = {"renamed": self.edited.renamed(out), "sizes": sizes}
        return out


def unlearn(
    model: ModelSource,
    forget: Forget,
    data: Source | None = None,
    *,
    method: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    composite: str = "lra_npp",
    **options: Unpack[Shared],
) -> Result:
    """Make a copy of an ONNX model forget one or more classes, or what some samples share.

    It may be a classifier, of inputs or of places in them, a detector or an embedder; the file tells which,
    or `options` say it.

    model: path, bytes or loaded model. forget: a class, several, or a text as `--forget` takes it, by the
    `labels`, those that the model declares, or the columns of its scores (see `probes.Labels`); or `SharedBy`
    samples, and the classes stay. data: probes,
    see `probes.load_probes`; those of the retained classes, or all of them, are made from the model where
    there are none. method and parameters: see `methods`. composite: see `relevance.composites`. options: the
    fields of `inquiry.Options`.

    Raises InputError for bad input, also where the model does not know the classes on the probes, and
    UnsupportedError for a model that cannot be worked on; both are OnnxUnlearnError.
    """
    chosen = Options(**options).with_pipe_read()
    clock, progress = Clock(), chosen.progress
    model, detector = loaded_detector(model, forget, chosen)
    if detector is not None:
        made = unlearn_detector(detector, data, method, parameters or {}, composite)
        read = files_read(data, chosen.preprocess_path, composite)
        read = {**files_read(chosen.retain, None, None), **read}
        return Result(*made, detector.labels, {**read, **model_files(detector.model)})
    embedder = Embedder.of(model, forget, chosen)
    if embedder is not None:
        assert isinstance(forget, SharedBy)
        made = unlearn_identity(embedder, forget, data, method, parameters or {}, composite)
        read = files_read(data, chosen.preprocess_path, composite)
        read = {**_files_of(forget), **read, **model_files(embedder.model)}
        return Result(*made, Labels(embedder.logits.classes), read)
    fit = Fit.of(model, forget, data, composite, chosen, clock, hold_back=True)
    inquiry, choosing, judging = fit.inquiry, fit.choosing, fit.judging
    with clock("search"):
        decision = fit.decide(method, parameters or {}, to_judge=True)
        outcome = decision.outcome
        inquiry.engine.sessions.clear()  # what a method tried with takes more memory than what is judged
        edited = Edited.of(inquiry.model, outcome.edits.arrays, inquiry.files)
    with clock("judge"):
        progress("judging the edited model")
        edited_model = edited.model()
        mask, notes = inquiry.mask(choosing)
        subjects = {"original": inquiry.original, "edited": inquiry.subject(edited_model), "mask": mask}
        if decision.features is not None:  # a run over all that choose is two thirds of judging
            tensor, values = decision.features
            subjects["edited"].note_features(fit.exposed, tensor, values[: len(fit.exposed)])
        placed = None
        if fit.scenes is not None:
            retained = None if fit.retained is None else fit.retained.judging
            placed = inquiry.placed(subjects, fit.scenes, retained)
        evidence = judge.Evidence(
            inquiry.task(judging),
            subjects,
            judging,
            fit.exposed,
            labels=inquiry.labels,
            seed=chosen.seed,
            copies=fit.copies,
            unnamed=None if fit.unnamed is None else fit.unnamed.judging,
            notes=(*fit.notes, *notes),
            suspicions=inquiry.suspicions,
            placed=placed,
            progress=progress,
        )
        findings = judge.judge(evidence, chosen.max_retain_drop, fit.labelled)
        changes = judge.diff(inquiry.model, edited_model, inquiry.seen)
    about = about_run(
        files=inquiry.files,
        logits=inquiry.reported,
        labels=inquiry.labels,
        edited=edited.content,
        options=decision.asked,
        engine={"name": inquiry.engine.name, "providers": list(inquiry.engine.providers)},
        probes=fit.described(),
        method={"name": method, "depth": decision.depth, "details": outcome.details},
        changes=changes,
        notes=outcome.edits.notes,
        seconds=clock.seconds,
    )
    about |= inquiry.about_places(placed)
    about["warnings"] += [*inquiry.doubts, *inquiry.suspicions]
    inputs = {**files_read(data, chosen.preprocess_path, composite), **model_files(inquiry.model)}
    inputs = {**files_read(chosen.retain, None, None), **inputs}
    if isinstance(forget, SharedBy):
        inputs = {**_files_of(forget), **inputs}
    return Result(edited, replace(findings, about=about), decision.plan, inquiry.labels, inputs)


def _files_of(shared: SharedBy) -> dict[Path, str]:
    found = files_read(shared.like, None, None)
    for source in shared.each:
        found |= files_read(source, None, None)
    return found
