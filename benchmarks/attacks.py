"""What attackers bring back of a class, step by step: hidden logit, a reference, methods, ours.

    python benchmarks/references.py --classes 5         # once: models, and references without the class
    python benchmarks/attacks.py [--model fashion_vit:5] [--method deep] [--grid] [--samples 5,20] [--again]

`deep` is `auto` with `--depth deep`. --grid fine-tunes from 5, 20 and 100 samples a class, or from as many as
--samples says, at two rates, everything and the last block alone: six times as long. Each model is a name of
benchmarks/references.py with the class; those of sample_models come from there, those not yet trained are
left out. `mask` is fine-tuned from the original without the head's row, as every attacked model is.

Rows are kept in attacks.json (with --grid attacks_grid.json) of benchmarks/results, in the repository, so
that a run goes on where the last one stopped. Each says on which day it was taken, at which commit of the
package and of which file of the original: what is of another file is measured anew, what is of another commit
with --again. All rows that are kept make the tables of docs/results.md, which are printed, and the picture.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import json
import subprocess
import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import click
from curves import CURVES, GRID, OTHERS, REFERENCE, STEPS, Row, curves_table, excess_table, picture, table
from judge import samples
from references import trained_path
from trained.recipes import TRAINED

from onnxunlearn import examine, unlearn
from onnxunlearn.judge.attacks import fine_tune_grid
from onnxunlearn.judge.attacks.attackers import tuning
from onnxunlearn.judge.attacks.fine_tune_grid import SAMPLES as COUNTS

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "sample_models"
RESULTS = ROOT / "benchmarks" / "results"
#: model and class; the last is looked at last
CASES = (
    *("mnist_cnn:3", "fashion_lenet:5", "mnist_resnet:3", "mnist_mlp:5", "fashion_vit:5", "udhr_text:5"),
    *("fashion_resnet8:5", "fashion_mobile:5"),
)
#: how often an attacker draws samples: by two draws a retrained ViT came to 57
#: percent after 100 steps, by six to 68
_DRAWS = 4
#: seeds of references that are looked for
_SEEDS = 10
METHODS = ("auto", "deep", "lra-npp")
ATTACKS = [
    "fine-tune",
    "fine-tune-block",
    "head-refit",
    "small-network",
    "nearest",
    "prototypes",
    "full-probe",
]


def path_of(model: str, without: int | None = None, seed: int = 0) -> Path:
    """Of sample_models where it is, else what was trained."""
    trained = trained_path(model, without, seed)
    own = SAMPLES / trained.name
    return own if own.exists() and (SAMPLES / f"{model}.onnx").exists() else trained


def references_of(model: str, forget: int) -> dict[str, Path]:
    """By name: "reference", "reference seed 1" …, as many as were trained."""
    paths = (path_of(model, forget, seed) for seed in range(_SEEDS))
    named = {f"{REFERENCE} seed {seed}" if seed else REFERENCE: path for seed, path in enumerate(paths)}
    return {name: path for name, path in named.items() if path.exists()}


def digest(model: str) -> str:
    """Of the original's file, its beginning."""
    return hashlib.sha256(path_of(model).read_bytes()).hexdigest()[:12]


