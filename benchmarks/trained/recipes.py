"""Which classifiers the benchmarks use, and how each is trained and exported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

import export
import train
from data import FASHION, MNIST, load

from . import networks, text

Kind = Literal["dense", "pooled", "transformer"]  # of the layers before the head
CLASSES = 10
PROBES = 36  # images a class that a method may look at
MEMBERS = 500  # training samples a class, to ask a model whether it was trained on them


@dataclass(frozen=True)
class Trained:
    """name: of the file. data: of the data set. kind: of the network. build: the network, untrained.
    make: (file, data, class left out or None, seed) -> writes the model."""

    name: str
    data: str
    kind: Kind
    build: Callable[[], nn.Module]
    make: Callable[[Path, Path, int | None, int], None]


def data_of(name: str, folder: Path) -> dict[str, np.ndarray]:
    """probes_x, probes_y: 36 samples a class; test_x, test_y: every other sample no model was trained on;
    members_x, members_y: up to 500 a class that the models were trained on."""
    if name == "udhr":
        parts = text.windows(folder)
        x, y, members_x, members_y = (parts[n] for n in ("test_x", "test_y", "train_x", "train_y"))
    else:
        images = load({s.name: s for s in (MNIST, FASHION)}[name], folder)
        x, y = images.source.standardise(images.test_pixels), images.test_labels
        members_x, members_y = images.source.standardise(images.train_pixels), images.train_labels
    generator = np.random.default_rng(0)  # as sample_models/data.py draws them
    order = [generator.permutation(np.flatnonzero(y == c)) for c in range(CLASSES)]
    probes = np.sort(np.concatenate([o[:PROBES] for o in order]))
    rest = np.sort(np.concatenate([o[PROBES:] for o in order]))
    members = np.concatenate(
        [generator.permutation(np.flatnonzero(members_y == c))[:MEMBERS] for c in range(CLASSES)]
    )
    return {
        "probes_x": x[probes],
        "probes_y": y[probes],
        "test_x": x[rest],
        "test_y": y[rest],
        "members_x": members_x[members],
        "members_y": members_y[members],
    }


def _image_classifier(recipe: train.Recipe, kind: Kind) -> Trained:
    def make(path: Path, folder: Path, without: int | None, seed: int) -> None:
        images = load(recipe.source, folder)
        model = train.train(replace(recipe, without=without), images, seed=seed)
        export.export(model, path, recipe.style)

    return Trained(recipe.name, recipe.source.name, kind, recipe.build, make)


def _text_transformer() -> nn.Module:
    return networks.TextTransformer(len(text.LETTERS), text.LENGTH)


def _train_text(path: Path, folder: Path, without: int | None, seed: int) -> None:
    torch.manual_seed(seed)
    parts = text.windows(folder)
    kept = parts["train_y"] != (-1 if without is None else without)
    x, y = torch.from_numpy(parts["train_x"][kept]), torch.from_numpy(parts["train_y"][kept])
    model = _text_transformer()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=5e-2)
    epochs, batch = 8, 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=epochs * (len(y) // batch))
    for _ in range(epochs):
        order = torch.randperm(len(y))
        for chosen in order[: len(y) // batch * batch].view(-1, batch):
            loss = nn.functional.cross_entropy(model(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    model.eval()
    torch.onnx.export(
        model,
        (x[:2],),
        path,
        input_names=["x"],
        output_names=["logits"],
        opset_version=17,
        dynamo=False,
        dynamic_axes={"x": {0: "batch"}, "logits": {0: "batch"}},
    )
    onnx.checker.check_model(path)


def _fashion(
    name: str,
    kind: Kind,
    build: Callable[[], nn.Module],
    style: export.Style,
    epochs: int,
    rate: float,
) -> Trained:
    recipe = train.Recipe(name, FASHION, build, style, epochs, rate, shift=1, mirror=True)
    return _image_classifier(recipe, kind)


_SAMPLES = {recipe.name: recipe for recipe in train.RECIPES}
TRAINED = (
    _fashion("fashion_lenet", "dense", networks.lenet, "folded", 5, 3e-3),
    _fashion("fashion_resnet8", "pooled", networks.resnet8, "folded", 5, 6e-3),
    _fashion("fashion_vit", "transformer", networks.VisionTransformer, "dynamo", 6, 2e-3),
    Trained("udhr_text", "udhr", "transformer", _text_transformer, _train_text),
    _image_classifier(_SAMPLES["mnist_mlp"], "dense"),
    _image_classifier(_SAMPLES["mnist_resnet"], "pooled"),
    _image_classifier(_SAMPLES["fashion_mobile"], "pooled"),
    _image_classifier(_SAMPLES["mnist_cnn"], "dense"),
)
