"""An embedding forgets an identity, and is judged by pairs: `unlearn` and `examine` for such models."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.edits import Plan
from onnxunlearn.embedders.embedder import Embedder, names_of
from onnxunlearn.embedders.sampling import held, to_judge
from onnxunlearn.errors import InputError
from onnxunlearn.fitting import Clock
from onnxunlearn.graph import Edited
from onnxunlearn.inquiry.compared import Compared
from onnxunlearn.judge.report import about_audit, about_run, versions
from onnxunlearn.methods import check_parameters, run_method
from onnxunlearn.probes import Labels, Probes, SharedBy, Source, chained, copy_groups, is_unread
from onnxunlearn.relevance import parse_composite


def unlearn_identity(
    embedder: Embedder,
    asked: SharedBy,
    data: Source | None,
    method: str,
    parameters: Mapping[str, Any],
    composite: str,
) -> tuple[Edited, judge.Findings, Plan]:
    """`unlearn` for an embedding. Raises InputError for bad input and UnsupportedError for a model that
    cannot be worked on."""
    options, clock = embedder.options, Clock()
    check_parameters(method, parameters)
    rules = parse_composite(composite)
    with clock("original"):
        options.progress("reading")
        probes, names, notes = embedder.read(asked, data)
        choosing, judging, copies = embedder.parts(probes)
        if is_unread(probes.feeds):
            choosing = held(choosing, options.seed)
            judging = to_judge(judging, embedder.logits.classes, options.seed)
            notes.append(
                f"{len(choosing):,} of {len(probes):,} samples choose and {len(judging):,} judge, drawn with "
                f"seed {options.seed}"
            )
    with clock("search"):
        bench = embedder.bench(choosing, rules)
        outcome = run_method(method, bench, dict(parameters))
        depth = bench.depth(outcome.edits)
        embedder.engine.sessions.clear()
        edited = Edited.of(embedder.model, outcome.edits.arrays, embedder.files)
    described = {
        **probes.origin,
        "labels": "given",
        "choosing": len(choosing),
        "judging": len(judging),
        "made": {"choosing": 0, "judging": 0},
    }
    engine = {"name": embedder.engine.name, "providers": list(embedder.engine.providers)}
    said = {"method": method, "parameters": dict(parameters), "composite": rules.name, **options.to_json()}
    with clock("judge"):
        options.progress("judging the edited model")
        edited_model = edited.model()
        both = joined(choosing, judging)
        subjects = {
            "original": embedder.original,
            "edited": embedder.subject(edited_model),
            "mask": embedder.mask(choosing),
        }
        identified = judge.Identified(
            subjects,
            both,
            np.arange(len(both)) < len(choosing),
            shown(names),
            names_of(probes.origin["shared"]["with"]),
            options.seed,
            tuple(notes),
            options.progress,
        )
        changes = judge.diff(embedder.model, edited_model, embedder.seen)
        findings = identified.findings(options.max_retain_drop, copies, embedder.logits.classes)
    about = about_run(
        files=embedder.files,
        logits=embedder.logits,
        labels=Labels(embedder.logits.classes),
        edited=edited.content,
        options=said,
        engine=engine,
        probes=described,
        method={"name": method, "depth": depth, "details": outcome.details},
        changes=changes,
        notes=outcome.edits.notes,
        seconds=clock.seconds,
    )
    made_by = {"forget": [], "names": [], "options": said, "engine": engine, "versions": versions()}
    plan = Plan.of(
        embedder.model,
        outcome.edits.arrays,
        {**made_by, "probes": described},
        {name: file.sha256 for name, file in embedder.files.data.items()},
    )
    return edited, replace(findings, about=about), plan


def audit_identity(
    embedder: Embedder,
    compared: Compared,
    asked: SharedBy,
    data: Source | None,
) -> judge.Findings:
    """`examine` for an embedding. Raises InputError for bad input."""
    options = embedder.options
    options.progress("reading")
    every, names, notes = embedder.read(asked, data)
    groups = copy_groups(every)
    once = groups == np.arange(len(groups))
    probes = to_judge(every.select(once), embedder.logits.classes, options.seed)
    assert probes.y is not None
    if len(probes) < once.sum():
        notes.append(
            f"{len(probes):,} of {once.sum():,} samples judge, drawn with seed {options.seed}: of all there "
            "is no room for embeddings"
        )
    for k, part in enumerate(asked.each):
        if (probes.y == -1 - k).sum() < 2:
            where = part if isinstance(part, str | os.PathLike) else every.source
            raise InputError(f"{where}: fewer than two samples of the identity differ; give more")
    subjects = {name: embedder.like(model, name) for name, model in compared.models.items()}
    subjects = {**subjects, "original": embedder.original, "mask": embedder.mask(held(probes, options.seed))}
    identified = judge.Identified(
        subjects,
        probes,
        None,
        shown(names),
        names_of(probes.origin["shared"]["with"]),
        options.seed,
        tuple(notes),
        options.progress,
    )
    findings = identified.findings(options.max_retain_drop, int((~once).sum()), embedder.logits.classes)
    logits = dict.fromkeys(compared.files, embedder.logits)
    labels = Labels(embedder.logits.classes)
    about = about_audit(compared.files, logits, labels, {"judging": probes.origin}, compared.doubts(probes))
    targets = judge.none_passed(findings.targets, judge.DEPARTS if compared.departs else "")
    return replace(findings, about=about, targets=targets)


def joined(choosing: Probes, judging: Probes) -> Probes:
    """Both, one after the other."""
    marks: dict[str, Any] = {
        name: np.concatenate([getattr(choosing, name), getattr(judging, name)])
        for name in ("y", "shared", "pair")
    }
    feeds = {n: chained([v, judging.feeds[n]]) for n, v in choosing.feeds.items()}
    return Probes(feeds, source=choosing.source, origin=choosing.origin, **marks)


def shown(names: Sequence[str]) -> Callable[[int], str]:
    """What another identity is called, by its number."""
    return lambda who: names[who] if names else str(who)
