"""How long relevance takes: every engine, and zennit on the same torch network where it is installed.

    python benchmarks/relevance_speed.py [--repeats 5] [--small] [--two] [--json FILE]

Two networks: the ResNet of sample_models (28×28, batch 36) and a random one of ResNet-18's size (224×224,
batch 8). Seconds of CPU, all on one thread, all in one run, the candidates in turn, medians; what counts are
the ratios to the plain forward pass in ONNX Runtime. Relevance is EpsilonPlus where nothing else is said,
from the predicted class to the input, the forward pass included; scores are that of every layer's outputs,
summed over space, which asks nothing of the first layer. --two: in ONNX Runtime on two threads too, in
seconds that pass, as CPU seconds of two threads tell nothing. zennit, in an
environment of its own: pip install --ignore-requires-python --no-deps zennit==1.0.0
"""

import os

# Before numpy and torch are imported. Without the OPENBLAS_* settings BLAS picks the kernels for this CPU.
os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(name, None)

import json
import statistics
import sys
import tempfile
import time
import types
import warnings
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn

from onnxunlearn.engines import Engine
from onnxunlearn.engines.numpy import NumpyEngine
from onnxunlearn.engines.onnxruntime import OnnxRuntimeEngine
from onnxunlearn.engines.torch import TorchEngine
from onnxunlearn.graph import Model, find_layers, find_logits, load
from onnxunlearn.neurons import neuron_relevance
from onnxunlearn.relevance import Propagator, parse_composite

#: behind a network's title, where it ran on two threads
TWO = ", two threads"
ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "sample_models"))
from architectures import ResidualBlock, resnet


def resnet18() -> nn.Module:
    """ResNet-18 (He et al. 2015) with random weights, 1000 classes."""
    widths, blocks, inputs = (64, 128, 256, 512), [], 64
    for index, width in enumerate(widths):
        blocks += [ResidualBlock(inputs, width, 1 if index == 0 else 2), ResidualBlock(width, width, 1)]
        inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def export(network: nn.Module, x: torch.Tensor, folder: Path) -> Model:
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (x,),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            output_names=["logits"],
        )
    return load(path.read_bytes())


def propagation(
    model: Model, engine: Engine, x: np.ndarray, targets: np.ndarray, rules: str = "epsilon_plus"
) -> Callable[[], object]:
    """Forward and relevance of one batch, compiled before it is timed."""
    logits = find_logits(model)
    propagator = Propagator(model, logits, engine, parse_composite(rules), ["x"])
    return lambda: list(propagator.run({"x": x}, targets, len(x)))


def scoring(
    model: Model, engine: Engine, x: np.ndarray, targets: np.ndarray, rules: str
) -> Callable[[], object]:
    """Likewise, at every layer's output, summed to a score for each of its channels."""
    axes = {layer.output: layer.axis for layer in find_layers(model)}
    propagator = Propagator(model, find_logits(model), engine, parse_composite(rules), list(axes))

    def run() -> object:
        (batch,) = propagator.run({"x": x}, targets, len(x))
        return {name: neuron_relevance(found, axes[name]) for name, found in batch.relevance.items()}

    return run


def zennit_propagation(
    network: nn.Module, x: torch.Tensor, targets: np.ndarray
) -> Callable[[], object] | None:
    """The same with zennit; None where it is not installed."""
    try:
        import zennit  # noqa: F401
    except ModuleNotFoundError:
        return None
    stand_in_for_torchvision()
    from zennit.attribution import Gradient
    from zennit.canonizers import SequentialMergeBatchNorm
    from zennit.composites import EpsilonPlus

    chosen = torch.as_tensor(targets)

    def run() -> object:
        with Gradient(network, EpsilonPlus(canonizers=[SequentialMergeBatchNorm()])) as attributor:
            return attributor(x, lambda out: out * nn.functional.one_hot(chosen, out.shape[1]))

    return run


