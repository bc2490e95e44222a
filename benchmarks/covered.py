"""Which architectures relevance covers, through which exporter and opset, and whether it is right there.

    python benchmarks/covered.py [--family NAME] [--only NAME] [--failures] [--json FILE]

Every network of benchmarks/zoo (tiny, random weights) is exported by both of torch's exporters. For each
file: the ops between the input (or the token embedding) and the logits, and which of them lack an adjoint;
the largest difference between the `gradient` composite in ONNX Runtime and torch's autograd on the original
network, relative to autograd's largest magnitude; whether `epsilon_plus` gives finite relevances that are not
all 0 (no more is asked of them here). The family runtime is what ONNX Runtime makes of such files: fused,
quantised (there the gradients' correlation counts), half.

Exports are kept in .data/coverage; a second run only redoes the analysis. The families vision, text and
runtime need transformers (pip install transformers). The exit code is 1 if a row is not green; what an
exporter cannot export, or exports wrongly, does not count.
"""

import os

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from zoo import BATCH, FAMILIES, Architecture, family
from zoo.export import DYNAMIC, VARIANTS, Variant
from zoo.reference import Reference
from zoo.rewritten import VARIANTS as REWRITTEN
from zoo.rewritten import Rewritten
from zoo.store import Store

from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import Logits, Model, Node, find_logits, load
from onnxunlearn.graph.flow import data_inputs
from onnxunlearn.lowering import lower
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.reverse import adjoint

CACHE = Path(__file__).parents[1] / ".data" / "coverage"
#: largest difference from torch, relative to the largest magnitude, that counts as agreement
TOLERANCE = 1e-3
#: largest difference of a quantised file's logits from torch's at which it still is that network
DESTROYED = 0.15
#: least correlation with torch's gradient that counts as agreement where a file's numbers are quantised
CORRELATION = 0.8
#: results that say nothing about us: the exporter's or ONNX Runtime's doing
NOT_OURS = frozenset({"not exportable", "export broken", "export differs"})


@dataclass(frozen=True)
class Row:
    """One exported file. ops: op -> how many nodes on the way. verdict: "ok" or what is wrong, in a word."""

    model: str
    family: str
    variant: str
    verdict: str
    ops: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    gradient: float | None = None
    correlation: float | None = None
    epsilon_plus: bool | None = None
    detail: str = ""
    seconds: float = 0.0

    @property
    def is_green(self) -> bool:
        return self.verdict == "ok" or self.verdict in NOT_OURS


def examine(row: Row, path: Path, reference: Reference, exact: bool) -> Row:
    """`row` with everything that the file and the reference tell. exact: its values are the network's."""
    engine = OnnxRuntimeEngine(threads=1)
    try:
        model = load(path)
        outputs = engine.session(model.proto).run(reference.inputs)
    except OnnxUnlearnError as error:
        return replace(row, verdict="export broken", detail=str(error))
    difference = _difference(outputs["logits"], reference.logits)
    if difference > (TOLERANCE if exact else DESTROYED):
        return replace(
            row, verdict="export differs", detail=f"logits differ from torch's by {difference:.1e}"
        )
    try:
        logits = find_logits(model)
        start = _start(model, logits, reference)
    except (OnnxUnlearnError, LookupError) as error:
        return replace(row, verdict="no logits", detail=str(error))
    propagator = Propagator(model, logits, engine, parse_composite("gradient"), [start])
    nodes = on_the_way(propagator.view(reference.inputs), start, logits.tensor)
    ops = Counter(node.kind for node in nodes)
    row = replace(row, ops=dict(ops), missing={op: n for op, n in ops.items() if op not in adjoint})
    if row.missing:
        return replace(row, verdict="missing ops", detail=", ".join(row.missing))
    try:
        found = _relevance(model, logits, engine, "gradient", start, reference)
        row = replace(row, gradient=_difference(found, reference.gradient))
        row = replace(row, correlation=_correlation(found, reference.gradient))
        plus = _relevance(model, logits, engine, "epsilon_plus", start, reference)
    except OnnxUnlearnError as error:
        return replace(row, verdict="refused", detail=str(error))
    row = replace(row, epsilon_plus=bool(np.isfinite(plus).all() and plus.any()))
    assert row.gradient is not None and row.correlation is not None  # noqa: PT018
    if not exact and not row.correlation >= CORRELATION:
        return replace(row, verdict="gradient differs", detail=f"correlation {row.correlation:.2f}")
    if exact and not row.gradient <= TOLERANCE:
        return replace(row, verdict="gradient differs", detail=f"by {row.gradient:.1e}")
    return row if row.epsilon_plus else replace(row, verdict="zero or not finite", detail="epsilon_plus")


