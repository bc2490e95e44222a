"""The default method with few, wrong, blurred or missing probes, and on several classes.

    python benchmarks/references.py     # once, at least its first part: the models; references are not needed
    python benchmarks/probes.py [--model fashion_lenet] [--forget 5] [--condition "5 a class"]

Judged like benchmarks/methods.py, on test samples that no method saw. `then` forgets one class more in the
model that has forgotten the first. Rows are kept in benchmarks/results/probes.json, so that a run goes on
where the last one stopped.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from judge import Judge, Row
from references import trained_path
from rich.console import Console
from rich.table import Table
from scipy.ndimage import gaussian_filter
from trained.recipes import CLASSES, TRAINED

from onnxunlearn import unlearn
from onnxunlearn.errors import OnnxUnlearnError

RESULTS = Path(__file__).parent / "results" / "probes.json"
MODELS = ("fashion_lenet", "fashion_resnet8", "fashion_vit", "udhr_text", "mnist_mlp", "mnist_cnn")
Probes = dict[str, np.ndarray]


def few(count: int) -> Callable[[Probes, int, np.random.Generator], Probes]:
    """So many probes a class, of which a third judge."""

    def change(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
        chosen = [rng.permutation(np.flatnonzero(probes["y"] == c))[:count] for c in range(CLASSES)]
        return {name: value[np.concatenate(chosen)] for name, value in probes.items()}

    return change


def wrong_labels(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
    """A tenth of the labels drawn anew."""
    wrong = rng.permutation(len(probes["y"]))[: len(probes["y"]) // 10]
    labels = probes["y"].copy()
    labels[wrong] = rng.integers(CLASSES, size=len(wrong))
    return {**probes, "y": labels}


def noisy(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
    """Gaussian noise of half the pixels' deviation."""
    x = probes["x"]
    return {**probes, "x": (x + 0.5 * x.std() * rng.standard_normal(x.shape)).astype(x.dtype)}


def blurred(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
    """A Gaussian of one pixel."""
    return {**probes, "x": gaussian_filter(probes["x"], (0, 0, 1, 1))}


def of_the_class(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
    """Probes of the class to forget alone."""
    return {name: value[probes["y"] == forget] for name, value in probes.items()}


def unlabelled(probes: Probes, forget: int, rng: np.random.Generator) -> Probes:
    """The model gives the labels."""
    return {"x": probes["x"]}


CONDITIONS: dict[str, Callable[[Probes, int, np.random.Generator], Probes | None]] = {
    "36 a class": lambda probes, forget, rng: probes,
    "15 a class": few(15),
    "8 a class": few(8),
    "5 a class": few(5),
    "10 % wrong labels": wrong_labels,
    "noisy": noisy,
    "blurred": blurred,
    "of the class alone": of_the_class,
    "unlabelled": unlabelled,
    "none": lambda probes, forget, rng: None,
    "two classes": lambda probes, forget, rng: probes,
    "then": lambda probes, forget, rng: probes,
}
#: those that tokens have no like of
OF_IMAGES = ("noisy", "blurred")


def without(probes: Probes, forgotten: int) -> Probes:
    """Those of the classes that the model still knows."""
    return {name: value[probes["y"] != forgotten] for name, value in probes.items()}


def measure(judge: Judge, forget: int, condition: str) -> Row:
    """One row; figures over all classes that are to be forgotten."""
    row: Row = {"model": judge.trained.name, "forget class": forget, "probes": condition}
    probes = CONDITIONS[condition](judge.probes, forget, np.random.default_rng(0))
    classes = [forget]
    steps: list[tuple[list[int], Probes | None]] = [(classes, probes)]
    if condition in ("two classes", "then"):
        classes = [forget, (forget + 8) % CLASSES]
        steps = [(classes, probes)]
        if condition == "then":
            steps = [(classes[:1], probes), (classes[1:], without(judge.probes, forget))]
    data = trained_path(judge.trained.name).read_bytes()
    cpu, met = time.process_time(), True
    try:
        for group, given in steps:
            result = unlearn(data, group, given)
            data, met = result.model_bytes, met and result.met
    except OnnxUnlearnError as error:
        return {**row, "error": str(error)}
    row |= {"cpu seconds": time.process_time() - cpu, "exit": 0 if met else 1}
    row["chosen"] = result.report["method"]["details"]["chosen"]
    return row | judge.figures(data, classes)


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice([t.name for t in TRAINED]))
@click.option("--forget", "classes", default="5", show_default=True)
@click.option("--condition", "conditions", multiple=True, type=click.Choice(list(CONDITIONS)))
def main(models: tuple[str, ...], classes: str, conditions: tuple[str, ...]) -> None:
    """Measure what is missing, then show all rows asked for."""
    rows: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    RESULTS.parent.mkdir(exist_ok=True)
    names, wanted = models or MODELS, conditions or tuple(CONDITIONS)
    for name in names:
        judge = None
        text = next(t for t in TRAINED if t.name == name).data == "udhr"
        for forget in map(int, classes.split(",")):
            for condition in wanted:
                key = {"model": name, "forget class": forget, "probes": condition}
                if any(r.items() >= key.items() for r in rows) or (text and condition in OF_IMAGES):
                    continue
                judge = judge or Judge(name)
                rows.append(measure(judge, forget, condition))
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
                click.echo(json.dumps(rows[-1]), err=True)
    show([r for r in rows if r["model"] in names and r["probes"] in wanted])


def show(rows: list[Row]) -> None:
    columns = {
        "forget": 1,
        "retain lost": 2,
        "worst class lost": 2,
        "relearn": 1,
        "cpu seconds": 1,
        "exit": 0,
    }
    table = Table(box=None)
    for i, heading in enumerate(("model", "class", "probes", *columns, "chosen")):
        table.add_column(heading, justify="left" if i < 3 else "right")
    for row in rows:
        figures = [f"{row[c]:.{d}f}" if row.get(c) is not None else "" for c, d in columns.items()]
        last = row.get("error") or row["chosen"]
        table.add_row(row["model"], str(row["forget class"]), row["probes"], *figures, last)
    Console().print(table)


if __name__ == "__main__":
    main()
