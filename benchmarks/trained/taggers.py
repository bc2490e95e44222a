"""Train the transformer that tags each letter with its language, and a reference that never saw Danish.

    python -m trained.taggers [--data DIR] [-o DIR] [NAME...]

In benchmarks/; some two minutes a model on one core. A sequence is two to four pieces of text, each in one
of ten related languages, up to 64 letters; `mask` says which are no padding. Column 0 is what is between
words, the languages follow in the order of `text.LANGUAGES`. References learn from the same pieces less those
in the language, and keep a column for it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

from trained import text
from trained.command import asked
from trained.networks import Block
from trained.one_cycle import fit

LENGTH, WIDTH, STEPS, BATCH = 64, 48, 3000, 64
CLASSES = len(text.LANGUAGES) + 1
#: name -> the language left out, by its place
WITHOUT = {"tagger": None, "tagger.without.dan": 8}
#: the share of each text that a part is taken from
PARTS = {"train": (0, 2 / 3), "probes": (2 / 3, 5 / 6), "test": (5 / 6, 1)}
Part = Literal["train", "probes", "test"]


def make(
    folder: Path, part: Part, count: int, *, without: int | None = None, seed: int = 0
) -> dict[str, np.ndarray]:
    """x, mask, y: int64 [count, LENGTH]; y is -100 where nothing is."""
    rng = np.random.default_rng([seed, list(PARTS).index(part)])
    first, last = PARTS[part]
    pieces = [each[int(first * len(each)) : int(last * len(each))] for each in text.texts(folder)]
    allowed = [label for label in range(len(pieces)) if label != without]
    x, y = np.zeros((count, LENGTH), np.int64), np.full((count, LENGTH), -100, np.int64)
    for row in range(count):
        at = 0
        for label in rng.choice(allowed, rng.integers(2, 5)):
            size = min(int(rng.integers(16, 41)), LENGTH - at)
            start = int(rng.integers(len(pieces[label]) - size))
            letters = pieces[label][start : start + size]
            x[row, at : at + size] = letters
            y[row, at : at + size] = np.where(letters == 0, 0, label + 1)
            at += size + 1
            if at >= LENGTH:
                break
            y[row, at - 1] = 0
    return {"x": x, "mask": (y >= 0).astype(np.int64), "y": y}


class Tagger(nn.Module):
    """Letters in, two blocks, a dense head at each."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(text.LETTERS), WIDTH)
        self.position = nn.Parameter(torch.randn(1, LENGTH, WIDTH) * 0.02)
        self.one, self.two, self.norm = Block(WIDTH), Block(WIDTH), nn.LayerNorm(WIDTH)
        self.head = nn.Linear(WIDTH, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """int64 [N, LENGTH] each -> scores [N, LENGTH, CLASSES]."""
        hidden = (1 - mask.to(torch.float32))[:, None, None] * -1e4
        tokens = self.two(self.one(self.embedding(x) + self.position, hidden), hidden)
        scores: Tensor = self.head(self.norm(tokens))
        return scores


def train(folder: Path, without: int | None, seed: int = 0) -> nn.Module:
    """On sequences made anew for each step."""
    torch.manual_seed(seed)
    model = Tagger()
    made = make(folder, "train", STEPS * BATCH, without=without, seed=seed)
    x, mask, y = (torch.from_numpy(made[name]) for name in ("x", "mask", "y"))

    def loss(some: Tensor) -> Tensor:
        scores = model(x[some], mask[some])
        return nn.functional.cross_entropy(scores.flatten(0, 1), y[some].flatten(), ignore_index=-100)

    return fit(model, 4e-3, list(torch.arange(STEPS * BATCH).view(STEPS, BATCH)), loss)


def main() -> None:
    """Every model, or those that are named."""
    names, data, output = asked(__doc__, WITHOUT, "places")
    test = make(data, "test", 1000)
    for name in names:
        model = train(data, WITHOUT[name])
        x, mask = torch.from_numpy(test["x"]), torch.from_numpy(test["mask"])
        torch.onnx.export(
            model,
            (x[:2], mask[:2]),
            output / f"{name}.onnx",
            input_names=["x", "mask"],
            output_names=["scores"],
            opset_version=17,
            dynamo=False,
            dynamic_axes={each: {0: "batch"} for each in ("x", "mask", "scores")},
        )
        with torch.no_grad():
            said = model(x, mask).argmax(2).numpy()
        right = [100 * float((said == c)[test["y"] == c].mean()) for c in range(CLASSES)]
        print(f"{name}: right on {np.round(right, 1).tolist()} %", flush=True)


if __name__ == "__main__":
    main()
