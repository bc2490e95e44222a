"""What more inputs that nobody labelled buy: depth and what it costs, by how many of a class there are.

    python benchmarks/references.py --model fashion_lenet --classes 5     # once
    python benchmarks/more_inputs.py [--model fashion_lenet:5] [--counts 12,36,120,400] [-o FOLDER]

Test samples are given without labels to `auto --depth deep` (the model labels them), with labels for
comparison, and judged on 4,000 others that no run saw. Writes more_inputs.json and more_inputs.png, prints
the table of docs/labbook.md. The reference is the network retrained without the class, where it was trained.
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
from trained.recipes import CLASSES, TRAINED

from onnxunlearn import examine, unlearn
from onnxunlearn.judge import Findings

JUDGING = 4000
Row = dict[str, Any]
Arrays = dict[str, np.ndarray]


def parts(model: str) -> tuple[Arrays, Arrays]:
    """What may be given, and what judges."""
    arrays = samples(next(t for t in TRAINED if t.name == model).data)
    x, y = (np.concatenate([arrays[f"test_{n}"], arrays[f"probes_{n}"]]) for n in "xy")
    order = np.random.default_rng(100).permutation(len(y))
    judging, rest = order[:JUDGING], order[JUDGING:]
    return {"x": x[rest], "y": y[rest]}, {"x": x[judging], "y": y[judging]}


def some(given: Arrays, count: int, seed: int, labels: bool) -> Arrays:
    """So many of each class."""
    rng = np.random.default_rng(seed)
    chosen = [rng.permutation(np.flatnonzero(given["y"] == c))[:count] for c in range(CLASSES)]
    found = {name: values[np.concatenate(chosen)] for name, values in given.items()}
    return found if labels else {"x": found["x"]}


def figures(found: Findings, column: str) -> Row:
    """What is lost, and what comes back."""
    row: Row = {"lost": found.value("lost", column), "relearn": found.value("relearn", column)}
    return row | {"steps": [found.value(f"fine-tune {n}", column) for n in STEPS]}


def measured(model: str, forget: int, counts: Sequence[int], seed: int) -> list[Row]:
    """A row for each number of inputs, without labels and with them, and the reference's."""
    given, judging = parts(model)
    original, reference = path_of(model), path_of(model, forget)
    rows: list[Row] = []
    for count in counts:
        for labels in (False, True):
            started = time.process_time()
            probes = some(given, count, seed, labels)
            edited = unlearn(original, forget, data=probes, parameters={"depth": "deep"}, seed=seed)
            spent = time.process_time() - started
            beside = reference if reference.exists() and not rows else None
            attacks = ["head-refit", "fine-tune"]
            found = examine(original, edited.model_bytes, forget, judging, reference=beside, attacks=attacks)
            if beside is not None:
                rows.append({"count": None, **figures(found, "reference")})
            details = edited.report["method"]["details"]
            taken = {key: details.get(key) for key in ("chosen", "share", "depth", "why")}
            worst = found.target("worst retained class").reached.value
            row = {"count": count, "labels": labels, **taken, "worst": worst, "cpu seconds": spent}
            rows.append(row | figures(found, "edited"))
            click.echo(f"{count} a class, labels {labels}: {taken}, {spent:.0f} s of CPU", err=True)
    return rows


def table(rows: Sequence[Row]) -> list[str]:
    """A line a row."""
    steps = " / ".join(map(str, STEPS))
    lines = [f"| a class | `auto` takes | points lost | worst class | relearn | {steps} steps | CPU, s |"]
    lines.append("|--:|---|--:|--:|--:|--:|--:|")
    for row in rows:
        back = " / ".join("" if b is None else f"{b:.0f}" for b in row["steps"])
        lost, found = f"{row['lost']:.2f}".replace("-", "−"), f"{row['relearn']:.1f}"
        if row["count"] is None:
            lines.append(f"| | reference | {lost} | | {found} | {back} | |")
            continue
        taken = row["chosen"] if row["share"] is None else f"{row['depth']}, {row['share']:.0%}"
        count = f"{row['count']}{', labelled' if row['labels'] else ''}"
        spent = f"{row['cpu seconds']:.0f}"
        lines.append(f"| {count} | {taken} | {lost} | {row['worst']:.1f} | {found} | {back} | {spent} |")
    return lines


def picture(rows: Sequence[Row], title: str, path: Path) -> None:
    """What a head refitted on 20 samples a class finds, against how many inputs a class were given."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(5, 3.4))
    for labels, name in ((False, "without labels"), (True, "with labels")):
        own = [row for row in rows if row["count"] is not None and row["labels"] is labels]
        axis.plot([r["count"] for r in own], [r["relearn"] for r in own], marker="o", label=name)
    for row in rows:
        if row["count"] is None:
            axis.axhline(row["relearn"], color="0.2", linestyle="--", label="reference")
    axis.set_xscale("log")
    axis.set_xlabel("inputs of each class")
    axis.set_ylabel("samples that a new head finds, %")
    axis.set_title(title, fontsize=9)
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


@click.command()
@click.option("--model", "case", default="fashion_lenet:5", show_default=True)
@click.option("--counts", default="12,36,120,400", show_default=True, help="Inputs of each class.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(".data"))
def main(case: str, counts: str, seed: int, output: Path) -> None:
    """Measure, write both files, print the table."""
    output.mkdir(parents=True, exist_ok=True)
    model, _, forget = case.partition(":")
    rows = measured(model, int(forget), [int(count) for count in counts.split(",")], seed)
    (output / "more_inputs.json").write_text(json.dumps(rows, indent=1) + "\n")
    picture(rows, f"{model}, class {forget}", output / "more_inputs.png")
    click.echo("\n".join(table(rows)))


if __name__ == "__main__":
    main()
