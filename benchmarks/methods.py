"""Every method on every trained model and class, judged on data that no method saw, beside a reference.

    python benchmarks/references.py                 # once: models, and references trained without a class
    python benchmarks/methods.py [--model fashion_lenet] [--method auto] [--classes 5,3]

36 probes a class go to the method, of which `unlearn` keeps a third to judge by. Figures are taken on all
other test samples. `reference` is the same network trained from scratch without the class, `mask` hides its
output.
Rows are kept in benchmarks/results/methods.json, so that a run goes on where the last one stopped; `--again`
measures anew. The summary is of the classes asked for; with --plot it is drawn, with --table it is Markdown.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from references import DATA, trained_path
from rich.console import Console
from rich.table import Table
from trained.recipes import CLASSES, TRAINED, data_of

from onnxunlearn import load, unlearn
from onnxunlearn.audit.attacks import relearn
from onnxunlearn.engines import create_engine
from onnxunlearn.engines.batching import run_batched
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import Model, expose, find_head, find_logits

RESULTS = Path(__file__).parent / "results" / "methods.json"
METHODS = ("auto", "lra-npp", "svd", "damp", "esc", "ssd", "neuron-mask", "pxp", "mask")
Row = dict[str, Any]


class Judge:
    """Test samples of one data set, and what the original of one model makes of them."""

    def __init__(self, name: str) -> None:
        self.trained = next(t for t in TRAINED if t.name == name)
        arrays = samples(self.trained.data)
        self.x, self.y = arrays["test_x"], arrays["test_y"]
        self.probes = {"x": arrays["probes_x"], "y": arrays["probes_y"]}
        self.original = self.look(trained_path(name).read_bytes())

    def look(self, data: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Predicted classes and features of the test samples."""
        model = load(data)
        logits = find_logits(model)
        inner = find_head(model, logits).input
        session = create_engine("onnxruntime").session(expose(model, [logits.tensor, inner]))
        values = run_batched(session, {model.inputs[0].name: self.x}, [logits.tensor, inner], 200)
        features = values[inner]
        return values[logits.tensor].reshape(len(self.x), -1).argmax(axis=1), features.reshape(
            len(features), -1
        )

    def figures(self, data: bytes, forget: int, reference: np.ndarray | None) -> Row:
        """Accuracies in percent and points, relearning, redistribution (total variation, 0 to 1)."""
        predicted, features = self.look(data)
        before, forgotten = self.original[0], self.y == forget
        right, was = predicted == self.y, before == self.y
        lost = [
            100 * float(was[self.y == c].mean() - right[self.y == c].mean())
            for c in range(CLASSES)
            if c != forget
        ]
        relearned = relearn(features, self.y, [forget])
        row = {
            "forget": 100 * float(right[forgotten].mean()),
            "retain": 100 * float(right[~forgotten].mean()),
            "retain lost": 100 * float(was[~forgotten].mean() - right[~forgotten].mean()),
            "worst class lost": max(lost),
            "relearn": None if relearned is None else relearned.accuracy,
        }
        if reference is not None:
            here, there = (
                np.bincount(p[forgotten], minlength=CLASSES) / forgotten.sum() for p in (predicted, reference)
            )
            row["redistribution"] = 0.5 * float(np.abs(here - there).sum())
        return row


def samples(data: str) -> dict[str, np.ndarray]:
    """Probes and test samples of a data set, made once."""
    path = DATA / "trained" / f"{data}.npz"
    if not path.exists():
        np.savez(path, **data_of(data, DATA))  # type: ignore[arg-type]
    with np.load(path) as archive:
        return dict(archive)


