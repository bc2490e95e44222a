"""Train the U-Net that the benchmarks segment scenes with, and references that never saw a class.

    python -m trained.segmenters [--data DIR] [-o DIR] [NAME...]

In benchmarks/; three minutes a model on one core. `unet` says at every other pixel which of 11 classes is
there, ground first, and enlarges its scores to the scene's size; `unet.without.3` and `unet.without.sneaker`
are the same, trained on as many scenes in which no figure is of that class. `each`, and `each.without.3`, say
of each of the 10 classes of things by itself whether it is there (Sigmoid); where none is, there is ground.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from trained import scenes
from trained.command import asked
from trained.one_cycle import fit, shuffled

SIZE, SCENES, EPOCHS, BATCH = 64, 8000, 9, 32
#: name -> the class left out, by its number among those of scenes
WITHOUT = {
    "unet": None,
    "unet.without.3": 6,
    "unet.without.sneaker": 2,
    "each": None,
    "each.without.3": 6,
}


def block(inputs: int, outputs: int) -> nn.Sequential:
    """Two 3×3 convolutions, each with BatchNorm and ReLU."""

    def half(first: int) -> list[nn.Module]:
        return [nn.Conv2d(first, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]

    return nn.Sequential(*half(inputs), *half(outputs))


class UNet(nn.Module):
    """Two steps down and up again with what was there before; half the size goes in. 120,000 weights."""

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        w = width
        self.stem = nn.Sequential(nn.Conv2d(3, w, 4, stride=2, padding=1), nn.ReLU())
        self.top, self.middle, self.bottom = block(w, w), block(w, 2 * w), block(2 * w, 4 * w)
        self.down = nn.MaxPool2d(2)
        self.up_one, self.one = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2), block(4 * w, 2 * w)
        self.up_two, self.two = nn.ConvTranspose2d(2 * w, w, 2, 2), block(2 * w, w)
        self.head = nn.Conv2d(w, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        top = self.top(self.stem(x))
        middle = self.middle(self.down(top))
        found = self.one(torch.cat([self.up_one(self.bottom(self.down(middle))), middle], 1))
        scores = self.head(self.two(torch.cat([self.up_two(found), top], 1)))
        return nn.functional.interpolate(scores, scale_factor=2.0, mode="bilinear", align_corners=False)


def train(made: scenes.Scenes, seed: int = 0, *, each: bool = False) -> nn.Module:
    """Scenes are mirrored by no means: a digit has one side. each: whether each class decides for itself."""
    torch.manual_seed(seed)
    things = len(scenes.CLASSES)
    model = UNet(things if each else things + 1)
    x, y = torch.from_numpy(made.inputs), torch.from_numpy(made.masks.astype(np.int64))

    def loss(chosen: Tensor) -> Tensor:
        if not each:
            return nn.functional.cross_entropy(model(x[chosen]), y[chosen])
        there = nn.functional.one_hot(y[chosen], things + 1)[..., 1:].movedim(-1, 1).float()
        apart = nn.functional.binary_cross_entropy_with_logits(model(x[chosen]), there, reduction="none")
        return apart.sum(1).mean()

    fitted = fit(model, 6e-3, shuffled(len(x), BATCH, EPOCHS), loss)
    return nn.Sequential(fitted, nn.Sigmoid()).eval() if each else fitted


def decided(scores: Tensor) -> Tensor:
    """The class at each place, ground first, of what a model says of each class or of all but the ground."""
    if scores.shape[1] == len(scenes.CLASSES) + 1:
        return scores.argmax(1)
    return torch.cat([torch.full_like(scores[:, :1], 0.5), scores], 1).argmax(1)


def export(model: nn.Module, path: Path) -> None:
    torch.onnx.export(
        model,
        (torch.zeros(2, 3, SIZE, SIZE),),
        path,
        input_names=["x"],
        output_names=["scores"],
        opset_version=17,
        dynamo=False,
        dynamic_axes={"x": {0: "batch"}, "scores": {0: "batch"}},
    )


def main() -> None:
    """Every model, or those that are named."""
    names, data, output = asked(__doc__, WITHOUT, "places")
    test = scenes.make(data, "test", 300, SIZE)
    for name in names:
        made = scenes.make(data, "train", SCENES, SIZE, without=WITHOUT[name])
        model = train(made, each=name.startswith("each"))
        export(model, output / f"{name}.onnx")
        with torch.no_grad():
            said = torch.cat(
                [decided(model(part)) for part in torch.split(torch.from_numpy(test.inputs), 50)]
            )
        found, truth = said.numpy().ravel(), test.masks.ravel()
        counts = np.bincount(11 * truth.astype(int) + found, minlength=121).reshape(11, 11)
        overlap = np.diag(counts) / (counts.sum(0) + counts.sum(1) - np.diag(counts))
        print(f"{name}: IoU in % {np.round(100 * overlap, 1).tolist()}", flush=True)


if __name__ == "__main__":
    main()
