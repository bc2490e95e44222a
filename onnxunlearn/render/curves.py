"""Figures that were taken again and again, as lines over how far that was: places, for the template."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from onnxunlearn.judge import Row
from onnxunlearn.render.words import TITLES, look_of, shortened

#: where the two axes begin and end, in a drawing of 360 by 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 268.0, 12.0, 160.0
#: between two lines' names; how long one may be
_LINE, _LETTERS = 14.0, 13
#: "fine-tuned, 20 steps"
_NUMBERED = re.compile(r"(.+), (\d+) (\w+)")


@dataclass(frozen=True)
class Point:
    """Where a figure lies, and its bounds; None: not known."""

    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Line:
    """look: which model's. points: from left to right. at: where its name stands, from the top."""

    label: str
    look: str
    points: Sequence[Point]
    at: float

    @property
    def path(self) -> str:
        return " ".join(f"{p.x:g},{p.y:g}" for p in self.points)


@dataclass(frozen=True)
class Curves:
    """over: what the lower axis counts. ticks: of it, place and text; levels: of the other."""

    over: str
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    levels: Sequence[tuple[float, str]]


def curves(rows: Sequence[Row]) -> Curves | None:
    """Of rows of percentages with titles such as "fine-tuned, 20 steps", "fine-tuned, 30 steps", …, over the
    number. None where there are not two that are alike else."""
    found: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row.unit == "percent" and (match := _NUMBERED.fullmatch(row.title)):
            found.setdefault((match[1], match[3]), {})[int(match[2])] = row
    (_, over), by_number = max(found.items(), key=lambda item: len(item[1]), default=(("", ""), {}))
    if len(by_number) < 2 or not max(by_number):
        return None
    places = {n: round(_LEFT + (_RIGHT - _LEFT) * n / max(by_number), 1) for n in sorted(by_number)}
    columns = dict.fromkeys(c for n in places for c in by_number[n].values)
    lines = [(column, points) for column in columns if (points := list(_points(column, places, by_number)))]
    ends = _apart([points[-1].y for _, points in lines])
    return Curves(
        over,
        [
            Line(shortened(TITLES.get(column, column))[:_LETTERS], look_of(column), points, at)
            for (column, points), at in zip(lines, ends, strict=True)
        ],
        [(place, str(n)) for n, place in places.items()],
        [(_height(value), f"{value:g}\u202f%") for value in (0.0, 50.0, 100.0)],
    )


def _points(column: str, places: dict[int, float], rows: dict[int, Row]) -> Iterator[Point]:
    for number, x in places.items():
        measured = rows[number].values.get(column)
        if measured is not None and measured.value is not None:
            low, high = (None if end is None else _height(end) for end in (measured.low, measured.high))
            yield Point(x, _height(measured.value), low, high)


def _height(value: float) -> float:
    return round(_BOTTOM - (_BOTTOM - _TOP) * min(max(value, 0.0), 100.0) / 100, 1)


def _apart(heights: Sequence[float]) -> list[float]:
    """Where names stand that begin at these heights and must not lie on each other."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    found = [0.0] * len(heights)
    above = -_LINE
    for i in order:
        above = found[i] = max(heights[i] + 4, above + _LINE)
    excess = max(0.0, above - (_BOTTOM + 4))
    return [round(at - excess, 1) for at in found]