def measure(judge: Judge, forget: int, method: str) -> Row:
    """One row; `error` instead of figures where the method refuses the model."""
    path, retrained = trained_path(judge.trained.name), trained_path(judge.trained.name, forget)
    reference = judge.look(retrained.read_bytes())[0] if retrained.exists() else None
    row: Row = {"model": judge.trained.name, "forget class": forget, "method": method}
    if method in ("original", "reference"):
        if method == "reference" and reference is None:
            return {**row, "error": "not trained yet: benchmarks/references.py"}
        data = path.read_bytes() if method == "original" else retrained.read_bytes()
        return {**row, **judge.figures(data, forget, reference)}
    start, cpu = time.perf_counter(), time.process_time()
    try:
        result = unlearn(path, forget, judge.probes, method=method)
    except OnnxUnlearnError as error:
        return {**row, "error": str(error)}
    row["seconds"] = time.perf_counter() - start
    row["cpu seconds"] = time.process_time() - cpu
    changes = result.report["changes"]
    row["weights changed"] = sum(tensor["elements"] for tensor in changes["tensors"])
    row["weights"] = sum(int(np.prod(t.dims)) for t in stored(path))
    row["exit"] = 0 if result.met else 1
    row["chosen"] = result.report["method"]["details"].get("chosen", method)
    return {**row, **judge.figures(result.model_bytes, forget, reference)}


def stored(path: Path) -> list[onnx.TensorProto]:
    model: Model = load(path)
    return [t for t in model.stored.values() if t.data_type == onnx.TensorProto.FLOAT]


@click.command()
@click.option("--model", "models", multiple=True, type=click.Choice([t.name for t in TRAINED]))
@click.option("--method", "methods", multiple=True)
@click.option("--classes", default=",".join(map(str, range(CLASSES))), show_default=True)
@click.option("--again", is_flag=True, help="Measure rows that are there already, too.")
@click.option("--table", is_flag=True, help="Print the summary as Markdown.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the summary into this file.")
def main(
    models: tuple[str, ...],
    methods: tuple[str, ...],
    classes: str,
    again: bool,
    table: bool,
    plot: Path | None,
) -> None:
    """Measure what is missing, then show a summary."""
    rows: list[Row] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    wanted = ("original", "reference", *(methods or METHODS))
    RESULTS.parent.mkdir(exist_ok=True)
    for trained in TRAINED:
        if (models and trained.name not in models) or not trained_path(trained.name).exists():
            continue
        judge = None
        for forget in map(int, classes.split(",")):
            for method in wanted:
                key = {"model": trained.name, "forget class": forget, "method": method}
                known = [r for r in rows if r.items() >= key.items()]
                if known and not again and not known[0].get("error", "").startswith("not trained"):
                    continue
                judge = judge or Judge(trained.name)
                row = measure(judge, forget, method)
                rows = [r for r in rows if not r.items() >= key.items()] + [row]
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
                click.echo(json.dumps(row), err=True)
    summary = summarise([r for r in rows if str(r["forget class"]) in classes.split(",")], models)
    if table:
        click.echo(markdown(summary))
    else:
        show(summary)
    if plot:
        draw(summary, plot)


COLUMNS = {
    "forget": 1,
    "retain lost": 2,
    "worst class lost": 2,
    "relearn": 1,
    "over reference": 1,
    "redistribution": 2,
    "cpu seconds": 1,
}


def summarise(rows: list[Row], models: tuple[str, ...]) -> list[Row]:
    """Means over the classes that have been measured, with their count; `over reference`: points of relearn
    above the reference, and like redistribution over the classes that have one."""
    found = []
    for name in dict.fromkeys(r["model"] for r in rows):
        if models and name not in models:
            continue
        own = [r for r in rows if r["model"] == name and "error" not in r]
        references = {r["forget class"]: r["relearn"] for r in own if r["method"] == "reference"}
        for measured in own:
            if measured["forget class"] in references:
                measured["over reference"] = measured["relearn"] - references[measured["forget class"]]
        for method in ("original", "reference", *METHODS):
            group = [r for r in own if r["method"] == method]
            if not group:
                continue
            row: Row = {"model": name, "method": method, "classes": len(group)}
            for column in COLUMNS:
                values = [r[column] for r in group if r.get(column) is not None]
                row[column] = float(np.mean(values)) if values else None
            row["weights changed"] = (
                100 * float(np.mean([r["weights changed"] / r["weights"] for r in group]))
                if "weights" in group[0]
                else None
            )
            found.append(row)
    return found


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
    colours = {method: f"C{i}" for i, method in enumerate(shown)}
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


if __name__ == "__main__":
    main()
