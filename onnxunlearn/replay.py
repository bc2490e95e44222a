"""Do a run again from its report, and say whether the same came of it."""

import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from onnxunlearn.embedders import Embedder
from onnxunlearn.errors import InputError, OnnxUnlearnError
from onnxunlearn.graph import Model, ModelSource, Snapshot, load, parse_shapes, with_input_shapes
from onnxunlearn.inquiry import Inquiry, Options
from onnxunlearn.inquiry.unnamed import read_unnamed
from onnxunlearn.judge import versions
from onnxunlearn.judge.run_report import Digests, RunReport
from onnxunlearn.probes import Preprocessing, SharedBy, Source
from onnxunlearn.streams import UNHELD
from onnxunlearn.unlearn import Result, unlearn

#: what a report says of where probes came from, that has to be so again
_SUMS = ("sha256", "arrays")
#: what may lie beside them, and what inputs with another are
_BESIDE = {"preprocess": "is prepared otherwise than", "annotations": "is annotated otherwise than"}


@dataclass(frozen=True)
class Replayed:
    """same: whether every byte of the edited model's files is. farthest: the largest difference of a weight
    from that of the edited model of the run, and the tensor it is in; None if they are the same, or nobody
    gave that model. figures: (title, unit, then, now) of the edited model. versions: (package, then,
    now) where they differ, "" for none."""

    same: bool
    farthest: tuple[float, str] | None
    figures: tuple[tuple[str, str, float | None, float | None], ...]
    versions: tuple[tuple[str, str, str], ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def replay(
    report: RunReport,
    model: ModelSource,
    data: Source | None = None,
    *,
    retain: Source | None = None,
    samples: Source | Sequence[Source] | None = None,
    like: Source | None = None,
    edited: ModelSource | None = None,
    labels: Sequence[str] | None = None,
    preprocess: Preprocessing | None = None,
    head: str | os.PathLike[str] | None = None,
    composite: str | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Replayed:
    """Run again what the report is about, with the options that it holds.

    retain: inputs that nobody named, if the run had some. samples, like: those of `SharedBy`, if the run was
    about what samples share. edited: the edited model of that run, to compare
    weights with. labels: default, those of the report. preprocess, head, composite: the files, if the run had
    some.
    Raises InputError if one of these is missing, or the model, the probes or the edited model are not those
    of the report, and what `unlearn` raises.
    """
    asked = report.asked(samples, like, "replay")
    loaded = with_input_shapes(load(model), parse_shapes(report.shapes))
    before = None if edited is None else load(edited)
    for name, given, said in (("model", loaded, report.original), ("edited model", before, report.edited)):
        if given is not None and Digests.of(Snapshot.of(given)) != said:
            raise InputError(
                f"{given.path or name}: is not the {name} of the report, their SHA-256 differ; give that"
            )
    report.check_files(preprocess, head)
    if composite is None and report.composite.endswith((".yaml", ".yml")):
        raise InputError(f"the run had its rules in {report.composite}; give that file with --composite")
    named: dict[str, Any] = {
        "labels": labels or report.labels,
        "preprocess": preprocess,
        "head": head,
        "retain": retain,
        "progress": progress,
    }
    _check_probes(report, loaded, asked, data, named)
    result = unlearn(loaded, asked, data, composite=composite or report.composite, **report.options, **named)
    if report.of_places:
        found = result.report["probes"]
        _check_same(report.probes, found, "inputs")
        _check_same(report.probes.get("retain", {}), found.get("retain", {}), "inputs to retain")
    same = _files(result, report.name) == report.edited
    return Replayed(
        same,
        None if same or before is None else _farthest(before, result.edited.model()),
        tuple(_figures(report.rows, result.report["rows"])),
        tuple(_changed(report.versions, versions())),
    )


def result_of(report: RunReport, path: Path) -> Model | None:
    """The edited model of the run, if it is what lies there."""
    try:
        model = load(path)
        return model if Digests.of(Snapshot.of(model)) == report.edited else None
    except OnnxUnlearnError:
        return None


def _check_probes(
    report: RunReport, model: Model, asked: str | SharedBy, data: Source | None, named: Mapping[str, Any]
) -> None:
    """Raises InputError unless the run had these probes, and these inputs to retain; of inputs in which
    classes are said at places, unless it had some: they are read with what is where in them."""
    made = report.probes.get("made", {}).get("judging")
    probes, retained = {} if made else report.probes, report.probes.get("retain", {})
    parts = [("--data", probes, data, "probes"), ("--retain", retained, named["retain"], "inputs to retain")]
    if isinstance(asked, SharedBy):
        shared = report.shared or {}
        parts = [
            ("--forget-samples", shared.get("with", {}), asked.each[0], "samples"),
            ("--like", shared.get("without", {}), asked.like, "samples"),
            ("--data", shared.get("data", {}), data, "samples"),
        ]
    for option, had, source, what in parts:
        if bool(_sums(had)) != (source is not None):
            wanted = f"{what} ({had.get('source')})" if _sums(had) else f"no {what}"
            raise InputError(f"the run had {wanted}; replay it with the same {option}")
    if report.of_places or all(source is None for _, _, source, _ in parts):
        return
    options = {name: v for name, v in report.options.items() if name not in ("method", "parameters")}
    chosen = Options(**options, **named)
    embedder = Embedder.of(model, asked, chosen)
    if embedder is not None and isinstance(asked, SharedBy):
        origins = embedder.read(asked, data)[0].origin["shared"]
        for name in ("with", "without", "data"):
            _check_same((report.shared or {}).get(name, {}), origins.get(name, {}), "samples")
        return
    inquiry = Inquiry.of(model, asked, chosen)
    for option, had, source, what in parts:
        if source is None:
            continue
        unnamed = read_unnamed(chosen, model, data) if option == "--retain" else None
        found = inquiry.read(source, UNHELD) if unnamed is None else unnamed
        _check_same(had, found.origin, what)


def _sums(said: Mapping[str, Any]) -> dict[str, Any]:
    """Of several sources each has its own."""
    found = {key: said[key] for key in _SUMS if key in said}
    return found | {
        f"{key} {i}": v for i, e in enumerate(said.get("each", ())) for key, v in _sums(e).items()
    }


def _check_same(had: Mapping[str, Any], found: Mapping[str, Any], what: str) -> None:
    """had, found: where they are from, see `probes.origin`."""

    def apart(what: str) -> bool:
        return had.get(what, {}).get("sha256") != found.get(what, {}).get("sha256")

    sums = _sums(found)
    if any(sums.get(key) != digest for key, digest in _sums(had).items()) or any(map(apart, _BESIDE)):
        how = next((how for what, how in _BESIDE.items() if apart(what)), "does not hold")
        raise InputError(
            f"{found.get('source')}: {how} the {what} of the run ({had.get('source')}); "
            "their SHA-256 differ, give those"
        )


def _files(result: Result, name: str) -> Digests:
    """Of the files that the result is saved as, which are called after the model."""
    with tempfile.TemporaryDirectory() as folder:
        result.save(Path(folder) / (name or "model.onnx"))
    return Digests.read(result.report["edited"])


def _farthest(before: Model, after: Model) -> tuple[float, str] | None:
    found = []
    for name in before.stored.keys() & after.stored.keys():
        old, new = before.array(name), after.array(name)
        if old.dtype.kind not in "OUS" and old.shape == new.shape and old.size:
            apart = np.abs(old.astype(np.float64) - new.astype(np.float64))
            found.append((float(np.nanmax(apart, initial=0)), name))
    return max(found, default=None)


def _figures(
    then: Sequence[Mapping[str, Any]], now: Sequence[Mapping[str, Any]]
) -> list[tuple[str, str, float | None, float | None]]:
    """Of the edited model, those that both have."""

    def values(rows: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], float | None]:
        edited = {(str(r["title"]), str(r["unit"])): r["values"].get("edited") for r in rows if r["table"]}
        return {title: value["value"] for title, value in edited.items() if value is not None}

    old, new = values(then), values(now)
    return [(*title, old[title], new[title]) for title in new if title in old]


def _changed(then: Mapping[str, str], now: Mapping[str, str]) -> list[tuple[str, str, str]]:
    names = sorted(then.keys() | now.keys())
    return [(n, then.get(n, ""), now.get(n, "")) for n in names if then.get(n) != now.get(n)]
