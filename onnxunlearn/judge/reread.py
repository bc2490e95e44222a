"""Findings from the JSON that they were written as, which may come from anyone."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast, get_args

from onnxunlearn.errors import InputError
from onnxunlearn.judge.findings import SCHEMA_VERSION, Findings
from onnxunlearn.judge.intervals import Measured
from onnxunlearn.judge.row import Row
from onnxunlearn.judge.target import Status, Target
from onnxunlearn.probes import Labels
from onnxunlearn.tasks import Figures

T = TypeVar("T")
#: what `Findings.to_json` makes of the findings themselves; all else is about how they came to be
_OWN = frozenset(
    {
        "schema", "task", "forget", "judged", "figures", "worst_retained_class", "rows", "targets",
        "targets_met", "statuses", "notes",
    }
)  # fmt: skip
_MOST_CLASSES = 10_000_000


@dataclass(frozen=True)
class Reread(Measured):
    """enough: so many samples would decide, as it was written; how that was found is not."""

    enough: int | None = None

    def needed(self, limit: float) -> int | None:
        return self.enough


def reread(report: Any, source: str) -> Findings:
    """What `Findings.to_json` was made from, but for digits rounded off. source: what messages call it.

    Numbers that are not finite are taken for figures that could not be measured. Raises InputError where it
    is no report, one of another version of the schema, or damaged.
    """
    if not isinstance(report, Mapping) or "schema" not in report:
        raise InputError(f"{source}: not a report of onnxunlearn; give what run or audit wrote as JSON")
    if report["schema"] != SCHEMA_VERSION:
        raise InputError(
            f"{source}: a report by schema {str(report['schema'])[:20]}, not {SCHEMA_VERSION}; use the "
            "version of onnxunlearn that made it, or run again"
        )
    try:
        return _findings(report)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        what = f"{type(error).__name__}: {error}"[:200]
        raise InputError(f"{source}: a damaged report ({what}); make it again") from None


def _findings(report: Mapping[str, Any]) -> Findings:
    judged, forget = report["judged"], report["forget"]
    accuracies = {_text(name): _figures(found) for name, found in report["figures"].items()}
    classes = len(accuracies["original"].per_class)
    if any(len(found.per_class) != classes for found in accuracies.values()):
        raise ValueError("models of different numbers of classes")
    if not {"edited", "mask"} <= accuracies.keys() or not 0 < classes <= _MOST_CLASSES:
        raise ValueError("figures of the original, the edited and the masked model are needed")
    columns = _list(forget["classes"], _count)
    shared = forget.get("samples")
    if shared is not None:
        _check_shared(shared, classes)
    if bool(columns) == (shared is not None) or max(columns, default=0) >= classes:
        raise ValueError(f"classes to forget: {columns[:5]} of {classes}")
    return Findings(
        task=_text(report["task"]),
        forget=columns,
        names=_labels(report, classes),
        samples=_count(judged["samples"]),
        copies=_count(judged["copies"]),
        labels=_text(judged["labels"]),
        accuracies=accuracies,
        rows=_list(report["rows"], _row),
        targets=_list(report["targets"], _target),
        notes=_list(report["notes"], _text),
        about={name: value for name, value in report.items() if name not in _OWN},
        shared=shared,
    )


def _check_shared(shared: Any, classes: int) -> None:
    which = shared["points_to"]
    if which is not None and _count(which) >= classes:
        raise ValueError(f"a trigger that points to class {which} of {classes}")
    for side in ("with", "without"):
        _count(shared["samples"][side])
    _text(shared["with"]["source"])


def _labels(report: Mapping[str, Any], classes: int) -> Labels:
    """Those of the original."""
    model = report["model"] if "model" in report else report["files"]["original"]
    found = model.get("labels")
    if found is None:
        return Labels(classes)
    names, numbers = _list(found["names"], _text), _list(found["numbers"] or (), _whole)
    if len(names) != classes or len(numbers) not in (0, classes):
        raise ValueError(f"{len(names)} labels for {classes} classes")
    return Labels(classes, names, numbers, _text(found["source"]))


def _figures(found: Mapping[str, Any]) -> Figures:
    samples, wrong = found["samples"], found.get("false_positives")
    shares = [_number(value) for value in (found["forget"], found["retain"], *found["per_class"])]
    if not all(share is None or 0 <= share <= 100 for share in shares):
        raise ValueError("an accuracy outside of 0 to 100 %")
    return Figures(
        _number(found["forget"]),
        _number(found["retain"]),
        _list(found["per_class"], _number),
        (_count(samples["forget"]), _count(samples["retain"])),
        None if wrong is None else _list(wrong, _number),
    )


def _row(found: Mapping[str, Any]) -> Row:
    given = found["values"].items()
    values = {_text(column): _measured(m, "value", m.get("unit", "")) for column, m in given}
    name, title, unit, table, note = (_text(found[key]) for key in ("name", "title", "unit", "table", "note"))
    return Row(name, title, unit, values, table, note, _text(found.get("by", "")))


def _target(found: Mapping[str, Any]) -> Target:
    if found["status"] not in get_args(Status):
        raise ValueError(f"status {str(found['status'])[:20]!r}")
    limit = _number(found["limit"])
    if limit is None or not isinstance(found["met"], bool | None):
        raise TypeError("a limit that is no number, or met that is not true, false or null")
    target = Target(
        _text(found["name"]),
        limit,
        _measured(found, "reached", "", found["needed"]),
        cast(Status, found["status"]),
        found["met"],
        _text(found["unit"]),
        found["sense"] == "at least",
        _text(found["note"]),
    )
    if not target.told_by_its_bounds:
        raise ValueError(f"target {target.name[:60]!r} is not {target.status} by its own figure and bounds")
    return target


def _measured(found: Mapping[str, Any], value: str, unit: str, needed: Any = None) -> Measured:
    figure, low, high = (_number(found[key]) for key in (value, "low", "high"))
    samples = found["samples"]
    return Reread(
        figure,
        low,
        high,
        None if samples is None else _count(samples),
        _text(unit),
        enough=None if needed is None else _count(needed),
    )


def _list(values: Any, each: Callable[[Any], T]) -> tuple[T, ...]:
    if not isinstance(values, list | tuple):
        raise TypeError(f"{type(values).__name__} in place of a list")
    return tuple(each(value) for value in values)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{type(value).__name__} in place of text")
    return value


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} in place of a whole number")
    return value


def _count(value: Any) -> int:
    if _whole(value) < 0:
        raise ValueError(f"{value} in place of a count")
    return int(value)


def _number(value: Any) -> float | None:
    """None for what is not finite, too."""
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{type(value).__name__} in place of a number")
    return float(value) if math.isfinite(value) else None
