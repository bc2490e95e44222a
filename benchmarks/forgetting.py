"""What forgetting costs: every sample model, every class, judged on the shipped test split.

    python benchmarks/forgetting.py [--method lra-npp] [--model mnist_cnn] [--classes 3] [--json FILE]

The method sees the probes only (36 a class); the figures are accuracies of the edited file on the test split
(200 other images a class), which no run looks at. Seconds are those of the whole call, on whatever else the
machine is doing.
"""

import json
import statistics
import time
from pathlib import Path

import click
import numpy as np
from rich.console import Console
from rich.table import Table

from onnxunlearn import audit, load, unlearn
from onnxunlearn.audit import Figures
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits

SAMPLES = Path(__file__).parents[1] / "sample_models"
MODELS = ("mnist_cnn", "mnist_mlp", "mnist_resnet", "fashion_mobile")


def figures(data: bytes, test: dict[str, np.ndarray], forget: int) -> Figures:
    """Accuracies of a model file on the test split."""
    model = load(data)
    logits = find_logits(model)
    scores = audit.scores(model, logits, create_engine("onnxruntime"), {"x": test["x"]}, 200)
    return audit.measure(scores.argmax(axis=1), test["y"], [forget], logits.classes)


def measure(name: str, forget: int, method: str) -> dict[str, float | bool]:
    """One row: accuracies in percent before and after, seconds, share of the file's bytes changed."""
    dataset = name.partition("_")[0]
    path = SAMPLES / f"{name}.onnx"
    with np.load(SAMPLES / f"{dataset}_test.npz") as archive:
        test = {key: archive[key] for key in ("x", "y")}
    start = time.perf_counter()
    result = unlearn(path, forget, SAMPLES / f"{dataset}_probes.npz", method=method)
    seconds = time.perf_counter() - start
    before, after = figures(path.read_bytes(), test, forget), figures(result.model_bytes, test, forget)
    assert None not in (before.forget, before.retain, after.forget, after.retain)
    worst = max(
        b - a
        for c, (b, a) in enumerate(zip(before.per_class, after.per_class, strict=True))
        if c != forget and a is not None and b is not None
    )
    return {
        "forget before": before.forget or 0.0,
        "forget after": after.forget or 0.0,
        "retain before": before.retain or 0.0,
        "retain after": after.retain or 0.0,
        "worst class lost": worst,
        "seconds": seconds,
        "bytes changed": 100 * result.report["changes"]["bytes"] / len(result.model_bytes),
        "met": result.met,
    }


@click.command()
@click.option("--method", default="lra-npp", show_default=True)
@click.option("--model", "models", multiple=True, type=click.Choice(MODELS), default=MODELS)
@click.option("--classes", default="0,1,2,3,4,5,6,7,8,9", show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write every row.")
def main(method: str, models: tuple[str, ...], classes: str, path: Path | None) -> None:
    wanted = [int(c) for c in classes.split(",")]
    rows = {name: {c: measure(name, c, method) for c in wanted} for name in models}
    table = Table(box=None, title=f"{method}, mean (worst) over {len(wanted)} classes", title_justify="left")
    columns = (
        "model",
        "forget before",
        "forget after",
        "retain before",
        "retain lost",
        "worst class lost",
        "bytes",
        "s",
    )
    for column in columns:
        table.add_column(column, justify="left" if column == "model" else "right")
    for name, by_class in rows.items():
        cells = list(by_class.values())

        def mean(key: str, cells: list[dict[str, float | bool]] = cells) -> float:
            return statistics.fmean(float(cell[key]) for cell in cells)

        lost = [float(c["retain before"]) - float(c["retain after"]) for c in cells]
        table.add_row(
            name,
            f"{mean('forget before'):.1f} %",
            f"{mean('forget after'):.1f} ({max(float(c['forget after']) for c in cells):.1f}) %",
            f"{mean('retain before'):.1f} %",
            f"{statistics.fmean(lost):+.2f} ({max(lost):+.2f})",
            f"{mean('worst class lost'):.1f} ({max(float(c['worst class lost']) for c in cells):.1f})",
            f"{mean('bytes changed'):.1f} %",
            f"{mean('seconds'):.1f}",
        )
    Console(width=140).print(table)
    if path is not None:
        path.write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
