"""The whole way of the data, from a model file and probes to the edited model and its report."""

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
from onnxunlearn.graph import Edited, Logits, ModelSource, check_inference, find_logits, load, not_finite
from onnxunlearn.judge.report import build_report
from onnxunlearn.judge.targets import judged_by_probes
from onnxunlearn.lowering import lower
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.probes import (
    Maker,
    Probes,
    Source,
    lacks_retained,
    load_probes,
    parse_classes,
    split,
    with_made,
)
from onnxunlearn.relevance import parse_composite
from onnxunlearn.tasks import hidden, independent, task_of


@dataclass(frozen=True)
class Result:
    """What `unlearn` made. report: JSON-ready, see `judge.report`."""

    edited: Edited = field(repr=False)
    report: dict[str, Any] = field(repr=False)

    @property
    def model_bytes(self) -> bytes:
        """The edited model's file; weights in other files are not in it (`save` writes those too)."""
        return self.edited.data

    @property
    def met(self) -> bool:
        """Whether no target was missed, of those that could be measured."""
        return bool(self.report["targets_met"])

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the edited model, with data files of its own if the original has some, whole or not at all;
        the original is never written. The report then says where it is, and what sums it has.

        Raises InputError if something is in the way or the disk is full.
        """
        out, *others = self.edited.save(path, overwrite=overwrite)
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

    model: path, bytes or loaded model. forget: class index, several, or names as `--forget` takes them (names
    need `labels`). data: probes, see `probes.load_probes`; those of the retained classes, or all of them, are
    made from the model where there are none. method and parameters: see `methods`. composite: see
    `relevance.composites`. max_retain_drop: points of retain accuracy that may be lost. progress: called with
    a line on what is being done.

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
        seen = lower(model)  # float ops, whatever the file stores: what methods work on
        logits = find_logits(seen, output_name)
        check_inference(seen, logits)
        classes = chosen_classes(forget, logits, labels)
        rules = parse_composite(composite)
        runner = create_engine(engine, providers)
        several = independent(logits)
        maker = Maker(seen, logits, runner, batch_size, seed, progress)
        if data is not None:
            probes = load_probes(
                data, model, logits.classes, preprocess=preprocess, labels=labels, several=several
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
        probes = with_classes(probes, before, classes, several)
        alone = probes.made is None and lacks_retained(probes, classes, logits.classes)
        if alone and not given:  # what the model takes for other classes is of the forgotten ones, too
            probes = probes.of(classes)
        choosing, judging = split_for(classes, probes, seed)
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
        edited = Edited.of(model, outcome.edits.arrays)
    with clock("judge"):
        progress("judging the edited model")
        edited_model = edited.model()
        original_scores = scores(judging)
        edited_scores = judge.scores(edited_model, logits, runner, judging.feeds, batch_size)
        assert choosing.y is not None
        assert judging.y is not None
        task = task_of(logits, classes, judging)
        masked = hidden(original_scores, classes)
        figures = {
            name: task.figures(said, task.truth(judging))
            for name, said in (("original", original_scores), ("edited", edited_scores), ("mask", masked))
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
    reached, not_judged = judged_by_probes(figures, counts, classes, max_retain_drop)
    report = build_report(
        model=model,
        logits=logits,
        edited=edited.data,
        forget=classes,
        labels=labels,
        options={
            "method": method,
            "parameters": dict(parameters or {}),
            "composite": composite,
            "max_retain_drop": max_retain_drop,
            "output_name": output_name,
            "preprocess": None if preprocess is None else str(preprocess),
            "batch_size": batch_size,
            "seed": seed,
        },
        engine={"name": runner.name, "providers": list(runner.providers)},
        probes={
            "source": probes.source,
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
        warnings=not_finite(model),
        seconds=clock.seconds,
    )
    return Result(edited, report)


def chosen_classes(
    forget: int | str | Sequence[int], logits: Logits, labels: Sequence[str] | None
) -> tuple[int, ...]:
    """The classes to forget, checked. Raises InputError if one is unknown or none would remain."""
    if labels is not None and len(labels) != logits.classes:
        raise InputError(f"{len(labels)} labels for {logits.classes} classes; give one name for each class")
    text = forget if isinstance(forget, str) else ",".join(map(str, np.atleast_1d(forget).tolist()))
    classes = tuple(sorted(set(parse_classes(text, logits.classes, list(labels) if labels else None))))
    if len(classes) == logits.classes:
        raise InputError(f"forget={text!r} names all {logits.classes} classes; at least one must remain")
    return classes


def with_classes(probes: Probes, scores: np.ndarray, forget: Sequence[int], several: bool) -> Probes:
    """The probes with a class each: their own, else what the model's `scores` [N, classes] say.

    several: whether each output decides for itself; of a sample's several classes see `Probes.focused`.
    """
    if not probes.labelled:
        decided = scores > 0.5
        labels = decided if several and (decided.sum(axis=1) != 1).any() else None
        probes = replace(probes, y=scores.argmax(axis=1).astype(np.int64), labels=labels)
    return probes if probes.labels is None else probes.focused(forget, scores)


def split_for(classes: Sequence[int], probes: Probes, seed: int) -> tuple[Probes, Probes]:
    """Those that choose and those that judge.

    Raises InputError unless every forgotten class is in both; of what was made from the model none need be.
    """
    assert probes.y is not None
    for c in classes if probes.made is None else ():
        found = int(np.sum(probes.y == c))
        if found < 2:
            raise InputError(
                f"{probes.source}: {found} probes of class {c}; at least 2 are needed, "
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
