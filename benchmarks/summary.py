"""What benchmarks/methods.py measured, as a table or a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

Row = dict[str, Any]
#: where the rows are kept
RESULTS = Path(__file__).parent / "results" / "methods.json"
#: beside which the methods stand
BASELINES = ("original", "reference")
COLUMNS = {
    "forget": 1,
    "retain lost": 2,
    "worst class lost": 2,
    "relearn": 1,
    "over reference": 1,
    "redistribution": 2,
    "membership gap": 1,
    "cpu seconds": 1,
}


def summarise(rows: list[Row], models: Sequence[str], methods: Sequence[str]) -> list[Row]:
    """Means over the classes that have been measured, with their count.

    Over the classes that have a reference: `over reference`, points of relearn above it; `redistribution`,
    total variation to it, 0 to 1; `membership gap`, points between the share of the class's training samples
    that an attacker takes for such and the reference's.
    """
    found = []
    for name in dict.fromkeys(r["model"] for r in rows):
        if models and name not in models:
            continue
        own = [r for r in rows if r["model"] == name and "error" not in r]
        references = {r["forget class"]: r for r in own if r["method"] == "reference"}
        beside = [compared(r, references.get(r["forget class"])) for r in own]
        for method in (*BASELINES, *methods):
            group = [r for r in beside if r["method"] == method]
            if not group:
                continue
            row: Row = {"model": name, "method": method, "classes": len(group), "references": len(references)}
            for column in COLUMNS:
                values = [r[column] for r in group if r.get(column) is not None]
                row[column] = float(np.mean(values)) if values else None
            shares = [100 * r["weights changed"] / r["weights"] for r in group if "weights" in r]
            row["weights changed"] = float(np.mean(shares)) if shares else None
            found.append(row)
    return found


def compared(row: Row, reference: Row | None) -> Row:
    """The row with what sets it apart from the reference, where there is one."""
    if reference is None:
        return row
    apart = np.abs(np.subtract(row["spread"], reference["spread"]))
    return {
        **row,
        "over reference": row["relearn"] - reference["relearn"],
        "redistribution": 0.5 * float(apart.sum()),
        "membership gap": abs(row["membership"] - reference["membership"]),
    }


def cells(row: Row) -> list[str]:
    shown = [row["model"], row["method"], str(row["classes"])]
    for column, digits in {**COLUMNS, "weights changed": 1}.items():
        shown.append("" if row[column] is None else f"{row[column]:.{digits}f}")
    return shown


HEADINGS = ["model", "method", "classes", *COLUMNS, "weights changed, %"]


def show(summary: list[Row]) -> None:
    table = Table(box=None)
    for i, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="left" if i < 2 else "right")
    for row in summary:
        table.add_row(*cells(row))
    Console().print(table)


def markdown(summary: list[Row]) -> str:
    lines = [" | ".join(HEADINGS), "|".join(["---"] * 2 + ["--:"] * (len(HEADINGS) - 2))]
    lines += [" | ".join(cells(row)) for row in summary]
    return "\n".join(f"| {line} |" for line in lines)


def draw(summary: list[Row], path: Path) -> None:
    """One panel a model: what is relearned of the class against what the others lost. Hollow: the class is
    still recognised in more than 1 % of its samples."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.lines import Line2D

    names = list(dict.fromkeys(r["model"] for r in summary))
    columns = min(4, len(names))
    figure, axes = pyplot.subplots(
        -(-len(names) // columns), columns, figsize=(3.4 * columns, 3.2 * -(-len(names) // columns)),
        squeeze=False, layout="constrained",
    )  # fmt: skip
    shown = list(dict.fromkeys(r["method"] for r in summary))
    palette = [*pyplot.get_cmap("tab20").colors[::2], *pyplot.get_cmap("tab20").colors[1::2]]  # type: ignore[attr-defined]
    colours = dict(zip(shown, palette, strict=False))
    markers = {"auto": "*", "original": "s", "reference": "D"}
    for axis, name in zip(axes.flat, names, strict=False):
        for row in (r for r in summary if r["model"] == name and r["relearn"] is not None):
            method = row["method"]
            forgets = row["forget"] <= 1 or method in ("original", "reference")
            axis.scatter(
                row["retain lost"], row["relearn"], s=160 if method == "auto" else 50,
                marker=markers.get(method, "o"), edgecolors=[colours[method]], linewidths=1.5,
                facecolors=[colours[method]] if forgets else "none", alpha=0.85,
            )  # fmt: skip
        axis.margins(0.12)
        axis.set_title(name, fontsize=9)
        axis.set_xlabel("retain accuracy lost, points", fontsize=8)
        axis.set_ylabel("relearned from 20 a class, %", fontsize=8)
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    entries = [
        Line2D([], [], linestyle="", marker=markers.get(m, "o"), color=colours[m], label=m) for m in shown
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(shown), fontsize=8, frameon=False)
    figure.savefig(path, dpi=110)
