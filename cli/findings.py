"""What judging found, on the terminal: tables of whatever was measured, then each target. Knows no figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from . import console

if TYPE_CHECKING:
    from onnxunlearn.judge import Findings, Measured, Row, Target

_TITLES = {"mask": "mask only", "cka": "alike (CKA)"}
_COLOURS = {"passed": "green", "missed": "red", "undecided": "yellow", "unknown": "yellow"}


def accuracy_title(found: Findings, which: str, samples: str = "samples") -> str:
    """Over what the accuracies of models are. which: how many, or of which kind. samples: what they are
    called where classes are not said at places."""
    if found.at_places:
        return f"accuracy at {which} places"
    return f"{'verification' if found.of_identity else 'accuracy'} on {which} {samples}"


def show_tables(tables: Mapping[str, Sequence[Row]], titles: Mapping[str, str], bounds: bool = False) -> None:
    """titles: by heading or column, what is shown for it. bounds: also within which each figure lies."""
    titles = {**_TITLES, **titles}
    for number, (heading, rows) in enumerate(tables.items()):
        if not rows:
            continue
        columns = list(dict.fromkeys(column for row in rows for column in row.values))
        table = console.table(titles.get(heading, heading), *(f">{titles.get(c, c)}" for c in columns))
        for row in rows:
            cells = (row.values.get(column) for column in columns)
            table.add_row(row.title, *("" if c is None else cell(c, row.unit, bounds) for c in cells))
        if number:
            console.out.print()
        console.out.print(table)
        for note in dict.fromkeys(row.note for row in rows if row.note):
            console.out.print(note)


def show_targets(findings: Findings) -> None:
    """Each target with its verdict; those that are unknown for the same reason in one line."""
    unknown: dict[str, list[str]] = {}
    for target in findings.targets:
        if target.status == "unknown":
            unknown.setdefault(target.note, []).append(target.name)
        else:
            mark = console.coloured(target.status.upper(), _COLOURS[target.status])
            console.out.print(mark, _reached(target), f"({_limit(target)})")
    for need, names in unknown.items():
        mark = console.coloured("UNKNOWN", _COLOURS["unknown"])
        console.out.print(mark, f"{', '.join(names)} ({need})")
    for note in findings.notes:
        console.out.print(f"note: {note}")


def cell(measured: Measured, unit: str, bounds: bool) -> str:
    """A figure, and within which it lies."""
    from onnxunlearn.judge import written

    if measured.value is None:
        return "not measured"
    unit = measured.unit or unit
    shown = written(measured.value, unit)
    if not bounds or measured.low is None or measured.high is None:
        return shown
    return f"{shown} {between(measured, unit)}"


def between(measured: Measured, unit: str) -> str:
    """[low, high], without the unit."""
    from onnxunlearn.judge import written

    low, high = (written(v or 0.0, unit).removesuffix(" %") for v in (measured.low, measured.high))
    return f"[{low}, {high}]"


def _reached(target: Target) -> str:
    from onnxunlearn.judge import written

    assert target.reached.value is not None
    points = " points" if target.unit == "points" else ""
    known = target.reached.low is not None
    bounds = f" {between(target.reached, target.unit)}" if known else ""
    return f"{target.name} {written(target.reached.value, target.unit)}{points}{bounds}"


def _limit(target: Target) -> str:
    from onnxunlearn.judge import written

    sense = "at least" if target.at_least else "at most"
    parts = [f"target: {sense} {written(target.limit, target.unit)}"]
    if target.status == "undecided" and target.beyond:
        does_not = "" if target.met is False else ", but of too few samples to count"
        parts.append(f"the figure itself is beyond{does_not}")
    if target.short:
        samples = console.number(target.reached.samples or 0)
        told = f"some {console.number(target.needed)}" if target.needed else "many more"
        parts.append(f"told by {told} samples, not by {samples}")
    if target.note:
        parts.append(target.note)
    return "; ".join(parts)
