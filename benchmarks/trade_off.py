"""What depth costs: points that the others lose against steps of fine-tuning that bring half of a class back.

    python benchmarks/trade_off.py [--model fashion_lenet:5] [-o FOLDER]

`erase` at both depths, pulled softer and harder, against an attacker or not, as a user would set it; beside a
hidden logit and the network retrained without the class, where it was trained (benchmarks/references.py).
Writes trade_off.json and trade_off.png, prints the table of docs/method.md.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from attacks import path_of
from curves import STEPS
from judge import samples
from trained.recipes import TRAINED

from onnxunlearn import examine, unlearn
from onnxunlearn.judge import Findings
from onnxunlearn.judge.attacks.attackers import tuning

#: what is set, from soft to hard, by what it is
SERIES: dict[str, list[dict[str, Any]]] = {
    "last block": [{"resist": 0, "beta": beta} for beta in (0.02, 0.15, 0.5)],
    "last block, resisting": [{"resist": resist} for resist in (0.1, 0.5)],
    "deep": [{"depth": "deep", "resist": 0, "pull": pull} for pull in (0.1, 1.0, 10.0)],
    "deep, resisting": [{"depth": "deep", "resist": resist} for resist in (0.4, 1.0, 2.0)],
}
#: how often an attacker draws samples
_DRAWS = 4
Row = dict[str, Any]


def row_of(name: str, findings: Findings, column: str) -> Row:
    """Points lost, the class after each number of steps, and after how many half of it is back."""
    back = [findings.value(f"fine-tune {n}", column) for n in STEPS]
    lost = findings.value("lost", column)
    half = None if None in back else steps_to_half([b for b in back if b is not None])
    return {"name": name, "lost": lost, "back": back, "half": half}


def steps_to_half(back: Sequence[float]) -> float | None:
    """Along straight lines between the steps that were asked for, from 0 at 0; None if it takes more."""
    steps, shares = [0, *STEPS], np.maximum.accumulate([0.0, *back])
    if shares[-1] < 50:
        return None
    above = int(np.argmax(shares >= 50))
    (a, b), (s, t) = shares[above - 1 : above + 1], steps[above - 1 : above + 1]
    return float(s + (50 - a) / (b - a) * (t - s))


def measured(model: str, forget: int) -> list[Row]:
    """A row for each setting, and two that need none."""
    arrays = samples(next(t for t in TRAINED if t.name == model).data)
    probes = {"x": arrays["probes_x"], "y": arrays["probes_y"]}
    unseen = {"x": arrays["test_x"], "y": arrays["test_y"]}
    original, reference = path_of(model), path_of(model, forget)
    rows: list[Row] = []
    for series, settings in SERIES.items():
        for setting in settings:
            started = time.process_time()
            edited = unlearn(original, forget, data=probes, method="erase", parameters=setting)
            spent = time.process_time() - started
            beside = reference if reference.exists() and not rows else None
            found = examine(
                original, edited.model_bytes, forget, unseen, reference=beside, attacks=["fine-tune"]
            )
            key, value = list(setting.items())[-1]
            name = f"{series}, {key} {value:g}"
            if not rows:
                rows.append(row_of("hidden logit", found, "mask"))
                if beside is not None:
                    rows.append(row_of("reference", found, "reference"))
            rows.append({**row_of(name, found, "edited"), "cpu seconds": spent})
            click.echo(f"{name}: {spent:.0f} s of CPU", err=True)
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """A line a setting."""
    steps = " / ".join(map(str, STEPS))
    lines = [f"| | points lost | {steps} steps | steps to half | CPU, s |", "|---|--:|--:|--:|--:|"]
    for row in rows:
        back = " / ".join("" if b is None else f"{b:.0f}" for b in row["back"])
        half = f"> {STEPS[-1]}" if row["half"] is None else f"{row['half']:.0f}"
        spent = f"{row['cpu seconds']:.0f}" if "cpu seconds" in row else ""
        lines.append(f"| {row['name']} | {row['lost']:.2f} | {back} | {half} | {spent} |".replace("-0", "−0"))
    return lines


def picture(rows: Sequence[Row], title: str, path: Path) -> None:
    """A curve a depth; hidden logit and reference are points."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3.4))
    for series in SERIES:
        own = [row for row in rows if row["name"].rpartition(", ")[0] == series and row["half"] is not None]
        axis.plot([r["lost"] for r in own], [r["half"] for r in own], marker="o", label=series)
    for name, marker in (("hidden logit", "x"), ("reference", "*")):
        own = [row for row in rows if row["name"] == name and row["half"] is not None]
        axis.plot([r["lost"] for r in own], [r["half"] for r in own], marker, color="0.2", ms=9, label=name)
    axis.set_xlabel("points that the other classes lose")
    axis.set_ylabel("steps that bring half of it back")
    axis.set_title(title, fontsize=9)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--model", "case", default="fashion_lenet:5", show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(".data"))
def main(case: str, output: Path) -> None:
    """Measure, write both files, print the table."""
    output.mkdir(parents=True, exist_ok=True)
    tuning.DRAWS = _DRAWS
    model, _, forget = case.partition(":")
    rows = measured(model, int(forget))
    (output / "trade_off.json").write_text(json.dumps(rows, indent=1) + "\n")
    picture(rows, f"{model}, class {forget}", output / "trade_off.png")
    click.echo("\n".join(table(rows)))


if __name__ == "__main__":
    main()