def taken() -> str:
    """The day, and the last commit that changed the package; + where more was changed since."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", "-C", str(ROOT), *words, "--", "onnxunlearn"], capture_output=True, text=True, check=True
        ).stdout.strip()

    return f"{date.today()} {git('log', '-1', '--format=%h')}{'+' if git('status', '--porcelain') else ''}"


def measured(model: str, forget: int, names: Sequence[str], seed: int, grid: bool) -> list[Row]:
    """A row for each name, and one for `mask`, all attacked with the same samples in the same order. Two at a
    time: beside the one that is examined the next stands as a reference does, which halves the masks."""
    arrays = samples(next(t for t in TRAINED if t.name == model).data)
    probes = {"x": arrays["probes_x"], "y": arrays["probes_y"]}
    unseen = {"x": arrays["test_x"], "y": arrays["test_y"]}
    references = references_of(model, forget)
    files: dict[str, bytes] = {}
    spent: dict[str, float] = {}
    for name in names:
        if name in references:
            files[name] = references[name].read_bytes()
            continue
        started = time.process_time()
        by, parameters = ("auto", {"depth": "deep"}) if name == "deep" else (name, {})
        edited = unlearn(path_of(model), forget, data=probes, method=by, parameters=parameters, seed=seed)
        files[name], spent[name] = edited.model_bytes, time.process_time() - started
        click.echo(f"{model} {forget} {name}: {spent[name]:.0f} s of CPU", err=True)
    asked = [*ATTACKS, *(["fine-tune-grid"] if grid else [])]
    curves = [f"{c} {n}" for c in {**CURVES, **(GRID if grid else {})} for n in STEPS]
    found: dict[str, Row] = {}
    for pair in (list(files)[i : i + 2] for i in range(0, len(files), 2)):
        first, second = files[pair[0]], files[pair[1]] if pair[1:] else None
        findings = examine(path_of(model), first, forget, unseen, reference=second, attacks=asked, seed=seed)
        columns = ["edited", *(["reference"] if second else []), "mask"]
        for name, column in zip([*pair, "mask"], columns, strict=True):
            row = {"model": model, "class": forget, "name": name, "taken": taken(), "original": digest(model)}
            row |= {"retain lost": findings.value("lost", column), "forget": findings.value("forget", column)}
            row |= {figure: findings.value(figure, column) for figure in [*curves, *OTHERS]}
            found[name] = row | ({"cpu seconds": spent[name]} if name in spent else {})
    return list(found.values())


def sorted_rows(rows: Sequence[Row]) -> list[Row]:
    """As models stand in CASES; in each first what edits are held against, then ours."""
    names = ["mask", *(f"{REFERENCE} seed {seed}" if seed else REFERENCE for seed in range(_SEEDS)), *METHODS]
    cases = [tuple(case.split(":")) for case in CASES]

    def place(row: Row) -> tuple[int, int]:
        case, name = (row["model"], str(row["class"])), row["name"]
        return (
            cases.index(case) if case in cases else len(cases),
            names.index(name) if name in names else len(names),
        )

    return sorted(rows, key=place)


def sources(rows: Sequence[Row]) -> list[str]:
    """A line a day and commit: which rows were taken then."""
    days: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        own = days.setdefault(row["taken"], {})
        own.setdefault(f"{row['model']} {row['class']}", []).append(row["name"])
    return [
        f"* {day}: " + "; ".join(f"{case} ({', '.join(names)})" for case, names in own.items())
        for day, own in days.items()
    ]


@click.command()
@click.option("--model", "models", multiple=True, default=CASES, show_default=True)
@click.option("--method", "methods", multiple=True, default=METHODS, show_default=True)
@click.option("--grid", is_flag=True, help="Fine-tune in every way.")
@click.option("--samples", "counts", default=",".join(map(str, COUNTS)), show_default=True, help="Of --grid.")
@click.option("--again", is_flag=True, help="Measure rows that are there already, too.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), default=RESULTS)
@click.option("--plot", type=click.Path(path_type=Path), help="Draw all rows into this file.")
def main(
    models: tuple[str, ...],
    methods: tuple[str, ...],
    grid: bool,
    counts: str,
    again: bool,
    seed: int,
    output: Path,
    plot: Path | None,
) -> None:
    """Measure what is missing, print the tables of all rows."""
    output.mkdir(parents=True, exist_ok=True)
    tuning.DRAWS = tuning.DRAWS if grid else _DRAWS
    fine_tune_grid.SAMPLES = tuple(int(count) for count in counts.split(","))
    file = output / ("attacks_grid.json" if grid else "attacks.json")
    rows: list[Row] = json.loads(file.read_text()) if file.exists() else []
    for case in models:
        model, _, forget = case.partition(":")
        if not path_of(model).exists():
            click.echo(f"{model}: not trained yet: benchmarks/references.py", err=True)
            continue
        key = {"model": model, "class": int(forget)}
        rows = [row for row in rows if not row.items() >= key.items() or row.get("original") == digest(model)]
        known = [row["name"] for row in rows if row.items() >= key.items()]
        wanted = [*references_of(model, int(forget)), *methods]
        names = [name for name in wanted if again or name not in known]
        if not names:
            continue
        found = measured(model, int(forget), names, seed, grid)
        if not again:
            found = [row for row in found if row["name"] not in known]
        fresh = [row["name"] for row in found]
        rows = [row for row in rows if not (row.items() >= key.items() and row["name"] in fresh)]
        rows = sorted_rows([*rows, *found])
        file.write_text(json.dumps(rows, indent=1) + "\n")
    if plot:
        picture(rows, plot)
    click.echo(
        "\n".join([*table(rows), "", *curves_table(rows), "", *excess_table(rows), "", *sources(rows)])
    )


if __name__ == "__main__":
    main()
