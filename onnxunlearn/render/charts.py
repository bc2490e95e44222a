"""Bars with their bounds, as data; the template draws them, and writes each number beside its bar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnxunlearn.judge import Measured, Row
from onnxunlearn.render.curves import Curves
from onnxunlearn.render.words import NOT_MEASURED, TITLES, between, look_of, number

#: the full length of a bar; of other units it is the largest figure
_FULL = {"percent": 100.0, "": 1.0, "bits": 1.0, "alike": 1.0}


@dataclass(frozen=True)
class Bar:
    """label: whose. look: which model's, or "other". text: the figure; span: its bounds, or empty. All places
    are in percent of the bar's full length: it ends at `end`, bounds lie at `low` and `high` (None: not
    known)."""

    label: str
    look: str
    text: str
    span: str = ""
    end: float = 0.0
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Group:
    """Bars about one thing. tag: what is to be said of it, say that it is to be forgotten."""

    name: str
    bars: Sequence[Bar]
    tag: str = ""


@dataclass(frozen=True)
class Chart:
    """caption: what is seen. what: heading of the groups' column. ends: of the axis. notes: below. curves:
    the same figures as lines, above."""

    title: str
    key: str
    caption: str
    what: str
    groups: Sequence[Group]
    ends: tuple[str, str] = ("0", "100\u202f%")
    notes: Sequence[str] = field(default=())
    curves: Curves | None = None


def bar(column: str, measured: Measured, unit: str, full: float | None = None) -> Bar:
    """Of one figure. full: what the whole length stands for."""
    unit = measured.unit or unit
    look = look_of(column)
    label = TITLES.get(column, column)
    if measured.value is None:
        return Bar(label, look, NOT_MEASURED)
    full = full or _FULL.get(unit) or abs(measured.value) or 1.0

    def place(value: float) -> float:
        return round(min(max(100 * value / full, 0.0), 100.0), 2)

    known = measured.low is not None and measured.high is not None
    return Bar(
        label,
        look,
        number(measured.value, unit),
        between(measured, unit),
        place(measured.value),
        place(measured.low or 0.0) if known else None,
        place(measured.high or 0.0) if known else None,
    )


def group(row: Row, leave_out: Sequence[str] = (), tag: str = "") -> Group:
    """One row of findings. leave_out: columns."""
    values: Mapping[str, Measured] = {c: m for c, m in row.values.items() if c not in leave_out}
    sizes = [abs(m.value) for m in values.values() if m.value is not None and not m.unit]
    full = _FULL.get(row.unit) or max(sizes, default=1.0) or 1.0
    return Group(row.title, [bar(c, m, row.unit, None if m.unit else full) for c, m in values.items()], tag)