def on_the_way(model: Model, start: str, logits: str) -> list[Node]:
    """Nodes through which a signal at `logits` goes back to `start`."""
    inputs = {node.index: (*data_inputs(node), *_captured(node)) for node in model.nodes}
    reached = {start}
    for node in model.nodes:
        if any(name in reached for name in inputs[node.index]):
            reached.update(node.outputs)
    wanted, found = {logits}, []
    for node in reversed(model.nodes):
        if any(o in wanted and o in reached for o in node.outputs) and start not in node.outputs:
            wanted.update(inputs[node.index])
            found.append(node)
    return found[::-1]


def _captured(node: Node) -> list[str]:
    """What the subgraphs of If, Loop and Scan read; names of their own are of no account."""
    graphs = [a.g for a in node.proto.attribute if a.HasField("g")]
    return [name for graph in graphs for inner in graph.node for name in inner.input]


def _start(model: Model, logits: Logits, reference: Reference) -> str:
    """The tensor that the reference differentiates by. Raises LookupError if the graph has none such."""
    if reference.embedding is None:
        return next(iter(reference.inputs))
    seen = lower(model)
    for node in seen.nodes:
        table = seen.constant(node.inputs[0]) if node.kind == "Gather" else None
        if table is None or table.shape != reference.embedding.shape:
            continue
        # bytes and half floats are nearly the embedding
        alike = _correlation(table.astype(np.float32), reference.embedding) > 0.99
        if alike and on_the_way(seen, node.outputs[0], logits.tensor):
            return node.outputs[0]
    raise LookupError("the token embedding is not in the graph")


def _relevance(
    model: Model, logits: Logits, engine: OnnxRuntimeEngine, composite: str, start: str, reference: Reference
) -> np.ndarray:
    propagator = Propagator(model, logits, engine, parse_composite(composite), [start])
    (batch,) = propagator.run(reference.inputs, reference.targets, len(reference.targets))
    return batch.relevance[start]


