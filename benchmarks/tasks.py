"""What samples share, forgotten: a trigger, a tag that a class wears, night; beside a model that never
learned it.

    (cd benchmarks && python -m trained.shared)   # once: the models
    python benchmarks/tasks.py [--only trigger] [--method auto] [--again] [--table]

360 pairs of digits go to the method, of which `unlearn` keeps a third to judge by; figures are of 2,000 other
pairs. `mask` is the original whose head does not read the mean difference; `reference` was trained without
it. Rows are kept in benchmarks/results/tasks.json; --table prints what is there as Markdown. Classes said at
places, and identities in embeddings, are measured likewise, see benchmarks/places.py, benchmarks/detected.py
and benchmarks/embedded.py.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import json
import time
from pathlib import Path
from typing import Any

import click
import detected
import embedded
import numpy as np
import places
from task_rows import head, line, measured
from trained.marks import MARKS

from onnxunlearn import SharedBy, examine, unlearn

ROOT = Path(__file__).parents[1]
MODELS, RESULTS = ROOT / ".data" / "shared", Path(__file__).parent / "results" / "tasks.json"
METHODS = ("auto", "auto retain", "leace", "erase deep")
#: of what samples share
_OF_MARKS = ("auto", "leace", "erase deep")
#: what is measured by a page of its own
_OTHERS = (places, detected, embedded)
_EVERY = (*MARKS, *(name for other in _OTHERS for name in other.MODELS))
#: row of the findings -> heading
FIGURES = {
    "concept success": "attack success",
    "retain": "right without it",
    "concept with": "right with it",
    "concept worst group": "worst group",
    "concept probe": "linear probe",
    "concept few-shot probe": "probe from 20",
    "concept relevance": "relevance at its place",
    "concept relearned 50": "success relearned, 50 steps",
}


def pairs(mark: str, part: str) -> SharedBy:
    """Digits with the mark, and as they are."""
    with np.load(ROOT / "sample_models" / f"mnist_{part}.npz") as arrays:
        x, y = arrays["x"], arrays["y"]
    return SharedBy({"x": MARKS[mark](x)}, {"x": x, "y": y}, paired=True)


def measure(mark: str, method: str) -> dict[str, Any]:
    """Of one method on one model: figures by column, targets by verdict, time."""
    model, reference = MODELS / f"{mark}.onnx", MODELS / f"{mark}.reference.onnx"
    name, _, deep = method.partition(" ")
    start = time.process_time()
    parameters = {"depth": "deep"} if deep else {}
    result = unlearn(model, pairs(mark, "probes"), method=name, parameters=parameters)
    seconds = time.process_time() - start
    found = examine(
        model,
        result.edited.model(),
        pairs(mark, "test"),
        reference=[reference] if reference.exists() else None,
    )
    chosen = result.report["method"]["details"].get("chosen", name)
    return {**measured(found, FIGURES, seconds), "chosen": chosen}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """Markdown: a line a model and method."""
    lines = head(FIGURES)
    for mark in MARKS:
        own = {key.partition(" ")[2]: row for key, row in rows.items() if key.partition(" ")[0] == mark}
        first = next(iter(own.values()), None)
        if first is None:
            continue
        wanted = [(name, first, name) for name in ("original", "mask")]
        wanted += [(method, row, "edited") for method, row in own.items()]
        wanted += [("reference", first, "reference")]
        for title, row, column in wanted:
            lines += line(f"{mark}: {title}", row, column, FIGURES)
    return "\n".join(lines)


@click.command()
@click.option("--only", type=click.Choice(list(_EVERY)))
@click.option("--method", "methods", multiple=True, type=click.Choice(METHODS), default=METHODS)
@click.option("--again", is_flag=True)
@click.option("--table", "as_table", is_flag=True, help="Print what was measured, and measure nothing.")
def main(only: str | None, methods: tuple[str, ...], again: bool, as_table: bool) -> None:
    """Measure what is not known yet."""
    rows: dict[str, dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in () if as_table else (only,) if only else _EVERY:
        own = next((each for each in _OTHERS if name in each.MODELS), None)
        for method in methods:
            key = f"{name} {method}"
            if method not in (_OF_MARKS if own is None else own.METHODS):
                continue
            if key not in rows or again:
                rows[key] = (measure if own is None else own.measure)(name, method)
                RESULTS.write_text(json.dumps(dict(sorted(rows.items())), indent=1) + "\n")
                click.echo(f"{key}: {rows[key]['seconds']} s", err=True)
    click.echo("\n\n".join([table(rows), *(each.table(rows) for each in _OTHERS)]))


if __name__ == "__main__":
    main()
