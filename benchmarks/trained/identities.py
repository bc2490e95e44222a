"""Train networks that embed identities, and for two identities references that never saw one, or both.

    python -m trained.identities [--data DIR] [-o DIR] [NAME...]

In benchmarks/; two minutes on one core. Identities are digits and garments, upright and turned by a quarter,
as Omniglot's are made four of one (Santoro et al. 2016). UNSEEN are in no training: what an open-set model
says of somebody whom it has never seen.

| name | trained on |
|---|---|
| identities | all but UNSEEN |
| identities.without5, identities.without17 | the same without the digit 5; without the sneaker |
| identities.without5.17 | the same without both |
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

import data as figures
from export import export

from trained.command import asked
from trained.one_cycle import fit, shuffled

#: numbers an image
WIDTH = 64
#: identity -> digits 0 to 9, garments 10 to 19, the same turned; without the 0 turned, which is a 0
IDENTITIES = tuple(i for i in range(40) if i != 20)
#: never trained on: the 3, the coat, the bag; turned the 7, the 9, the trouser
UNSEEN = (3, 14, 18, 27, 29, 31)
#: the identities to forget; the second is looked at last
FORGOTTEN = (5, 17)
NAMES = ("identities", *(f"identities.without{i}" for i in (*FORGOTTEN, "5.17")))
#: images of an identity that train, and that a method or a judge has
TRAIN, PROBES, TEST = 600, 36, 100
#: those of the identity to forget that judge
MOST = 300
#: of the loss: how far the right cosine is set back, and what cosines are multiplied by (CosFace, Wang et al.
#: 2018)
MARGIN, SCALE = 0.25, 24.0
BATCH, EPOCHS = 128, 8


class Embedder(nn.Module):
    """Three convolutions, two dense layers, and a vector of length 1; 190,000 weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 48, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(48 * 4 * 4, 192),
            nn.ReLU(),
            nn.Linear(192, WIDTH),
        )

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, 1, 28, 28]."""
        return nn.functional.normalize(self.body(x))


def images(folder: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Images as networks take them, float32 [N, 1, 28, 28], and who they are of, int [N]. part: "train",
    "probes" or "test"; the upright and the turned of an identity are of different images."""
    x, y = [], []
    for place, source in enumerate((figures.MNIST, figures.FASHION)):
        found = figures.load(source, folder)
        train = part == "train"
        pixels = source.standardise(found.train_pixels if train else found.test_pixels)
        labels = found.train_labels if train else found.test_labels
        for label in range(10):
            order = np.random.default_rng(label).permutation(np.flatnonzero(labels == label))
            halves = np.array_split(order, 2)
            for turned, half in enumerate(halves):
                identity = 20 * turned + 10 * place + label
                most = MOST if identity in FORGOTTEN else TEST
                start, count = {"train": (0, TRAIN), "probes": (0, PROBES), "test": (PROBES, most)}[part]
                if identity in IDENTITIES:
                    chosen = pixels[half[start : start + count]]
                    x.append(np.rot90(chosen, turned, axes=(2, 3)))
                    y.append(np.full(len(chosen), identity))
    return np.ascontiguousarray(np.concatenate(x)), np.concatenate(y)


def train(x: np.ndarray, y: np.ndarray, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    names, numbers = np.unique(y, return_inverse=True)
    inputs, labels = torch.from_numpy(x), torch.from_numpy(numbers)
    model = Embedder()
    centres = nn.Parameter(torch.randn(len(names), WIDTH))  # one an identity; not exported
    model.register_parameter("centres", centres)

    def loss(chosen: Tensor) -> Tensor:
        who, moved = labels[chosen], shifted(inputs[chosen])
        cosines = model(moved) @ nn.functional.normalize(centres).T
        behind = MARGIN * nn.functional.one_hot(who, len(names))
        return nn.functional.cross_entropy(SCALE * (cosines - behind), who)

    return fit(model, 3e-3, shuffled(len(y), BATCH, EPOCHS), loss)


def shifted(x: Tensor) -> Tensor:
    """A batch by up to two pixels either way."""
    down, right = torch.randint(-2, 3, (2,)).tolist()
    return torch.roll(x, (down, right), (2, 3))


def main() -> None:
    """Every model, or those that are named."""
    names, data, output = asked(__doc__, NAMES, "identities")
    x, y = images(data, "train")
    for name in names:
        left_out = [int(i) for i in name.partition(".without")[2].split(".") if i]
        kept = ~np.isin(y, [*UNSEEN, *left_out])
        model = train(x[kept], y[kept])
        export(model, output / f"{name}.onnx", "folded", output="embedding")
        print(f"{name}: {len(np.unique(y[kept]))} identities", flush=True)


if __name__ == "__main__":
    main()
