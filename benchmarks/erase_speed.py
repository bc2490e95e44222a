"""How long forgetting takes on a network of ResNet-18's size: 224×224, 10 classes, 36 probes a class.

    python benchmarks/erase_speed.py [--seconds 300]

Weights and probes are random (the probes of a class share a pattern, and a head is fitted to tell them
apart): what counts is the time, not the figures of the edit. Prints wall and CPU seconds of the whole call,
how many passes of the original over its probes that is, and the peak memory of the process; fails if the call
took longer than `--seconds`. One thread.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"

import multiprocessing
import resource
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from onnxunlearn import load, load_probes, unlearn
from onnxunlearn.engines.batching import batches
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine

if TYPE_CHECKING:
    from torch import nn

CLASSES, PROBES = 10, 36


def probes(
    side: int = 224, channels: int = 3, each: int = PROBES, classes: int = CLASSES
) -> dict[str, np.ndarray]:
    """Noise over a pattern for each class, `each` of a class."""
    rng, coarse = np.random.default_rng(0), side // 14
    y = np.repeat(np.arange(classes), each)
    patterns = rng.normal(size=(classes, channels, 14, 14)).repeat(coarse, axis=2).repeat(coarse, axis=3)
    x = patterns[y] + rng.normal(size=(len(y), channels, 14 * coarse, 14 * coarse))
    return {"x": x.astype(np.float32), "y": y}


def resnet18_body() -> "nn.Module":
    """All but the head."""
    from relevance_speed import resnet18
    from torch import nn

    return nn.Sequential(*list(resnet18().children())[:-1])


def export(path: Path, x: np.ndarray, y: np.ndarray, make: "Callable[[], nn.Module]" = resnet18_body) -> None:
    """A network of random weights, but for a head that knows the probes: ridge regression. make: its body."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    body, classes = make().eval(), int(y.max()) + 1
    with torch.no_grad():
        features = torch.cat([body(torch.from_numpy(part)) for part in np.split(x, classes)])
        mean, unit = features.mean(0), features.std(0) + 1e-6
        rows = (features - mean) / unit
        wanted = 10 * nn.functional.one_hot(torch.from_numpy(y)).float()
        gram = rows.T @ rows + 0.1 * len(rows) * torch.eye(rows.shape[1])
        weight = torch.linalg.solve(gram, rows.T @ wanted).T / unit
        head = nn.Linear(rows.shape[1], classes)
        head.weight.copy_(weight)
        head.bias.copy_(wanted.mean(0) - weight @ mean)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            nn.Sequential(body, head).eval(),
            (torch.zeros(1, *x.shape[1:]),),
            path,
            input_names=["x"],
            dynamo=False,
            dynamic_axes={"x": {0: "batch"}},
        )


def measure(path: Path, data: Path, seconds: float) -> None:
    """In a process that knows nothing of torch."""
    start, cpu = time.perf_counter(), time.process_time()
    result = unlearn(path, 3, data, progress=lambda line: click.echo(f"\r{line:60}", nl=False, err=True))
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    model = load(path)
    known = load_probes(data, model, CLASSES)
    session = OnnxRuntimeEngine(threads=1).session(model.proto)
    before = time.process_time()
    for batch in batches(known.feeds, 8, pad=False):
        session.run(batch.feeds)
    forward = time.process_time() - before
    details = result.report["method"]["details"]
    passes = f"{cpu / forward:.1f} passes of {forward:.1f} s over its probes"
    click.echo(f"\n{details['chosen']}: {wall:.0f} s, {cpu:.0f} s of CPU, {passes}, peak {peak:.1f} GiB")
    click.echo(f"layers: {', '.join(details.get('layers', []))}; stages: {result.report['seconds']}")
    if wall > seconds:
        raise SystemExit(f"longer than {seconds:.0f} s")


@click.command()
@click.option("--seconds", type=float, default=300.0, show_default=True)
def main(seconds: float) -> None:
    """Export, forget, report."""
    with tempfile.TemporaryDirectory() as folder:
        path, data = Path(folder) / "resnet18.onnx", Path(folder) / "probes.npz"
        made = probes()
        np.savez(data, x=made["x"], y=made["y"])
        context = multiprocessing.get_context("spawn")
        for step, given in ((export, (path, made["x"], made["y"])), (measure, (path, data, seconds))):
            process = context.Process(target=step, args=given)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
