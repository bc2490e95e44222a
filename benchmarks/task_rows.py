"""What the benchmarks of tasks keep of an audit, and how a table shows it."""

from collections.abc import Iterable, Mapping
from typing import Any

from onnxunlearn.judge import Findings

COLUMNS = ("original", "mask", "edited", "reference")


def measured(found: Findings, figures: Iterable[str], seconds: float) -> dict[str, Any]:
    """JSON-ready. figures: names of rows; those that there are."""
    return {
        "figures": {row: {c: found.value(row, c) for c in COLUMNS} for row in figures if found.row(row)},
        "targets": {t.name: [t.reached.value, t.limit, t.status] for t in found.targets},
        "seconds": round(seconds, 1),
    }


def head(figures: Mapping[str, str]) -> list[str]:
    """The first lines of a Markdown table. figures: titles by the names of rows."""
    return [f"| | {' | '.join(figures.values())} |", f"|---|{'--:|' * len(figures)}"]


def line(title: str, row: Mapping[str, Any], column: str, figures: Iterable[str]) -> list[str]:
    """One of its lines; none where nothing was measured."""
    values = [row["figures"].get(figure, {}).get(column) for figure in figures]
    if all(value is None for value in values):
        return []
    cells = ("" if value is None else f"{value:.1f}" for value in values)
    return [f"| {title} | {' | '.join(cells)} |"]


def targets(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A further table: what each row was to reach, and reached."""
    lines = ["", "| | target | reached | limit | |", "|---|---|--:|--:|---|"]
    for key, row in rows.items():
        for target, (reached, limit, status) in row["targets"].items():
            shown = "" if reached is None else f"{reached:.2f}"
            lines.append(f"| {key} | {target} | {shown} | {limit:.2f} | {status} |")
    return lines
