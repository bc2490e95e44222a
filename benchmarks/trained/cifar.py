"""CIFAR-10 from a folder, and a small residual network trained on it.

The folder holds the official binaries (data_batch_1.bin … 5, test_batch.bin) or JPEG archives
(cifar10_train_jpeg.npz, cifar10_test_jpeg.npz: `bytes`, all files one after the other, `ends`, `y`).
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import click
import export
import numpy as np
import torch
from torch import nn

from .networks import resnet8

CLASSES = 10
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
EPOCHS, BATCH, PEAK_RATE = 3, 128, 0.1
_SHIFT = 4


@dataclass(frozen=True)
class Split:
    """pixels: uint8 [N, 32, 32, 3]; y: int64 [N]."""

    pixels: np.ndarray
    y: np.ndarray

    def inputs(self, chosen: np.ndarray) -> np.ndarray:
        """What the network takes, float32 [n, 3, 32, 32]."""
        scaled = (self.pixels[chosen].astype(np.float32) / 255 - np.array(MEAN)) / np.array(STD)
        return np.ascontiguousarray(scaled.transpose(0, 3, 1, 2), np.float32)


def load(folder: Path) -> tuple[Split, Split]:
    """Training and test images. Raises click.BadParameter if the folder holds neither form."""
    if (folder / "test_batch.bin").is_file():
        return _binaries(sorted(folder.glob("data_batch_*.bin"))), _binaries([folder / "test_batch.bin"])
    archives = [folder / f"cifar10_{part}_jpeg.npz" for part in ("train", "test")]
    if not all(path.is_file() for path in archives):
        raise click.BadParameter(f"{folder}: holds neither test_batch.bin nor {archives[0].name}")
    return _archive(archives[0]), _archive(archives[1])


def _binaries(paths: list[Path]) -> Split:
    """A byte for the class, then 1,024 each of red, green and blue."""
    rows = np.concatenate([np.fromfile(path, np.uint8).reshape(-1, 3073) for path in paths])
    return Split(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1).copy(), rows[:, 0].astype(np.int64))


def _archive(path: Path) -> Split:
    from PIL import Image

    with np.load(path) as archive:
        content, ends, y = archive["bytes"], archive["ends"], archive["y"]
    starts = np.r_[0, ends[:-1]]
    files = (content[a:b].tobytes() for a, b in zip(starts, ends, strict=True))
    return Split(
        np.stack([np.asarray(Image.open(io.BytesIO(f)).convert("RGB")) for f in files]), y.astype(np.int64)
    )


def make(path: Path, split: Split, without: int | None, seed: int) -> None:
    """Train without a class, or with all, and write the model."""
    model = _trained(split, without, seed)
    export.export(model, path, "folded", (3, 32, 32))


def _trained(split: Split, without: int | None, seed: int) -> nn.Module:
    """SGD with one cycle of the rate, images moved and mirrored."""
    torch.manual_seed(seed)
    kept = split.y != (-1 if without is None else without)
    pixels, y = torch.from_numpy(split.pixels[kept]), torch.from_numpy(split.y[kept])
    model = resnet8(3, 32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(model.parameters(), PEAK_RATE, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = EPOCHS * (len(y) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    mean, std = torch.tensor(MEAN), torch.tensor(STD)
    for _ in range(EPOCHS):
        order = torch.randperm(len(y))
        for chosen in order[: len(y) // BATCH * BATCH].view(-1, BATCH):
            x = ((_moved(pixels[chosen]).float() / 255 - mean) / std).permute(0, 3, 1, 2)
            loss = nn.functional.cross_entropy(model(x), y[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    model.to(memory_format=torch.contiguous_format)
    return model.eval()


def _moved(pixels: torch.Tensor) -> torch.Tensor:
    """Each image by up to four pixels either way, every other one mirrored; [n, 32, 32, 3]."""
    count, height, width, _ = pixels.shape
    padded = nn.functional.pad(pixels, (0, 0, _SHIFT, _SHIFT, _SHIFT, _SHIFT))
    rows = torch.randint(2 * _SHIFT + 1, (count, 1)) + torch.arange(height)
    columns = torch.randint(2 * _SHIFT + 1, (count, 1)) + torch.arange(width)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns)
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]
