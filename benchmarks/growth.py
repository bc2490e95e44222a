"""How time grows with probes, parameters, classes and layers: whole runs, relevance, and a pass forward.

    python benchmarks/growth.py [--axis probes] [--json FILE] [--picture docs/pictures/growth.png]

A residual network for 28 × 28 with random weights, but for a head that knows the probes (see erase_speed.py),
grows along one axis at a time; each point is a process of its own, one thread. CPU seconds: of `unlearn`
with all its defaults; of compiling relevance (`epsilon_plus` at every layer) for a batch, and of computing it
for all probes, the pass forward included, summed to scores a channel; of a pass of the original over them.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from erase_speed import export, probes

from onnxunlearn import load, unlearn
from onnxunlearn.engines.batching import run_batched
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.graph import find_layers, find_logits
from onnxunlearn.neurons import neuron_relevance
from onnxunlearn.relevance import Propagator, parse_composite

if TYPE_CHECKING:
    from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "sample_models"))

Point = dict[str, Any]
_BATCH = 36


@dataclass(frozen=True)
class Size:
    """probes: a class. width: channels of every layer; parameters grow with its square. blocks: of two
    convolutions."""

    probes: int = 20
    width: int = 16
    classes: int = 10
    blocks: int = 2


#: axis -> the sizes along it; the second of each is the size that all axes share
AXES: Mapping[str, Sequence[Size]] = {
    "probes": [replace(Size(), probes=n) for n in (10, 20, 40, 80)],
    "width": [replace(Size(), width=n) for n in (8, 16, 32, 64)],
    "classes": [replace(Size(), classes=n) for n in (5, 10, 20, 40)],
    "blocks": [replace(Size(), blocks=n) for n in (1, 2, 4, 8)],
}


def body(size: Size) -> "nn.Module":
    from architectures import ResidualBlock  # which imports torch
    from torch import nn

    stem = [nn.Conv2d(1, size.width, 3, 2, 1, bias=False), nn.BatchNorm2d(size.width), nn.ReLU()]
    blocks = [ResidualBlock(size.width, size.width, 1) for _ in range(size.blocks)]
    return nn.Sequential(*stem, *blocks, nn.AvgPool2d(7), nn.Flatten())


def made(size: Size, folder: Path) -> None:
    known = probes(28, 1, size.probes, size.classes)
    np.savez(folder / "probes.npz", x=known["x"], y=known["y"])
    export(folder / "model.onnx", known["x"], known["y"], partial(body, size))


def timed(folder: Path) -> None:
    path, data = folder / "model.onnx", folder / "probes.npz"
    with np.load(data) as arrays:
        feeds, y = {"x": arrays["x"]}, arrays["y"]
    clock = [time.process_time()]
    result = unlearn(path, 3, data)
    clock.append(time.process_time())
    model, engine = load(path), OnnxRuntimeEngine(threads=1)
    logits, axes = find_logits(model), {layer.output: layer.axis for layer in find_layers(model)}
    propagator = Propagator(model, logits, engine, parse_composite("epsilon_plus"), list(axes))
    clock.append(time.process_time())
    next(iter(propagator.run(feeds, y, _BATCH)))
    clock.append(time.process_time())
    for batch in propagator.run(feeds, y, _BATCH):
        for name, relevance in batch.relevance.items():
            neuron_relevance(relevance, axes[name])
    clock.append(time.process_time())
    session = engine.session(model.proto)
    session.run({"x": feeds["x"][:_BATCH]})
    clock.append(time.process_time())
    run_batched(session, feeds, [logits.output], _BATCH)
    clock.append(time.process_time())
    run, _, compiling, computing, _, forward = np.diff(clock)
    parameters = sum(prod(layer.weight.shape) for layer in find_layers(model))
    told = {"run": run, "compiling": compiling, "relevance": computing, "forward": forward}
    chosen = result.report["method"]["details"].get("chosen", "")
    point = {"parameters": int(parameters), "chosen": chosen} | {n: float(s) for n, s in told.items()}
    (folder / "told.json").write_text(json.dumps(point))


def point(size: Size) -> Point:
    """Made and measured, each in a process of its own: one that has torch in it is not measured."""
    with tempfile.TemporaryDirectory() as name:
        for step, given in ((made, (size, Path(name))), (timed, (Path(name),))):
            process = multiprocessing.get_context("spawn").Process(target=step, args=given)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)
        found: Point = json.loads(Path(name, "told.json").read_text())
    return asdict(size) | found


def picture(axes: Mapping[str, Sequence[Point]], path: Path) -> None:
    """A panel an axis, both scales logarithmic: what grows in proportion has the slope of the thin line."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(axes), figsize=(2.7 * len(axes), 3), sharey=True, squeeze=False)
    titles = {"probes": "probes a class", "width": "parameters", "blocks": "blocks of two layers"}
    for panel, (axis, points) in zip(panels.flat, axes.items(), strict=True):
        across = [p["parameters" if axis == "width" else axis] for p in points]
        for name in ("run", "relevance", "forward"):
            panel.plot(across, [p[name] for p in points], marker="o", ms=4, label=name)
        start = points[0]["forward"]
        panel.plot(across, [start * n / across[0] for n in across], color="0.6", linewidth=0.8)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.set_xticks(across, [f"{n:,}" for n in across], fontsize=8)
        panel.minorticks_off()
        panel.set_xlabel(titles.get(axis, axis))
        panel.grid(alpha=0.3)
    panels[0, 0].set_ylabel("seconds of CPU")
    panels[0, 0].legend(frameon=False, fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=110)


@click.command()
@click.option("--axis", "names", multiple=True, type=click.Choice(list(AXES)), help="Default: all.")
@click.option("--json", "path", type=click.Path(path_type=Path))
@click.option("--picture", "drawn", type=click.Path(path_type=Path))
def main(names: tuple[str, ...], path: Path | None, drawn: Path | None) -> None:
    known: dict[Size, Point] = {}
    found: dict[str, list[Point]] = {}
    for axis in names or AXES:
        for size in AXES[axis]:
            if size not in known:
                known[size] = point(size)
                click.echo(f"{axis} {known[size]}")
            found.setdefault(axis, []).append(known[size])
    if path is not None:
        path.write_text(json.dumps(found, indent=1) + "\n")
    if drawn is not None:
        picture(found, drawn)


if __name__ == "__main__":
    main()
