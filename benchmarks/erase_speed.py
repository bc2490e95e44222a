"""How long forgetting takes on a network of ResNet-18's size: 224×224, 10 classes, 36 probes a class.

    python benchmarks/erase_speed.py [--seconds 300]

Weights and probes are random (the probes of a class share a pattern): what counts is the time, not the
figures of the edit. Prints wall and CPU seconds of the whole call and the peak memory of the process, and
fails if the call took longer than `--seconds`.
"""

import resource
import tempfile
import time
import warnings
from pathlib import Path

import click
import numpy as np
import torch
from relevance_speed import resnet18
from torch import nn

from onnxunlearn import unlearn

CLASSES, PROBES = 10, 36


def probes() -> dict[str, np.ndarray]:
    """Noise over a pattern for each class."""
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(CLASSES), PROBES)
    patterns = rng.normal(size=(CLASSES, 3, 14, 14)).repeat(16, axis=2).repeat(16, axis=3)
    x = patterns[y] + rng.normal(size=(len(y), 3, 224, 224))
    return {"x": x.astype(np.float32), "y": y}


def show(line: str) -> None:
    click.echo(f"\r{line:60}", nl=False, err=True)


@click.command()
@click.option("--seconds", type=float, default=300.0, show_default=True)
def main(seconds: float) -> None:
    """Export, forget, report."""
    torch.manual_seed(0)
    network = nn.Sequential(*list(resnet18().children())[:-1], nn.Linear(512, CLASSES)).eval()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet18.onnx"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                network,
                (torch.zeros(1, 3, 224, 224),),
                path,
                input_names=["x"],
                dynamo=False,
                dynamic_axes={"x": {0: "batch"}},
            )
        start, cpu = time.perf_counter(), time.process_time()
        result = unlearn(
            path, 3, probes(), progress=lambda line: click.echo(f"\r{line:60}", nl=False, err=True)
        )
        wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    details = result.report["method"]["details"]
    click.echo(f"\n{details['chosen']}: {wall:.0f} s, {cpu:.0f} s of CPU, peak {peak:.1f} GiB")
    click.echo(f"layers: {', '.join(details.get('layers', []))}; stages: {result.report['seconds']}")
    if wall > seconds:
        raise SystemExit(f"longer than {seconds:.0f} s")


if __name__ == "__main__":
    main()
