"""The whole way of the data, from a model file and probes to the edited model and its report."""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from onnxunlearn import judge
from onnxunlearn.edits.plan import Plan
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Edited, Inputs, ModelSource
from onnxunlearn.inquiry import Inquiry, Options, Shared
from onnxunlearn.judge.report import about_run
from onnxunlearn.methods import run_method
from onnxunlearn.probes import Labels, Maker, Probes, Source, copies_among, lacks_retained, split, with_made
from onnxunlearn.relevance import parse_composite
from onnxunlearn.sources import files_read, model_files


@dataclass(frozen=True)
class Result:
    """What `unlearn` made. plan: what was decided, by which any copy of the original becomes the edited
    model. findings: what judging it found. report: the same and how it came about, JSON-ready; see
    `judge.schema`. inputs: the files it was made from, but for the model's."""

    edited: Edited = field(repr=False)
    findings: judge.Findings = field(repr=False)
    report: dict[str, Any] = field(repr=False)
    plan: Plan = field(repr=False)
    labels: Labels = field(repr=False)
    inputs: Inputs = field(default_factory=dict, repr=False)

    @property
    def model_bytes(self) -> bytes:
        """The edited model's file; weights in other files are not in it (`save` writes those too)."""
        return self.edited.data

    @property
    def met(self) -> bool:
        """Whether no figure that counts is on the wrong side of its limit."""
        return self.findings.met

    def save(
        self, path: str | os.PathLike[str], *, overwrite: bool = False, keep: Inputs | None = None
    ) -> Path:
        """Write the edited model, with data files of its own if the original has some, whole or not at all;
        what it was made from is never written. The report then says what the files are called, and what sums
        they have.

        keep: more files that must not be written, each with what it is. Raises InputError if something is in
        the way, the disk is full, or the original is no longer what it was.
        """
        out, *others = self.edited.save(path, overwrite, {**self.inputs, **(keep or {})})
        self.report["edited"] = judge.describe_files(out, others)
        return out


