"""Every figure that the findings hold, as tables of text. Knows no figure by name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from onnxunlearn.judge import Findings, Measured, Row, Target
from onnxunlearn.judge.row import MODELS
from onnxunlearn.render.pictures import shown_classes, summary
from onnxunlearn.render.words import NOT_MEASURED, TITLES, UNCOUNTED, between, class_name, count, number

#: that a page's width holds
_COLUMNS = 5


@dataclass(frozen=True)
class Cell:
    """text: the figure. small: its bounds."""

    text: str
    small: str = ""


@dataclass(frozen=True)
class Table:
    """rows: (title, cells, samples), a cell for each column. notes: below."""

    title: str
    what: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[Cell], str]]
    notes: Sequence[str] = ()

    @property
    def counted(self) -> bool:
        """Whether it is known of a row on how many samples it was measured."""
        return any(samples for _, _, samples in self.rows)


@dataclass(frozen=True)
class Verdict:
    """A target, as text."""

    status: str
    name: str
    reached: str
    span: str
    wanted: str
    why: str


def tables(findings: Findings) -> list[Table]:
    """All rows by table, those that only targets show among them, and the accuracies by class."""
    headed = [(_title(name), rows) for name, rows in findings.tables().items() if rows]
    if hidden := [row for row in findings.rows if not row.table]:
        headed.append(("Differences", hidden))
    found = [table for title, rows in headed for table in _tables(title, rows)]
    return [*found, *_classes(findings)]


def verdict(target: Target) -> Verdict:
    value, unit = target.reached.value, target.unit
    points = " points" if unit == "points" else ""
    sense = "at least" if target.at_least else "at most"
    reasons = []
    if target.status == "undecided" and target.beyond:
        reasons.append(f"the figure itself is beyond{'' if target.met is False else UNCOUNTED}")
    if target.short:
        told = f"some {count(target.needed)}" if target.needed else "many more"
        reasons.append(f"told by {told} samples, not by {count(target.reached.samples or 0)}")
    if target.note:
        reasons.append(target.note)
    return Verdict(
        target.status,
        target.name,
        NOT_MEASURED if value is None else f"{number(value, unit)}{points}",
        between(target.reached, unit),
        ""
        if value is None
        else f"{sense} {number(target.limit, unit)}{points}",  # it may hang on what is missing
        "; ".join(reasons),
    )


def _title(table: str) -> str:
    return "The models side by side" if table == MODELS else f"{table[:1].upper()}{table[1:]}"


def _tables(title: str, rows: Sequence[Row]) -> Iterator[Table]:
    """One, or of many columns several."""
    columns = list(dict.fromkeys(column for row in rows for column in row.values))
    for start in range(0, max(len(columns), 1), _COLUMNS):
        name = f"{title}, continued" if start else title
        yield _table(name, rows, columns[start : start + _COLUMNS])


def _table(title: str, rows: Sequence[Row], columns: Sequence[str]) -> Table:
    return Table(
        title,
        "figure",
        [TITLES.get(column, column) for column in columns],
        [
            (
                row.title,
                [_cell(row.values.get(c), row.unit) for c in columns],
                _samples(row.values[c] for c in columns if c in row.values),
            )
            for row in rows
        ],
        tuple(dict.fromkeys(row.note for row in rows if row.note)),
    )


def _cell(measured: Measured | None, unit: str) -> Cell:
    if measured is None:
        return Cell("–")
    if measured.value is None:
        return Cell(NOT_MEASURED)
    unit = measured.unit or unit
    bits = " bits" if unit == "bits" else ""
    return Cell(number(measured.value, unit) + bits, between(measured, unit))


def _samples(values: Iterable[Measured]) -> str:
    """On how many samples a row was measured; of each column, where they differ."""
    counts = [count(m.samples) for m in values if m.samples is not None]
    return " / ".join(counts if len(set(counts)) > 1 else counts[:1])


def _classes(findings: Findings) -> list[Table]:
    accuracies = findings.accuracies
    columns = [TITLES.get(name, name) for name in accuracies]
    notes = [line] if (line := summary(findings)) else []
    shown = shown_classes(findings)

    def table(title: str, values: Sequence[Sequence[float | None]]) -> Table:
        def cells(c: int) -> list[Cell]:
            return [_cell(Measured(v[c]) if c < len(v) else None, "percent") for v in values]

        return Table(title, "class", columns, [(class_name(findings, c), cells(c), "") for c in shown], notes)

    found = [table("Accuracy by class", [f.per_class for f in accuracies.values()])]
    wrong = [f.false_positives for f in accuracies.values()]
    if any(wrong):
        found.append(table("False positives by class", [w or () for w in wrong]))
    return found
