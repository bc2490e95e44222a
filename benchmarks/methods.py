"""Every method on every trained model and class, judged on data that no method saw, beside a reference.

    python benchmarks/references.py                 # once: models, and references trained without a class
    python benchmarks/methods.py [--model fashion_lenet] [--method auto] [--classes 5,3]

36 probes a class go to the method, of which `unlearn` keeps a third to judge by. Figures are taken on all
other test samples. `reference` is the same network trained from scratch without the class, `mask` hides its
output.
Rows are kept in benchmarks/results/methods.json, in the repository, so that a run goes on where the last one
stopped; `--again` measures anew. Each says by which commit it was taken and of which original (the first
digits of its file's SHA-256): networks that were trained anew are others, so their rows are measured anew and
those of the ones before are dropped. The summary is of the classes asked for; with --plot it is drawn, with
--table it is Markdown. Rows of networks trained earlier, of a former default: results/methods_before.json.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import json
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

import click
import numpy as np
import onnx
from judge import Judge, Row
from peers import as_published, erasus_pruning
from references import trained_path
from summary import BASELINES, RESULTS, draw, markdown, show, summarise
from trained.recipes import CLASSES, TRAINED

from onnxunlearn import load, unlearn
from onnxunlearn.errors import OnnxUnlearnError, UnsupportedError
from onnxunlearn.graph import Model

METHODS = (
    *("auto", "lra-npp", "lra-npp published", "svd", "damp", "esc", "ssd", "neuron-mask", "pxp"),
    *("erasus pruning", "mask"),
)


def measure(judge: Judge, forget: int, method: str) -> Row:
    """One row; `error` instead of figures where the method refuses the model."""
    name = judge.trained.name
    row: Row = {"model": name, "forget class": forget, "method": method}
    try:
        if method in BASELINES:
            path = trained_path(name, None if method == "original" else forget)
            if not path.exists():
                return {**row, "error": "not trained yet: benchmarks/references.py"}
            return {**row, **judge.figures(path.read_bytes(), [forget])}
        if method == "erasus pruning":
            return {**row, **_pruned(judge, forget)}
        return {**row, **_unlearned(judge, forget, method)}
    except OnnxUnlearnError as error:
        return {**row, "error": str(error)}


def _unlearned(judge: Judge, forget: int, method: str) -> Row:
    path, parameters = trained_path(judge.trained.name), {}
    if method == "lra-npp published":
        method, parameters = "lra-npp", as_published(path, judge.trained.kind)
    start, cpu = time.perf_counter(), time.process_time()
    result = unlearn(path, forget, judge.probes, method=method, parameters=parameters)
    row: Row = {"seconds": time.perf_counter() - start, "cpu seconds": time.process_time() - cpu}
    changed = result.report["changes"]["tensors"]
    row["weights changed"] = sum(tensor["elements"] for tensor in changed)
    row["bytes changed"] = sum(tensor["bytes"] for tensor in changed)
    row["weights"] = sum(int(np.prod(t.dims)) for t in stored(path))
    row["exit"] = 0 if result.met else 1
    details = result.report["method"]["details"]
    row["chosen"] = details.get("chosen", method)
    if "share" in details:  # of the way of `erase`
        row["share"] = details["share"]
    return row | judge.figures(result.model_bytes, [forget])


def _pruned(judge: Judge, forget: int) -> Row:
    try:
        start, cpu = time.perf_counter(), time.process_time()
        data = erasus_pruning(judge.trained, judge.probes["x"][judge.probes["y"] == forget])
    except ImportError as error:
        raise UnsupportedError(f"{error}; see benchmarks/peers.py") from None
    row: Row = {"seconds": time.perf_counter() - start, "cpu seconds": time.process_time() - cpu}
    return row | judge.figures(data, [forget])


def original(name: str) -> str:
    """Which training of the model this is: the first digits of its file's SHA-256."""
    return hashlib.sha256(trained_path(name).read_bytes()).hexdigest()[:12]


def taken() -> str:
    """The day, and the last commit that changed the package."""
    commit = subprocess.run(
        ["git", "log", "-1", "--format=%h", "--", "onnxunlearn"],
        cwd=Path(__file__).parents[1], capture_output=True, text=True,
    )  # fmt: skip
    return f"{datetime.now(UTC).date()}, {commit.stdout.strip() or 'no commit'}"


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
    wanted = (*BASELINES, *(methods or METHODS))
    RESULTS.parent.mkdir(exist_ok=True)
    for trained in TRAINED:
        if (models and trained.name not in models) or not trained_path(trained.name).exists():
            continue
        judge, now = None, {"original": original(trained.name)}
        rows = [r for r in rows if r["model"] != trained.name or r.items() >= now.items()]
        for forget in map(int, classes.split(",")):
            for method in wanted:
                key = {"model": trained.name, "forget class": forget, "method": method}
                known = [r for r in rows if r.items() >= key.items()]
                if known and not again and not known[0].get("error", "").startswith("not trained"):
                    continue
                judge = judge or Judge(trained.name)
                row = measure(judge, forget, method) | now | {"taken": taken()}
                rows = [r for r in rows if not r.items() >= key.items()] + [row]
                RESULTS.write_text(json.dumps(rows, indent=1) + "\n")
                click.echo(json.dumps(row), err=True)
    summary = summarise([r for r in rows if str(r["forget class"]) in classes.split(",")], models, METHODS)
    if table:
        click.echo(markdown(summary))
    else:
        show(summary)
    if plot:
        draw(summary, plot)


if __name__ == "__main__":
    main()