def stand_in_for_torchvision() -> None:
    """zennit asks torchvision for three class names only, LXT for torch's own layers: empty modules do."""
    if "torchvision" in sys.modules:
        return
    inner = ("ops", "models", "models.resnet", "models.vision_transformer")
    for name in ("torchvision", *(f"torchvision.{name}" for name in inner)):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["torchvision.models.vision_transformer"].nn = nn  # type: ignore[attr-defined]
    models = sys.modules["torchvision.models"]
    models.vision_transformer = sys.modules["torchvision.models.vision_transformer"]  # type: ignore[attr-defined]
    sys.modules["torchvision"].ops = sys.modules["torchvision.ops"]  # type: ignore[attr-defined]
    sys.modules["torchvision.ops"].FrozenBatchNorm2d = type("FrozenBatchNorm2d", (nn.Module,), {})  # type: ignore[attr-defined]
    for name in ("Bottleneck", "BasicBlock"):
        setattr(sys.modules["torchvision.models.resnet"], name, type(name, (nn.Module,), {}))


def measure(
    candidates: dict[str, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Seconds of each run; the candidates take turns, so that a slow minute slows all of them."""
    for run in candidates.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, run in candidates.items():
            start = clock()
            run()
            seconds[name].append(clock() - start)
    return seconds


def benchmarked(small: bool = False) -> dict[str, tuple[nn.Module, tuple[int, ...]]]:
    """By title, each with the shape of a batch. small: the small one alone."""
    found: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
        "ResNet of sample_models, 28×28, batch 36": (resnet(), (36, 1, 28, 28))
    }
    return found if small else found | {"ResNet-18, 224×224, batch 8": (resnet18(), (8, 3, 224, 224))}


def benchmark(
    network: nn.Module, shape: tuple[int, ...], repeats: int, threads: int = 1
) -> dict[str, list[float]]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = network.eval().requires_grad_(False)
    x = torch.randn(shape)
    with tempfile.TemporaryDirectory() as folder:
        model = export(network, x, Path(folder))
    engines: dict[str, Engine] = {"onnxruntime": OnnxRuntimeEngine(threads=threads)}
    if threads == 1:  # torch's threads wait for each other: where others use the cores, that is what one sees
        engines |= {"numpy": NumpyEngine(), "torch": TorchEngine()}
    forward = engines["onnxruntime"].session(model.proto)
    feeds = {"x": x.numpy()}
    targets = forward.run(feeds)["logits"].argmax(axis=1)
    candidates: dict[str, Callable[[], object]] = {"forward, onnxruntime": lambda: forward.run(feeds)}
    for name, engine in engines.items():
        candidates[f"relevance, {name}"] = propagation(model, engine, feeds["x"], targets)
    arguments = model, engines["onnxruntime"], feeds["x"], targets
    candidates["relevance by epsilon, onnxruntime"] = propagation(*arguments, "epsilon")
    candidates["scores, onnxruntime"] = scoring(*arguments, "epsilon_plus")
    candidates["scores by epsilon, onnxruntime"] = scoring(*arguments, "epsilon")
    if threads == 1 and (run := zennit_propagation(network, x, targets)) is not None:
        candidates["relevance, zennit"] = run
    return measure(candidates, repeats, time.process_time if threads == 1 else time.perf_counter)


@click.command()
@click.option("--repeats", default=5, show_default=True)
@click.option("--json", "path", type=click.Path(path_type=Path), help="Also write all times, in seconds.")
@click.option("--small", is_flag=True, help="The small network alone.")
@click.option("--two", is_flag=True, help="On two threads as well.")
def main(repeats: int, path: Path | None, small: bool, two: bool) -> None:
    stand_in_for_torchvision()
    results = {}
    for title, (network, shape) in benchmarked(small).items():
        results[title] = benchmark(network, shape, repeats)
        if two:
            results[title + TWO] = benchmark(network, shape, repeats, 2)
    for title, seconds in results.items():
        table = Table(title=title, title_justify="left", box=None)
        for column in ("", "median s", "× forward", "× zennit"):
            table.add_column(column, justify="right" if column else "left")
        medians = {name: statistics.median(times) for name, times in seconds.items()}
        zennit = medians.get("relevance, zennit")
        for name, median in medians.items():
            faster = f"{zennit / median:.1f} faster" if zennit and name.startswith("relevance,") else ""
            table.add_row(name, f"{median:.3f}", f"{median / medians['forward, onnxruntime']:.1f}", faster)
        Console().print(table)
    if path is not None:
        path.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