def unlearn(
    model: ModelSource,
    forget: int | str | Sequence[int],
    data: Source | None = None,
    *,
    method: str = "auto",
    parameters: Mapping[str, Any] | None = None,
    composite: str = "lra_npp",
    **options: Unpack[Shared],
) -> Result:
    """Make a copy of an ONNX classifier forget one or more classes.

    model: path, bytes or loaded model. forget: a class, several, or a text as `--forget` takes it, by the
    `labels`, those that the model declares, or the columns of its scores (see `probes.Labels`). data: probes,
    see `probes.load_probes`; those of the retained classes, or all of them, are made from the model where
    there are none. method and parameters: see `methods`. composite: see `relevance.composites`. options: the
    fields of `inquiry.Options`.

    Raises InputError for bad input, also where the model does not know the classes on the probes, and
    UnsupportedError for a model that cannot be worked on; both are OnnxUnlearnError.
    """
    chosen = Options(**options)
    clock, progress = Clock(), chosen.progress
    with clock("load"):
        progress("loading")
        inquiry = Inquiry.of(model, forget, chosen)
        maker = Maker(inquiry.seen, inquiry.logits, inquiry.engine, chosen.batch_size, chosen.seed, progress)
        rules = parse_composite(composite)
        if data is not None:
            probes = inquiry.read(data)
    classes = inquiry.forget
    if data is None:
        with clock("making probes"):
            probes = maker.from_noise(classes)
    with clock("original"):
        progress("running the original")
        inquiry = inquiry.as_seen(probes)
        given = probes.labelled
        probes = inquiry.classified(probes)
        inquiry = check_probes(inquiry, probes, given)
        alone = probes.made is None and lacks_retained(probes, classes, inquiry.logits.classes)
        if alone and not given:  # what the model takes for other classes is of the forgotten ones, too
            probes = probes.of(classes)
        choosing, judging = split(probes, chosen.seed)
        check_parts(inquiry, probes, choosing, judging)
    if alone:
        with clock("making probes"):
            examples = choosing.of(classes)
            made = maker.beside(examples, inquiry.scores(examples), classes)
            choosing = with_made(choosing, replace(made, y=inquiry.scores(made).argmax(axis=1)), classes)
    bench = inquiry.bench(choosing, rules)
    with clock("search"):
        outcome = run_method(method, bench, dict(parameters or {}))
        edited = Edited.of(inquiry.model, outcome.edits.arrays, inquiry.files)
    with clock("judge"):
        progress("judging the edited model")
        edited_model = edited.model()
        mask, notes = inquiry.mask(choosing)
        evidence = judge.Evidence(
            inquiry.task(judging),
            {"original": inquiry.original, "edited": inquiry.subject(edited_model), "mask": mask},
            judging,
            choosing,
            labels=inquiry.labels,
            seed=chosen.seed,
            copies=copies_among(probes),
            notes=notes,
            progress=progress,
        )
        labelled = "given" if given else "from the model"
        findings = judge.judge(evidence, chosen.max_retain_drop, labelled)
        changes = judge.diff(inquiry.model, edited_model, inquiry.seen)
    about = about_run(
        files=inquiry.files,
        logits=inquiry.logits,
        labels=inquiry.labels,
        edited=edited.data,
        options={
            "method": method,
            "parameters": dict(parameters or {}),
            "composite": rules.name,
            **chosen.to_json(),
        },
        engine={"name": inquiry.engine.name, "providers": list(inquiry.engine.providers)},
        probes={
            **probes.origin,
            "labels": labelled,
            "choosing": len(choosing),
            "judging": len(judging),
            "made": {"choosing": _made(choosing), "judging": _made(judging)},
        },
        method={"name": method, "depth": bench.depth(outcome.edits), "details": outcome.details},
        changes=changes,
        notes=outcome.edits.notes,
        seconds=clock.seconds,
    )
    about["warnings"] += inquiry.doubts
    findings = replace(findings, about=about)
    made_by = {name: about[name] for name in ("options", "versions", "probes")}
    plan = Plan.of(
        inquiry.model,
        outcome.edits.arrays,
        {"forget": list(classes), **made_by},
        {name: file.sha256 for name, file in inquiry.files.data.items()},
    )
    inputs = {**files_read(data, chosen.preprocess_path, composite), **model_files(inquiry.model)}
    return Result(edited, findings, findings.to_json(), plan, inquiry.labels, inputs)


def check_probes(inquiry: Inquiry, probes: Probes, given: bool) -> Inquiry:
    """`Inquiry.known`; of what was made from the model nothing is asked. given: whether the labels are.

    Raises InputError unless there are at least two probes of every forgotten class, and the model knows
    these classes on them.
    """
    if probes.made is not None:
        return inquiry
    assert probes.y is not None
    for c in inquiry.forget:
        found = int(np.sum(probes.y == c))
        if found < 2:
            raise InputError(
                f"{probes.source}: {found} probes of {inquiry.labels.shown(c)}; at least 2 are needed, "
                "one to choose by and one to judge"
            )
    return inquiry.known(probes, given=given)


def check_parts(inquiry: Inquiry, probes: Probes, choosing: Probes, judging: Probes) -> None:
    """Raises InputError unless every class to forget is in both parts: of copies one is as good as none."""
    for c in inquiry.forget if probes.made is None else ():
        if not all((part.y == c).any() for part in (choosing, judging) if part.y is not None):
            count = int(np.sum(probes.y == c))
            raise InputError(
                f"{probes.source}: the {count} probes of {inquiry.labels.shown(c)} hold too many copies; at "
                "least 2 that differ are needed, one to choose by and one to judge"
            )


def _made(probes: Probes) -> int:
    return 0 if probes.made is None else int(probes.made.sum())


class Clock:
    """Seconds spent in each named stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start
