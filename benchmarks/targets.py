"""Which targets the default reaches, from what benchmarks/methods.py measured.

    python benchmarks/targets.py [--method auto]

The table of README.md, a line a model, and that of docs/method.md, a line a target.
"""

import json
from collections.abc import Sequence

import click
from summary import RESULTS, Row, compared, summarise

#: name, column, the most that is allowed; relearn and redistribution are judged where there is a reference
TARGETS: tuple[tuple[str, str, float], ...] = (
    ("forget accuracy at most 1 %", "forget", 1.0),
    ("retain accuracy down at most 0.5 points", "retain lost", 0.5),
    ("no retained class down more than 2 points", "worst class lost", 2.0),
    ("relearn at most 3 points above the reference", "over reference", 3.0),
    ("redistribution at most 0.2 from the reference", "redistribution", 0.2),
    ("at most 20 s of one core", "cpu seconds", 20.0),
)


def by_model(summary: Sequence[Row], method: str) -> list[str]:
    """A line a model: means over its classes."""
    lines = [
        "| model | classes | forget | others lost, points | worst class lost | relearned: original → now "
        "| references | over the reference | redistribution (TV) | weights changed | CPU |",
        "|---|" + "--:|" * 10,
    ]
    originals = {row["model"]: row for row in summary if row["method"] == "original"}
    for row in (row for row in summary if row["method"] == method):
        before = originals[row["model"]]
        referred = row["references"] > 0
        cells = (
            f"{row['classes']}",
            f"{before['forget']:.1f} → {row['forget']:.1f} %",
            f"{row['retain lost']:.2f}",
            f"{row['worst class lost']:.2f}",
            f"{before['relearn']:.1f} → {row['relearn']:.1f} %",
            f"{row['references']}",
            f"{row['over reference']:.1f}" if referred else "",
            f"{row['redistribution']:.2f}" if referred else "",
            f"{row['weights changed']:.0f} %",
            f"{row['cpu seconds']:.1f} s",
        )
        lines.append(f"| `{row['model']}` | " + " | ".join(cells).replace("-", "−") + " |")
    return lines


def by_target(rows: Sequence[Row]) -> list[str]:
    """A line a target: in how many runs it is met, and what misses it by how much."""
    lines = ["| target | met | missed |", "|---|--:|---|"]
    for name, column, most in TARGETS:
        measured = [row for row in rows if row.get(column) is not None]
        missed: dict[str, list[str]] = {}
        for row in measured:
            if row[column] > most:
                missed.setdefault(row["model"], []).append(f"{row['forget class']}: {row[column]:.2f}")
        said = "; ".join(f"`{model}` {', '.join(found)}" for model, found in missed.items())
        met = len(measured) - sum(map(len, missed.values()))
        lines.append(f"| {name} | {met} of {len(measured)} | {said} |")
    return lines


@click.command()
@click.option("--method", default="auto", show_default=True)
def main(method: str) -> None:
    """Print both tables."""
    rows = [row for row in json.loads(RESULTS.read_text()) if "error" not in row]
    references = {(r["model"], r["forget class"]): r for r in rows if r["method"] == "reference"}
    found = [
        compared(row, references.get((row["model"], row["forget class"])))
        for row in rows
        if row["method"] == method
    ]
    click.echo("\n".join([*by_model(summarise(rows, (), (method,)), method), "", *by_target(found)]))


if __name__ == "__main__":
    main()
