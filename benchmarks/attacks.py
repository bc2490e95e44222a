"""What attackers bring back of a class, step by step: original, mask, methods, ours, a reference.

    python benchmarks/attacks.py [--model mnist_cnn:3] [--method auto] [--method deep] [-o FOLDER]
        [--grid] [--samples 5,20]

`deep` is `auto` with `--depth deep`. --grid fine-tunes from 5, 20 and 100 samples a class, or from as many as
--samples says, at two rates, everything and the last block alone: six times as long. Each model is a name of
benchmarks/references.py (which trains it, and a reference without the class) with the class. Writes
attacks.json and attacks.png, and prints the tables of docs/results.md. `mask` is fine-tuned from the original
without the head's row, as every attacked model is. Models of sample_models come from there.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
from judge import samples
from references import trained_path
from trained.recipes import TRAINED

from onnxunlearn import examine, unlearn
from onnxunlearn.judge.attacks import fine_tune_grid
from onnxunlearn.judge.attacks.fine_tune_grid import RATES, SCOPES
from onnxunlearn.judge.attacks.fine_tune_grid import SAMPLES as COUNTS

SAMPLES = Path(__file__).parents[1] / "sample_models"
STEPS = (20, 30, 100)
#: row of the findings -> heading
OTHERS = {
    "relearn": "head, 20 a class",
    "small-network": "network, 20",
    "nearest": "nearest, 20",
    "prototypes": "mean of 5",
    "full-probe": "linear, all",
}
ATTACKS = [
    "fine-tune",
    "fine-tune-block",
    "head-refit",
    "small-network",
    "nearest",
    "prototypes",
    "full-probe",
]
#: how fine-tuning's rows begin -> heading
CURVES = {"fine-tune": "all weights, 20 a class", "fine-tune-block": "last block, 20 a class"}
GRID = {
    f"fine-tune-grid {scope.removeprefix('the ')} {n} {rate:g}": f"{scope}, {n} a class, rate {rate:g}"
    for scope in SCOPES
    for n in COUNTS
    for rate in RATES
}

Row = dict[str, Any]


def path_of(model: str, without: int | None = None) -> Path:
    """Of sample_models where it is, else what was trained."""
    suffix = "" if without is None else f".without{without}"
    own = SAMPLES / f"{model}{suffix}.onnx"
    return own if own.exists() and (SAMPLES / f"{model}.onnx").exists() else trained_path(model, without)


def measured(model: str, forget: int, methods: Sequence[str], seed: int, grid: bool) -> list[Row]:
    """A row for each method; what is the same in all, reference and mask, too."""
    arrays = samples(next(t for t in TRAINED if t.name == model).data)
    original, reference = path_of(model), path_of(model, forget)
    probes = {"x": arrays["probes_x"], "y": arrays["probes_y"]}
    unseen = {"x": arrays["test_x"], "y": arrays["test_y"]}
    found: list[Row] = []
    for method in methods:
        started = time.process_time()
        by, parameters = ("auto", {"depth": "deep"}) if method == "deep" else (method, {})
        edited = unlearn(original, forget, data=probes, method=by, parameters=parameters, seed=seed)
        spent = time.process_time() - started
        findings = examine(
            original,
            edited.model_bytes,
            forget,
            unseen,
            reference=reference if reference.exists() and not found else None,
            attacks=[*ATTACKS, *(["fine-tune-grid"] if grid else [])],
            seed=seed,
        )
        columns = {"edited": method} | ({} if found else {"mask": "mask", "reference": "reference"})
        for column, name in columns.items():
            if column == "reference" and not reference.exists():
                continue
            curves = {**CURVES, **(GRID if grid else {})}
            figures = {f"{c} {n}": findings.value(f"{c} {n}", column) for c in curves for n in STEPS}
            figures |= {row: findings.value(row, column) for row in OTHERS}
            cost = {"retain lost": findings.value("lost", column), "forget": findings.value("forget", column)}
            found.append({"model": model, "class": forget, "name": name, **cost, **figures})
        found[0]["cpu seconds"] = spent
        click.echo(f"{model} {forget} {method}: {spent:.0f} s of CPU", err=True)
    return found


def table(rows: Sequence[Row]) -> list[str]:
    """A line a model and method."""
    heads = ["points lost", *(f"{n} steps" for n in STEPS), *OTHERS.values()]
    lines = ["| model, class | | " + " | ".join(heads) + " |", "|---|---|" + "--:|" * len(heads)]
    for row in rows:
        lost = "" if row["retain lost"] is None else f"{row['retain lost']:.2f}"
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


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def picture(rows: Sequence[Row], path: Path) -> None:
    """A panel for each model and class; a curve for each method over the steps of fine-tuning."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys((row["model"], row["class"]) for row in rows))
    figure, axes = plt.subplots(1, len(cases), figsize=(3.4 * len(cases), 3.2), sharey=True, squeeze=False)
    styles: Mapping[str, Row] = {
        "mask": {"color": "0.5", "linestyle": ":"},
        "reference": {"color": "0.1", "linestyle": "--"},
        "auto": {"color": "tab:blue", "linewidth": 2.5},
    }
    others = [name for name in dict.fromkeys(row["name"] for row in rows) if name not in styles]
    styles = {**styles, **{name: {"color": f"C{i}"} for i, name in enumerate(others, 1)}}
    for axis, (model, forget) in zip(axes[0], cases, strict=True):
        for row in (row for row in rows if (row["model"], row["class"]) == (model, forget)):
            values = [row[f"fine-tune {n}"] for n in STEPS]
            if None not in values:
                axis.plot(STEPS, values, marker="o", label=row["name"], **styles[row["name"]])
        axis.set_xscale("log")
        axis.set_xticks(STEPS, [str(n) for n in STEPS], minor=False)
        axis.minorticks_off()
        axis.set_title(f"{model}, class {forget}", fontsize=9)
        axis.set_xlabel("steps of fine-tuning, 20 samples a class")
        axis.set_ylim(0, 101)
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("samples given the class again, %")
    axes[0][-1].legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


@click.command()
@click.option(
    "--model", "models", multiple=True, default=("mnist_cnn:3", "mnist_resnet:3"), show_default=True
)
@click.option("--method", "methods", multiple=True, default=("auto", "lra-npp"), show_default=True)
@click.option("--grid", is_flag=True, help="Fine-tune in every way.")
@click.option("--samples", "counts", default=",".join(map(str, COUNTS)), show_default=True, help="Of --grid.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=Path(".data"))
def main(
    models: tuple[str, ...], methods: tuple[str, ...], grid: bool, counts: str, seed: int, output: Path
) -> None:
    """Measure, write both files, print the tables."""
    output.mkdir(parents=True, exist_ok=True)
    fine_tune_grid.SAMPLES = tuple(int(count) for count in counts.split(","))
    rows: list[Row] = []
    for name in models:
        model, _, forget = name.partition(":")
        rows += measured(model, int(forget), methods, seed, grid)
        (output / "attacks.json").write_text(json.dumps(rows, indent=1) + "\n")
    picture(rows, output / "attacks.png")
    click.echo("\n".join([*table(rows), "", *curves_table(rows)]))


if __name__ == "__main__":
    main()