def _difference(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, relative to the largest expected magnitude; inf if the shapes differ."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / max(np.abs(expected).max(), 1e-12))


def _correlation(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.corrcoef(found.reshape(-1), expected.reshape(-1))[0, 1])


def rows_of(
    architecture: Architecture, family_name: str, store: Store, variants: Sequence[Variant | Rewritten]
) -> list[Row]:
    rows = []
    for variant in variants:
        start = time.perf_counter()
        row = Row(architecture.name, family_name, str(variant), "ok")
        path, failure = store.exported(architecture, variant)
        if path is None:
            row = replace(row, verdict="not exportable", detail=failure)
        else:
            try:
                batch = BATCH + 1 if variant.dynamic else BATCH
                exact = not isinstance(variant, Rewritten) or variant.exact
                row = examine(row, path, store.reference(architecture, batch), exact)
            except Exception as error:  # a bug of ours is a result, too
                row = replace(row, verdict="bug", detail=f"{type(error).__name__}: {error}")
        row = replace(row, detail=" ".join(row.detail.split())[:400], seconds=time.perf_counter() - start)
        Console(stderr=True).print(
            f"{row.seconds:5.1f} s  {row.model} {row.variant}: {row.verdict} {row.detail[:80]}", markup=False,
            highlight=False, soft_wrap=True,
        )  # fmt: skip
        rows.append(row)
    return rows


def _agreement(row: Row) -> str:
    """The largest difference; of a quantised file, the correlation."""
    if row.gradient is None or row.correlation is None:
        return ""
    quantised = any(str(v) == row.variant and not v.exact for v in REWRITTEN)
    return f"r = {row.correlation:.2f}" if quantised else f"{row.gradient:.0e}"


def print_table(console: Console, rows: Sequence[Row]) -> None:
    table = Table(box=None)
    for name in ("model", "export", "nodes", "covered", "gradient", "epsilon_plus", "verdict"):
        table.add_column(name, justify="right" if name in {"nodes", "gradient"} else "left", no_wrap=True)
    for row in rows:
        table.add_row(
            row.model,
            row.variant,
            str(sum(row.ops.values())) if row.ops else "",
            "" if not row.ops else "no" if row.missing else "yes",
            _agreement(row),
            "" if row.epsilon_plus is None else "yes" if row.epsilon_plus else "no",
            row.verdict if row.verdict == "ok" else f"{row.verdict}: {row.detail[:70]}",
        )
    console.print(table)


def ranking(rows: Sequence[Row]) -> list[tuple[str, list[str], list[str]]]:
    """Missing op, the models it stops, and those that it alone stops; most frequent first."""
    stops: dict[str, set[str]] = {}
    alone: dict[str, set[str]] = {}
    for row in rows:
        for op in row.missing:
            stops.setdefault(op, set()).add(row.model)
            if len(row.missing) == 1:
                alone.setdefault(op, set()).add(row.model)
    order = sorted(stops, key=lambda op: (-len(stops[op]), op))
    return [(op, sorted(stops[op]), sorted(alone.get(op, ()))) for op in order]


def print_summary(console: Console, rows: Sequence[Row]) -> None:
    missing = ranking(rows)
    table = Table(title="missing ops" if missing else "no op is missing", title_justify="left", box=None)
    for name in ("op", "models", "as the only one", "for example"):
        table.add_column(name)
    for op, models, alone in missing:
        table.add_row(op, str(len(models)), str(len(alone)), ", ".join((alone or models)[:4]))
    console.print(table)
    counts = Counter(row.verdict for row in rows)
    for verdict in counts:
        if verdict != "ok":
            names = dict.fromkeys(row.model for row in rows if row.verdict == verdict)
            console.print(f"{verdict}: {', '.join(names)}", highlight=False)
    inexact = {str(v) for v in REWRITTEN if not v.exact}
    agreeing = [row for row in rows if row.verdict == "ok" and row.variant not in inexact]
    worst = max((row.gradient or 0.0 for row in agreeing), default=0.0)
    if met := {op for row in rows for op in row.ops}:
        console.print(f"adjoints in no network: {', '.join(sorted(set(adjoint) - met)) or 'none'}")
    console.print(
        f"{len(rows)} exports of {len({row.model for row in rows})} models: "
        + ", ".join(f"{n} {verdict}" for verdict, n in counts.most_common())
        + f"; largest gradient difference of those that are ok: {worst:.1e}",
        soft_wrap=True,
    )


@click.command()
@click.option("--only", help="Models whose name matches this pattern, e.g. 'Bert*'.")
@click.option("--family", "families", multiple=True, type=click.Choice(FAMILIES), help="May be repeated.")
@click.option("--failures", is_flag=True, help="Leave the rows that are ok out of the table.")
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write all rows.")
def main(only: str | None, families: Sequence[str], failures: bool, path: Path | None) -> None:
    torch.set_num_threads(1)
    rows: list[Row] = []
    for name in families or FAMILIES:
        try:
            architectures = family(name)
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"{error} (family {name}); pip install it, or name other families"
            ) from None
        store = Store(CACHE, name)
        for architecture in architectures:
            if only is None or fnmatch(architecture.name, only):
                variants = (*VARIANTS, *(DYNAMIC if architecture.dynamic else ()))
                variants = REWRITTEN if name == "runtime" else variants
                rows += rows_of(architecture, name, store, variants)
    console = Console(width=180)
    print_table(console, [row for row in rows if row.verdict != "ok" or not failures])
    print_summary(console, rows)
    if path is not None:
        path.write_text(json.dumps([asdict(row) for row in rows], indent=1) + "\n")
    sys.exit(0 if all(row.is_green for row in rows) else 1)


if __name__ == "__main__":
    main()
