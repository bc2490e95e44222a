"""CIFAR-10, by the field's two protocols: original, mask, published methods, ours, and retrained networks.

    python benchmarks/cifar.py --cifar FOLDER [--classes 3,5,0] [--seeds 3] [--only-train] [-o FILE]

FOLDER: see benchmarks/trained/cifar.py. A ResNet-8 (32, 64, 128 channels, strided stem) is trained once with
all classes, and with each seed without each class; files go to .data/cifar (git ignores it) and are kept.
36 test images a class go to the methods, all others judge. Attackers fit on the frozen features:

* A, all data: a linear probe on --fitted training images of every class (a logistic regression, C = 10,
  features standardised), as CMF and ESC judge;
* B, five samples: the nearest mean of five test images a class, mean of 20 draws, as Spotter judges (which
  puts the mean in the class's row, times a factor; the nearest mean has none that could favour anybody);
* 20 samples: a linear head, as `audit` does.

Prints the table of docs/results.md and writes the rows as JSON; rows that are there are not measured again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from judge import look
from peers import as_published
from references import DATA
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import NearestCentroid
from trained import cifar

from onnxunlearn import unlearn
from onnxunlearn.judge import redistribution, relearn

Row = dict[str, Any]
PROBES, SHOTS, DRAWS = 36, 5, 20
#: name -> method and its parameters; the width is that of the last features
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "mask": ("mask", {}),
    "lra-npp published": ("lra-npp", {}),
    "lra-npp": ("lra-npp", {}),
    "esc": ("esc", {}),
    "svd": ("svd", {}),
    "ssd": ("ssd", {}),
    "pour": ("pour", {}),
    "auto": ("auto", {}),
    "deep": ("auto", {"parameters": {"depth": "deep"}}),
}
COLUMNS = {
    "forget": "forget",
    "retain": "others",
    "retain lost": "points lost",
    "worst class lost": "worst class lost",
    "A": "A: linear, all data",
    "B": "B: mean of 5",
    "relearn": "head, 20 a class",
    "tv": "TV",
    "cpu seconds": "CPU, s",
}


@dataclass
class Data:
    """The images, and which of the test split the methods may see."""

    train: cifar.Split
    test: cifar.Split
    fitted: int
    fits: dict[tuple[int, str], Row] = field(default_factory=dict)

    @cached_property
    def given(self) -> np.ndarray:
        """bool [N]."""
        rng = np.random.default_rng(0)
        chosen = [rng.permutation(np.flatnonzero(self.test.y == c))[:PROBES] for c in range(cifar.CLASSES)]
        return np.isin(np.arange(len(self.test.y)), np.concatenate(chosen))

    @cached_property
    def probes(self) -> dict[str, np.ndarray]:
        return {"x": self.test.inputs(np.flatnonzero(self.given)), "y": self.test.y[self.given]}

    @cached_property
    def judging(self) -> tuple[np.ndarray, np.ndarray]:
        own = np.flatnonzero(~self.given)
        return self.test.inputs(own), self.test.y[own]

    @cached_property
    def fitting(self) -> tuple[np.ndarray, np.ndarray]:
        """The training images that protocol A fits on."""
        rng = np.random.default_rng(0)
        own = [
            rng.permutation(np.flatnonzero(self.train.y == c))[: self.fitted] for c in range(cifar.CLASSES)
        ]
        chosen = np.sort(np.concatenate(own))
        return self.train.inputs(chosen), self.train.y[chosen]


def figures(data: bytes, images: Data, forget: int, before: np.ndarray) -> Row:
    """In percent. before: what the original says of the judging images. What is fitted on features is fitted
    once for all models that have the same."""
    x, y = images.judging
    logits, features = look(data, x)
    said = logits.argmax(axis=1)
    own = y == forget
    lost = [float((before == y)[y == c].mean() - (said == y)[y == c].mean()) for c in set(y) - {forget}]
    key = (forget, hashlib.sha256(features.tobytes()).hexdigest())
    if key not in images.fits:
        images.fits[key] = fits(data, images, forget, features)
    return {
        "forget": 100 * float((said == y)[own].mean()),
        "retain": 100 * float((said == y)[~own].mean()),
        "retain lost": 100 * float((before == y)[~own].mean() - (said == y)[~own].mean()),
        "worst class lost": 100 * max(lost),
        **images.fits[key],
        "said": np.bincount(said[own], minlength=cifar.CLASSES).tolist(),
    }


def fits(data: bytes, images: Data, forget: int, features: np.ndarray) -> Row:
    """Accuracy on the class of what is fitted on features, in percent. features: of the judging images."""
    (fit_x, fit_y), y = images.fitting, images.judging[1]
    both = np.concatenate([look(data, fit_x)[1], features])
    labels = np.concatenate([fit_y, y])
    judging = np.arange(len(both)) >= len(fit_x)

    def linear(a: np.ndarray, b: np.ndarray, _: int) -> Any:
        return LogisticRegression(C=10.0, max_iter=500).fit(a, b)

    def means(a: np.ndarray, b: np.ndarray, _: int) -> Any:
        return NearestCentroid().fit(a, b)

    found = {
        "A": relearn(both, labels, [forget], per_class=None, draws=1, judging=judging, fit=linear),
        "B": relearn(features, y, [forget], per_class=SHOTS, draws=DRAWS, fit=means),
        "relearn": relearn(features, y, [forget]),
    }
    return {name: None if r is None else r.accuracy for name, r in found.items()}


def path_of(without: int | None, seed: int) -> Path:
    suffix = "" if without is None else f".without{without}"
    return DATA / "cifar" / f"resnet8{suffix}.seed{seed}.onnx"


def train_missing(split: cifar.Split, classes: Sequence[int], seeds: int) -> None:
    """The original first, then the references seed by seed."""
    torch.set_num_threads(1)
    wanted = [(None, 0), *((c, seed) for seed in range(seeds) for c in classes)]
    for without, seed in wanted:
        path = path_of(without, seed)
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        started = time.process_time()
        unfinished = path.with_suffix(".part")
        cifar.make(unfinished, split, without, seed)
        unfinished.rename(path)
        click.echo(f"{path.name}: {time.process_time() - started:.0f} s of CPU", err=True)


def measured(images: Data, forget: int, names: Sequence[str], seeds: int, known: list[Row]) -> Iterator[Row]:
    """A row for each method and for each reference that is there, but for those that are known."""
    original = path_of(None, 0)
    before = look(original.read_bytes(), images.judging[0])[0].argmax(axis=1)
    done = {row["name"] for row in known if row["class"] == forget}
    if "original" not in done:
        yield {"class": forget, "name": "original", **figures(original.read_bytes(), images, forget, before)}
    for seed in range(seeds):
        path, name = path_of(forget, seed), f"reference {seed}"
        if path.exists() and name not in done:
            yield {"class": forget, "name": name, **figures(path.read_bytes(), images, forget, before)}
    for name in (name for name in names if name not in done):
        method, options = METHODS[name]
        if name == "lra-npp published":
            options = {"parameters": as_published(original, "pooled")}
        cpu = time.process_time()
        result = unlearn(original, forget, images.probes, method=method, **options)
        details = result.report["method"]["details"]
        chosen = {key: details[key] for key in ("chosen", "share", "depth", "pull", "why") if key in details}
        row = {"class": forget, "name": name, **chosen, "cpu seconds": time.process_time() - cpu}
        yield row | figures(result.model_bytes, images, forget, before)


def summary(rows: Sequence[Row]) -> list[Row]:
    """Means over the classes, a row for each method; of references, the mean of all seeds' and how far single
    ones are from it."""
    classes = dict.fromkeys(row["class"] for row in rows)
    found = []
    for name in dict.fromkeys(row["name"].split(" 0")[0] for row in rows):
        own = [row for row in rows if row["name"] == name or (name == "reference" and name in row["name"])]
        if name.startswith("reference ") or not own:
            continue
        mean: Row = {"name": name, "count": len(own)}
        for column in COLUMNS:
            values = [row[column] for row in own if row.get(column) is not None]
            mean[column] = float(np.mean(values)) if values else None
        apart = [distance(row, other) for row in own for other in referring(rows, row)]
        mean["tv"] = float(np.mean(apart)) if apart else None
        if name == "reference":
            for column in ("retain", "A", "B", "relearn"):
                by_class = [[r[column] for r in own if r["class"] == c] for c in classes]
                several = [np.std(values, ddof=1) for values in by_class if len(values) > 1]
                mean[f"{column} deviation"] = float(np.mean(several)) if several else None
        found.append(mean)
    return found


def referring(rows: Sequence[Row], row: Row) -> list[Row]:
    """The references of its class, but for itself."""
    return [
        r for r in rows if r["name"].startswith("reference") and r["class"] == row["class"] and r is not row
    ]


def distance(row: Row, other: Row) -> float:
    """Total variation between where two models send the class."""
    spread = [np.repeat(np.arange(cifar.CLASSES), r["said"]) for r in (row, other)]
    return redistribution(spread[0], spread[1], np.zeros(len(spread[0]), int), [0], cifar.CLASSES) or 0.0


def table(rows: Sequence[Row]) -> list[str]:
    """A line a method, means over classes."""
    lines = ["| | classes | " + " | ".join(COLUMNS.values()) + " |", "|---|" + "--:|" * (len(COLUMNS) + 1)]
    for row in summary(rows):
        cells = []
        for column in COLUMNS:
            digits = 2 if column in ("tv", "retain lost") else 0 if column == "cpu seconds" else 1
            value = "" if row[column] is None else f"{row[column]:.{digits}f}".replace("-", "−")
            apart = row.get(f"{column} deviation")
            cells.append(value if apart is None else f"{value} ± {apart:.1f}")
        lines.append(f"| {row['name']} | {row['count']} | " + " | ".join(cells) + " |")
    return lines


@click.command()
@click.option(
    "--cifar", "folder", required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--classes", default="3,5,0", show_default=True)
@click.option("--seeds", default=3, show_default=True, help="References of each class.")
@click.option("--method", "names", multiple=True, type=click.Choice(list(METHODS)), default=list(METHODS))
@click.option("--fitted", default=1000, show_default=True, help="Training images a class for protocol A.")
@click.option("--only-train", is_flag=True, help="Train what is missing, measure nothing.")
@click.option("--no-train", is_flag=True, help="Take the references that are there.")
@click.option("-o", "--output", type=click.Path(path_type=Path), default=DATA / "cifar" / "rows.json")
def main(
    folder: Path,
    classes: str,
    seeds: int,
    names: tuple[str, ...],
    fitted: int,
    only_train: bool,
    no_train: bool,
    output: Path,
) -> None:
    """Train and measure what is missing, then print the table."""
    wanted = [int(c) for c in classes.split(",")]
    if not set(wanted) <= set(range(cifar.CLASSES)):
        raise click.BadParameter(f"--classes {classes}: expected 0..{cifar.CLASSES - 1}")
    train, test = cifar.load(folder)
    if not no_train:
        train_missing(train, wanted, seeds)
    if only_train:
        return
    images, rows = Data(train, test, fitted), json.loads(output.read_text()) if output.exists() else []
    for forget in wanted:
        for row in measured(images, forget, names, seeds, list(rows)):
            rows.append(row)
            output.write_text(json.dumps(rows, indent=1) + "\n")
            click.echo(f"{forget} {row['name']}: A {row['A']:.1f}, B {row['B']:.1f}", err=True)
    click.echo("\n".join(table([row for row in rows if row["class"] in wanted])))


if __name__ == "__main__":
    main()
