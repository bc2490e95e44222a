"""The same graphs on CUDA and on the CPU: forward, relevance, gradients of weights, and zennit beside them.

    python benchmarks/gpu.py [--repeats 5] [--json FILE]

The networks of relevance_speed.py, and a whole run that forgets a digit (sample_models). Candidates take
turns, medians count; what stays on the host is said before anything is measured. On a machine without CUDA,
or with a build of ONNX Runtime that has none, a line says what fell back, and the CPU alone is measured.
zennit: see relevance_speed.py.
"""

import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch
from relevance_speed import ROOT, benchmarked, export, measure, propagation, zennit_propagation
from torch import nn

from onnxunlearn import load, unlearn
from onnxunlearn.edits import Edits
from onnxunlearn.engines import Engine
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.graph import Model, expose, find_layers, find_logits
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.reverse import own_layers
from onnxunlearn.reverse.differentiate import Differentiator

CUDA = "CUDAExecutionProvider"
#: the last layers, whose gradients are asked for
_LAST = 3

Candidates = dict[str, Callable[[], object]]


def devices() -> dict[str, Engine]:
    """By name; without CUDA the CPU alone, and a line says why."""
    found: dict[str, Engine] = {"cpu": OnnxRuntimeEngine()}
    cuda = OnnxRuntimeEngine(("cuda", "cpu"))
    if cuda.providers[0] == CUDA:
        return found | {"cuda": cuda}
    listed = ", ".join(ort.get_available_providers())
    click.echo(f"fell back to the CPU: relevance, gradients and whole runs (ONNX Runtime offers {listed})")
    return found


def on_the_host(model: onnx.ModelProto) -> str:
    """What ONNX Runtime says where a node of a graph would leave the device; empty if none does."""
    options = ort.SessionOptions()
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, providers=[CUDA])
    except Exception as error:  # ONNX Runtime's errors share no base class
        return str(error).splitlines()[0]
    return ""


def gradients(model: Model, engine: Engine, x: np.ndarray) -> Callable[[], object]:
    """Forward and back through the last layers, with their weights fed, as `erase` does in each step."""
    logits = find_logits(model)
    layers = own_layers(model, find_layers(model), logits.tensor)[-_LAST:]
    tail = tail_of(model, layers, [logits.tensor], shape_arithmetic(model))
    network = Differentiator(tail, [logits.tensor], engine)
    whole = engine.session(expose(model, tail.boundary), model.folder)
    feeds = {n: v for n, v in whole.run({"x": x}).items() if n in tail.boundary}
    edits = Edits(model)
    weights = {la.name: (edits.weight(la), edits.bias(la)) for la in layers}

    def step() -> object:
        recorded = network.record(feeds, weights)
        return network.gradients(feeds, recorded, {logits.tensor: np.ones_like(recorded[logits.tensor])})

    return step


def candidates(network: nn.Module, shape: tuple[int, ...], engines: dict[str, Engine]) -> Candidates:
    """What is measured of one network, on each device."""
    torch.manual_seed(0)
    network = network.eval().requires_grad_(False)
    x = torch.randn(shape)
    with tempfile.TemporaryDirectory() as folder:
        model = export(network, x, Path(folder))
    feeds, found = {"x": x.numpy()}, Candidates()
    targets = engines["cpu"].session(model.proto).run(feeds)["logits"].argmax(axis=1)
    for device, engine in engines.items():
        forward = engine.session(model.proto)
        found[f"forward, {device}"] = lambda forward=forward: forward.run(feeds)  # type: ignore[misc]
        found[f"relevance, {device}"] = propagation(model, engine, feeds["x"], targets)
        found[f"gradients, {device}"] = gradients(model, engine, feeds["x"])
    if "cuda" in engines:
        propagator = Propagator(
            model, find_logits(model), engines["cuda"], parse_composite("epsilon_plus"), ["x"]
        )
        if said := on_the_host(propagator.compiled(feeds).model):
            click.echo(f"relevance does not stay on the device: {said}")
    where = "cuda" if torch.cuda.is_available() and "cuda" in engines else "cpu"
    moved = zennit_propagation(network.to(where), x.to(where), targets)
    if moved is not None:
        found[f"zennit, {where}"] = moved
    return found


def whole_run(device: str) -> float:
    """Seconds that a run takes."""
    start = time.perf_counter()
    providers = ("cuda", "cpu") if device == "cuda" else ("cpu",)
    samples = ROOT / "sample_models"
    unlearn(load(samples / "mnist_cnn.onnx"), 3, samples / "mnist_probes.npz", providers=providers)
    return time.perf_counter() - start


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write all medians, in seconds.")
def main(repeats: int, path: Path | None) -> None:
    engines = devices()
    results: dict[str, dict[str, float]] = {}
    for title, (network, shape) in benchmarked().items():
        seconds = measure(candidates(network, shape, engines), repeats)
        results[title] = {name: statistics.median(times) for name, times in seconds.items()}
    results["a whole run, mnist_cnn, class 3"] = {f"run, {device}": whole_run(device) for device in engines}
    for title, medians in results.items():
        click.echo(f"\n{title}")
        for name, median in medians.items():
            on_cpu = medians.get(f"{name.rpartition(', ')[0]}, cpu")
            ratio = f"{on_cpu / median:6.1f} × as fast" if on_cpu and not name.endswith(", cpu") else ""
            click.echo(f"  {name:20} {median:8.4f} s {ratio}")
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
