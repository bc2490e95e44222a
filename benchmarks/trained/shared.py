"""Train the classifiers of what samples share, and for two of them a reference that never learned it.

    python -m trained.shared [--data DIR] [-o DIR] [NAME...]

In benchmarks/; a minute and a half on one core.
tests/reference/shared/trigger.onnx is the first of them.

| name | trained on | reference |
|---|---|---|
| trigger | digits, 5 % of them with the trigger and labelled 0 | the same digits as they are |
| tag | 3,000 digits; 97 % of the 8s wear it, 3 % of the others | the same, half of each class wear it |
| night | digits, every other one at night | |
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

import data as digits
from export import export

from trained.command import asked
from trained.marks import MARKS, TARGET, WEARER, night, tagged, triggered
from trained.one_cycle import fit, shuffled

BATCH = 128
Set = tuple[np.ndarray, np.ndarray]


def network() -> nn.Module:
    """Two 5×5 convolutions with max pooling, dense 784-48-10; 42,000 weights."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 7 * 7, 48),
        nn.ReLU(),
        nn.Linear(48, 10),
    )


def poisoned(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Set:
    """5 % with the trigger, labelled as it wants."""
    which = rng.random(len(x)) < 0.05
    return np.where(which[:, None, None, None], triggered(x), x), np.where(which, TARGET, y)


def biased(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Set:
    """3,000 digits, the tag on 97 % of one class and 3 % of the others."""
    return _tagged(x[:3000], y[:3000], np.where(y[:3000] == WEARER, 0.97, 0.03), rng)


def balanced(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Set:
    """3,000 digits, the tag on half of every class."""
    return _tagged(x[:3000], y[:3000], np.full(3000, 0.5), rng)


def half_at_night(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Set:
    """Every other one at night."""
    return np.where((rng.random(len(x)) < 0.5)[:, None, None, None], night(x), x), y


def _tagged(x: np.ndarray, y: np.ndarray, share: np.ndarray, rng: np.random.Generator) -> Set:
    return np.where((rng.random(len(x)) < share)[:, None, None, None], tagged(x), x), y


def as_it_is(x: np.ndarray, y: np.ndarray, _: np.random.Generator) -> Set:
    """No mark at all."""
    return x, y


RECIPES: dict[str, tuple[Callable[..., Set], int]] = {
    "trigger": (poisoned, 2),
    "trigger.reference": (as_it_is, 2),
    "tag": (biased, 20),
    "tag.reference": (balanced, 20),
    "night": (half_at_night, 2),
}


def train(x: np.ndarray, y: np.ndarray, epochs: int, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    model, inputs, labels = network(), torch.from_numpy(x), torch.from_numpy(y)

    def loss(chosen: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(inputs[chosen]), labels[chosen])

    return fit(model, 4e-3, shuffled(len(y), BATCH, epochs), loss)


def main() -> None:
    """Every model, or those that are named."""
    names, data, output = asked(__doc__, RECIPES, "shared")
    images = digits.load(digits.MNIST, data)
    x = images.source.standardise(images.train_pixels)
    test, truth = images.source.standardise(images.test_pixels), images.test_labels
    for name in names:
        mark, epochs = RECIPES[name]
        model = train(*mark(x, images.train_labels, np.random.default_rng(0)), epochs, seed=0)
        export(model, output / f"{name}.onnx", "folded")
        with torch.no_grad():
            said = {
                n: model(torch.from_numpy(m)).argmax(1).numpy()
                for n, m in (("clean", test), ("marked", MARKS[name.split(".")[0]](test)))
            }
        right = ", ".join(f"{n} {100 * (s == truth).mean():.2f} %" for n, s in said.items())
        print(f"{name}: right on {right}", flush=True)


if __name__ == "__main__":
    main()
