"""The whole way of the data, from a model file and probes to the edited model and its report."""

import logging
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn import judge
from onnxunlearn.arguments import check_number
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import InputError
from onnxunlearn.graph import (
    Edited,
    Inputs,
    Logits,
    ModelSource,
    Snapshot,
    check_inference,
    find_logits,
    load,
    not_finite,
)
from onnxunlearn.judge.report import build_report
from onnxunlearn.lowering import lower
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.probes import (
    Labels,
    Maker,
    Probes,
    Source,
    lacks_retained,
    load_probes,
    split,
    with_made,
)
from onnxunlearn.relevance import parse_composite
from onnxunlearn.sources import files_read
from onnxunlearn.targets import judged_by_probes

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What `unlearn` made. report: JSON-ready, see `judge.report`. labels: what the classes are called.
    inputs: the files it was made from, but for the model's."""

    edited: Edited = field(repr=False)
    report: dict[str, Any] = field(repr=False)
    labels: Labels = field(repr=False)
    inputs: Inputs = field(default_factory=dict, repr=False)

    @property
    def model_bytes(self) -> bytes:
        """The edited model's file; weights in other files are not in it (`save` writes those too)."""
        return self.edited.data

    @property
    def met(self) -> bool:
        """Whether no target was missed, of those that could be measured."""
        return bool(self.report["targets_met"])

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
    engine: str = "onnxruntime",
    providers: Sequence[str] = ("cpu",),
    max_retain_drop: float = 0.5,
    output_name: str | None = None,
    labels: Sequence[str] | None = None,
    preprocess: str | os.PathLike[str] | None = None,
    batch_size: int = 32,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> Result:
    """Make a copy of an ONNX classifier forget one or more classes.

    model: path, bytes or loaded model. forget: a class, several, or a text as `--forget` takes it, by the
    `labels`, those that the model declares, or the columns of its scores (see `probes.Labels`). data: probes,
    see `probes.load_probes`; those of the retained classes, or all of them, are made from the model where
    there are none. method and parameters: see `methods`. composite: see `relevance.composites`.
    max_retain_drop: points of retain accuracy that may be lost. progress: called with a line on what is being
    done.

    Raises InputError for bad input and UnsupportedError for a model that cannot be worked on; both are
    OnnxUnlearnError.
    """
    check_number("max_retain_drop", max_retain_drop, 0, 100)
    check_number("batch_size", batch_size, 1, whole=True)
    check_number("seed", seed, 0, whole=True)
    clock = Clock()
    with clock("load"):
        progress("loading")
        model = load(model)
        files = Snapshot.of(model)  # before anything is read from them
        seen = lower(model)  # float ops, whatever the file stores: what methods work on
        logits = find_logits(seen, output_name)
        check_inference(seen, logits)
        names = Labels.of(model, logits, labels).warned()
        classes = chosen_classes(forget, names)
        rules = parse_composite(composite)
        runner = create_engine(engine, providers)
        several = logits.independent
        maker = Maker(seen, logits, runner, batch_size, seed, progress)
        if data is not None:
            probes = load_probes(
                data, model, logits.classes, preprocess=preprocess, labels=names, several=several
            )
    if data is None:
        with clock("making probes"):
            probes = maker.from_noise(classes)

    def scores(probes: Probes) -> np.ndarray:
        return judge.scores(model, logits, runner, probes.feeds, batch_size)

    with clock("original"):
        progress("running the original")
        before = scores(probes)
        given = probes.labelled
        for line in (doubts := logits.doubts(before)):
            log.warning("%s", line)
        logits = logits.as_seen(seen, before)
        probes = with_classes(probes, before, classes, logits)
        alone = probes.made is None and lacks_retained(probes, classes, logits.classes)
        if alone and not given:  # what the model takes for other classes is of the forgotten ones, too
            probes = probes.of(classes)
        choosing, judging = split_for(classes, probes, names, seed)
    if alone:
        with clock("making probes"):
            examples = choosing.of(classes)
            made = maker.beside(examples, scores(examples), classes)
            choosing = with_made(choosing, replace(made, y=scores(made).argmax(axis=1)), classes)
    bench = Workbench(
        seen,
        logits,
        runner,
        choosing,
        classes,
        rules,
        max_retain_drop,
        batch_size,
        seed,
        progress,
    )
    with clock("search"):
        outcome = run_method(method, bench, dict(parameters or {}))
        edited = Edited.of(model, outcome.edits.arrays, files)
    with clock("judge"):
        progress("judging the edited model")
        edited_model = edited.model()
        original_scores = scores(judging)
        edited_scores = judge.scores(edited_model, logits, runner, judging.feeds, batch_size)
        assert choosing.y is not None
        assert judging.y is not None
        hidden = judge.hidden(original_scores, classes)
        figures = {
            name: judge.figures_of(said, judging.y, judging.labels, classes, logits.threshold)
            for name, said in (("original", original_scores), ("edited", edited_scores), ("mask", hidden))
        }
        # what is fitted on made probes says nothing of what real ones would bring back
        recovered = (
            None
            if choosing.made is not None
            else judge.recover(
                {"original": seen, "edited": lower(edited_model)},
                logits,
                runner,
                fitting=(choosing.feeds, choosing.y),
                judging=(judging.feeds, judging.y),
                forget=classes,
                batch_size=batch_size,
                seed=seed,
            )
        )
        changes = judge.diff(model, edited_model, seen)
    counts = judging.counts(logits.classes)
    reached, not_judged = judged_by_probes(figures, counts, classes, max_retain_drop, names)
    report = build_report(
        files=files,
        logits=logits,
        edited=edited.data,
        forget=classes,
        labels=names,
        options={
            "method": method,
            "parameters": dict(parameters or {}),
            "composite": rules.name,
            "max_retain_drop": max_retain_drop,
            "output_name": output_name,
            "preprocess": None if preprocess is None else Path(preprocess).name,
            "batch_size": batch_size,
            "seed": seed,
        },
        engine={"name": runner.name, "providers": list(runner.providers)},
        probes={
            **probes.origin,
            "labels": "given" if given else "from the model",
            "choosing": len(choosing),
            "judging": len(judging),
            "made": {"choosing": _made(choosing), "judging": _made(judging)},
        },
        figures=figures,
        attacks={"relearn": recovered},
        targets=reached,
        not_judged=not_judged,
        method={"name": method, "depth": bench.depth(outcome.edits), "details": outcome.details},
        changes=changes,
        notes=outcome.edits.notes,
        warnings=[*not_finite(model), *names.notes, *doubts],
        seconds=clock.seconds,
    )
    return Result(edited, report, names, files_read(data, preprocess, composite))


