"""Several models retrained without the class: each figure of theirs is a distribution.

Retrained models differ by their seed alone by points; one of them says little of where an edit ought to be.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache

import numpy as np
from scipy.stats import t as student

from onnxunlearn.judge.intervals import Measured, written
from onnxunlearn.judge.row import BELOW, Row
from onnxunlearn.judge.subject import REFERENCE

#: of audits of one more retrained model so many say by chance that it forgets more than the references
CHANCE = 0.05
#: percent of the class's samples that a model retrained without it gives that class by chance, at most
KNOWN = 10.0


def folded(rows: Sequence[Row]) -> tuple[Row, ...]:
    """The same rows with one column for all references, their mean; and, where there are several, rows that
    say by how many of their standard deviations the edited model is away from it."""
    found = tuple(_folded(row) for row in rows)
    return (*found, *(away for row in rows if (away := _away(row)) is not None))


def over_forgotten(rows: Sequence[Row]) -> Iterator[str]:
    """What is to be said of figures that are further below the references than chance explains; rows: with a
    column for each reference."""
    attacked = {row.name.removesuffix(BELOW) for row in rows if row.name.endswith(BELOW)}
    found = [(row, away) for row in rows if row.name in attacked and (away := _away(row)) is not None]
    for row, away in found:  # where else samples go is no measure of depth
        below = -(away.values["away"].value or 0.0)
        if below > by_chance(len(_of_references(row)), len(found)):
            edited, mean = (written(away.values[n].value or 0.0, "percent") for n in ("edited", "mean"))
            yield (
                f"more than forgotten: {row.title}: {edited}, the references {mean.removesuffix(' %')} "
                f"on the mean, {below:.1f} of their standard deviations above"
            )


@cache
def by_chance(references: int, figures: int) -> float:
    """How many standard deviations below their mean one more model of their kind is, in one of so many
    figures, in `CHANCE` of audits at most: of few references the deviation itself is hardly known, and among
    many figures one is far off (Student's prediction of one more, by Bonferroni)."""
    return float(-student.ppf(CHANCE / figures, references - 1) * np.sqrt(1 + 1 / references))


def knowing(rows: Sequence[Row]) -> Iterator[str]:
    """What is to be said of references that know the class; rows: with a column for each."""
    for row in rows:
        for name, found in row.values.items() if row.name == "forget" else ():
            if name.startswith(REFERENCE) and (found.low or 0.0) > KNOWN:
                yield (
                    f"the {name} gives {written(found.value or 0.0, 'percent')} of the class's samples their "
                    "class, as no model does that was trained without it: what is held against it says "
                    "nothing"
                )


_AWAY = "away, "


def _of_references(row: Row) -> list[Measured]:
    return [m for column, m in row.values.items() if column.startswith(REFERENCE)]


def _folded(row: Row) -> Row:
    theirs = _of_references(row)
    if len(theirs) < 2:
        return row
    kept = {c: m for c, m in row.values.items() if not c.startswith(REFERENCE)}
    order = [c for c in row.values if c == REFERENCE or c in kept]
    return replace(row, values={c: kept[c] if c in kept else mean_of(theirs) for c in order})


def mean_of(several: Sequence[Measured]) -> Measured:
    """The mean of figures and of their bounds; unknown where one of them is."""

    def mean(which: str) -> float | None:
        values = [getattr(m, which) for m in several]
        return None if any(v is None for v in values) else float(np.mean(values))

    return replace(several[0], value=mean("value"), low=mean("low"), high=mean("high"), widened=None)


def _away(row: Row) -> Row | None:
    theirs = [m.value for m in _of_references(row)]
    ours = row.values.get("edited")
    known = [value for value in theirs if value is not None]
    shown = row.unit == "percent" and row.table and not row.name.endswith(BELOW)
    if not shown or ours is None or ours.value is None or not len(known) == len(theirs) >= 2:
        return None
    mean, deviation = float(np.mean(known)), float(np.std(known, ddof=1))
    away = (ours.value - mean) / deviation if deviation > 0 else None
    values = {
        "edited": replace(ours, unit="percent"),
        "mean": Measured(mean, samples=ours.samples, unit="percent"),
        "deviation": Measured(deviation, samples=ours.samples, unit="points"),
        "away": Measured(away, samples=ours.samples),
    }
    heading = f"edited, among {len(theirs)} references"
    return Row(_AWAY + row.name, row.title, "", values, heading)
