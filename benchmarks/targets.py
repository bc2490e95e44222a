"""Which targets the default reaches, from what benchmarks/methods.py measured.

python benchmarks/targets.py [--method auto]
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import numpy as np
from summary import Row, compared

RESULTS = Path(__file__).parent / "results" / "methods.json"
#: name, column, the most that is allowed; relearn and redistribution are judged where there is a reference
TARGETS: tuple[tuple[str, str, float], ...] = (
    ("forget accuracy at most 1 %", "forget", 1.0),
    ("retain accuracy down at most 0.5 points", "retain lost", 0.5),
    ("no retained class down more than 2 points", "worst class lost", 2.0),
    ("relearn at most 3 points above the reference", "over reference", 3.0),
    ("redistribution at most 0.2 from the reference", "redistribution", 0.2),
    ("at most 20 s of one core", "cpu seconds", 20.0),
)


def by_model(rows: Sequence[Row], originals: Sequence[Row]) -> list[str]:
    """A line a model: means over its classes."""
    lines = [
        "| model | classes | forget | others lost, points | worst class lost | relearned: original → now "
        "| references | over the reference | redistribution (TV) | weights changed | CPU |",
        "|---|" + "--:|" * 10,
    ]
    for name in dict.fromkeys(row["model"] for row in rows):
        own = [row for row in rows if row["model"] == name]
        before = [row for row in originals if row["model"] == name]
        mean = _means(own)
        referred = [row for row in own if "redistribution" in row]
        shares = [100 * row["weights changed"] / row["weights"] for row in own]
        cells = (
            f"`{name}`",
            f"{len(own)}",
            f"{_means(before)('forget'):.1f} → {mean('forget'):.1f} %",
            f"{mean('retain lost'):.2f}",
            f"{mean('worst class lost'):.2f}",
            f"{_means(before)('relearn'):.1f} → {mean('relearn'):.1f} %",
            f"{len(referred)}",
            f"{_means(referred)('over reference'):.1f}" if referred else "",
            f"{_means(referred)('redistribution'):.2f}" if referred else "",
            f"{np.mean(shares):.0f} %",
            f"{mean('cpu seconds'):.1f} s",
        )
        lines.append(f"| {cells[0]} | " + " | ".join(cells[1:]).replace("-", "−") + " |")
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


def _means(rows: Sequence[Row]) -> Callable[[str], float]:
    return lambda column: float(np.mean([row[column] for row in rows]))


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
    of_it = {(row["model"], row["forget class"]) for row in found}
    originals = [r for r in rows if r["method"] == "original" and (r["model"], r["forget class"]) in of_it]
    click.echo("\n".join([*by_model(found, originals), "", *by_target(found)]))


if __name__ == "__main__":
    main()