def chosen_classes(forget: int | str | Sequence[int], labels: Labels) -> tuple[int, ...]:
    """The columns of the classes to forget, checked. Raises InputError if one is unknown or none would
    remain."""
    text = forget if isinstance(forget, str) else ",".join(map(str, np.atleast_1d(forget).tolist()))
    classes = tuple(sorted(set(labels.parse(text))))
    if len(classes) == labels.classes:
        raise InputError(f"forget={text!r} names all {labels.classes} classes; at least one must remain")
    return classes


def with_classes(probes: Probes, scores: np.ndarray, forget: Sequence[int], logits: Logits) -> Probes:
    """The probes with a class each: their own, else what the model's `scores` [N, classes] say.

    Where each output decides for itself a sample may get several; see `Probes.focused`.
    """
    if not probes.labelled:
        decided = scores > logits.threshold
        labels = decided if logits.independent and (decided.sum(axis=1) != 1).any() else None
        probes = replace(probes, y=scores.argmax(axis=1).astype(np.int64), labels=labels)
    return probes if probes.labels is None else probes.focused(forget, scores)


def split_for(classes: Sequence[int], probes: Probes, labels: Labels, seed: int) -> tuple[Probes, Probes]:
    """Those that choose and those that judge.

    Raises InputError unless every forgotten class is in both; of what was made from the model none need be.
    """
    assert probes.y is not None
    for c in classes if probes.made is None else ():
        found = int(np.sum(probes.y == c))
        if found < 2:
            raise InputError(
                f"{probes.source}: {found} probes of {labels.shown(c)}; at least 2 are needed, "
                "one to choose by and one to judge"
            )
    return split(probes, seed)


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
