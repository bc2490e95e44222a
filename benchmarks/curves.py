"""What attackers brought back, shown: the tables of docs/results.md and its picture, of attacks.py's rows."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from onnxunlearn.judge.attacks.fine_tune_grid import RATES, SCOPES
from onnxunlearn.judge.attacks.fine_tune_grid import SAMPLES as COUNTS

Row = dict[str, Any]

STEPS = (20, 30, 100)
#: the name of a network retrained without the class; others of them begin with it
REFERENCE = "reference"
#: points above the reference that an edit may be; of a refitted head so many
_ABOVE, _ABOVE_REFIT = 5.0, 3.0
#: panels side by side
_ACROSS = 4
#: row of the findings -> heading
OTHERS = {
    "relearn": "head, 20 a class",
    "small-network": "network, 20",
    "nearest": "nearest, 20",
    "prototypes": "mean of 5",
    "full-probe": "linear, all",
}
#: how fine-tuning's rows begin -> heading
CURVES = {"fine-tune": "all weights, 20 a class", "fine-tune-block": "last block, 20 a class"}
GRID = {
    f"fine-tune-grid {scope.removeprefix('the ')} {n} {rate:g}": f"{scope}, {n} a class, rate {rate:g}"
    for scope in SCOPES
    for n in COUNTS
    for rate in RATES
}


def table(rows: Sequence[Row]) -> list[str]:
    """A line a model and method."""
    heads = ["points lost", *(f"{n} steps" for n in STEPS), *OTHERS.values()]
    lines = ["| model, class | | " + " | ".join(heads) + " |", "|---|---|" + "--:|" * len(heads)]
    for row in rows:
        lost = "" if row["retain lost"] is None else f"{row['retain lost']:.2f}".replace("-", "−")
        cells = [lost, *(_percent(row[f"fine-tune {n}"]) for n in STEPS), *(_percent(row[o]) for o in OTHERS)]
        lines.append(f"| `{row['model']}`, {row['class']} | {row['name']} | " + " | ".join(cells) + " |")
    return lines


def curves_table(rows: Sequence[Row]) -> list[str]:
    """A line a model and way of fine-tuning, a column a method: the class after each number of steps."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    steps = " / ".join(map(str, STEPS))
    lines = [f"| model, class | fine-tuned, {steps} steps | " + " | ".join(names) + " |"]
    lines.append("|---|---|" + "--:|" * len(names))
    for model, forget in dict.fromkeys((row["model"], row["class"]) for row in rows):
        own = {row["name"]: row for row in rows if (row["model"], row["class"]) == (model, forget)}
        for curve, title in {**CURVES, **GRID}.items():
            told = {name: [row.get(f"{curve} {n}") for n in STEPS] for name, row in own.items()}
            if all(None in values for values in told.values()):
                continue
            cells = [" / ".join(map(_percent, told.get(name, []))) for name in names]
            lines.append(f"| `{model}`, {forget} | {title} | " + " | ".join(cells) + " |")
    return lines


def excess_table(rows: Sequence[Row]) -> list[str]:
    """A line a model and edit: points above the reference, bold where they are more than may be. Of several
    references above their mean, and how many of their standard deviations that is."""
    steps = " / ".join(map(str, STEPS))
    shown = {**{f"{title}, {steps} steps": [f"{c} {n}" for n in STEPS] for c, title in CURVES.items()}}
    shown |= {OTHERS[probe]: [probe] for probe in ("relearn", "full-probe")}
    lines = ["| model, class | | " + " | ".join(shown) + " |", "|---|---|" + "--:|" * len(shown)]
    for row in rows:
        case = (row["model"], row["class"])
        if row["name"] == "mask" or row["name"].startswith(REFERENCE):
            continue
        theirs = [r for r in rows if (r["model"], r["class"]) == case and r["name"].startswith(REFERENCE)]
        if not theirs:
            continue
        cells = [
            " / ".join(_above(f, row[f], [r[f] for r in theirs]) for f in figures)
            for figures in shown.values()
        ]
        lines.append(f"| `{row['model']}`, {row['class']} | {row['name']} | " + " | ".join(cells) + " |")
    return lines


def _above(figure: str, value: float | None, references: Sequence[float | None]) -> str:
    known = [reference for reference in references if reference is not None]
    if value is None or len(known) < len(references):
        return ""
    above = value - mean(known)
    told = f"{round(above):+d}" if round(above) else "0"
    if len(known) > 1 and (deviation := stdev(known)) > 0:
        told += f" ({above / deviation:+.1f} σ)"
    told = told.replace("-", "−")
    return f"**{told}**" if above > (_ABOVE_REFIT if figure == "relearn" else _ABOVE) else told


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def picture(rows: Sequence[Row], path: Path) -> None:
    """A panel for each model and class; a curve for each method over the steps of fine-tuning."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.artist import Artist

    cases = list(dict.fromkeys((row["model"], row["class"]) for row in rows))
    columns = min(_ACROSS, len(cases))
    lines = -(-len(cases) // columns)
    size = (2.6 * columns, 2.5 * lines + 0.3)
    figure, axes = plt.subplots(lines, columns, figsize=size, sharex=True, sharey=True, squeeze=False)
    again = {row["name"] for row in rows if row["name"].startswith(REFERENCE)} - {REFERENCE}
    styles: Mapping[str, Row] = {
        "mask": {"color": "0.6", "linestyle": ":"},
        REFERENCE: {"color": "0.1", "linestyle": "--"},
        **{name: {"color": "0.1", "linestyle": "--", "linewidth": 0.8} for name in again},
        "auto": {"color": "tab:blue", "linewidth": 2.2},
        "deep": {"color": "tab:orange", "linewidth": 2.2},
    }
    others = [name for name in dict.fromkeys(row["name"] for row in rows) if name not in styles]
    styles = {**styles, **{name: {"color": f"C{i}"} for i, name in enumerate(others, 2)}}
    drawn: dict[str, Artist] = {}
    for axis, (model, forget) in zip(axes.flat, cases, strict=False):
        for row in (row for row in rows if (row["model"], row["class"]) == (model, forget)):
            values = [row[f"fine-tune {n}"] for n in STEPS]
            if None not in values:
                (drawn[row["name"]],) = axis.plot(STEPS, values, marker="o", ms=4, **styles[row["name"]])
        axis.set_xscale("log")
        axis.set_xticks(STEPS, [str(n) for n in STEPS], minor=False)
        axis.minorticks_off()
        axis.set_title(f"{model}, class {forget}", fontsize=10)
        axis.set_ylim(0, 101)
        axis.grid(alpha=0.3)
    for axis in list(axes.flat)[len(cases) :]:
        axis.set_visible(False)
    figure.supxlabel("steps of fine-tuning, 20 samples a class", fontsize=10)
    figure.supylabel("samples given the class again, %", fontsize=10)
    names = [name for name in styles if name in drawn and name not in again]
    handles = [drawn[name] for name in names]
    figure.legend(handles, names, ncols=len(names), loc="upper center", frameon=False, fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 1 - 0.28 / size[1]))
    figure.savefig(path, dpi=110)
