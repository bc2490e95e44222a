"""Bodies of the sizes of ResNet-50 and those for CIFAR (He et al. 2015), and of two ViTs (Dosovitskiy et al.
2020): B/16, and one for 28 × 28."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from torch import Tensor, nn
from zoo.mixers import First

sys.path.insert(0, str(Path(__file__).parents[2] / "sample_models"))

from architectures import ResidualBlock


class Bottleneck(nn.Module):
    """1 × 1, 3 × 3, 1 × 1 around a quarter of the channels."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        inner = outputs // 4
        self.body = nn.Sequential(
            nn.Conv2d(inputs, inner, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, inner, 3, stride, 1, bias=False), nn.BatchNorm2d(inner), nn.ReLU(),
            nn.Conv2d(inner, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        straight = inputs == outputs
        shortcut = [nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Identity() if straight else nn.Sequential(*shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class Patches(nn.Module):
    """An image as tokens of side × side pixels, with where they are; the first is none of them."""

    def __init__(self, width: int, side: int = 16, channels: int = 3, pixels: int = 224) -> None:
        super().__init__()
        self.embed = nn.Conv2d(channels, width, side, side)
        self.first = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(torch.randn(1, (pixels // side) ** 2 + 1, width))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.embed(x).flatten(2).transpose(1, 2)
        return torch.cat([self.first.expand(x.shape[0], -1, -1), tokens], dim=1) + self.place


def resnet50() -> nn.Module:
    blocks, inputs = list[nn.Module](), 64
    for index, (width, count) in enumerate(((256, 3), (512, 4), (1024, 6), (2048, 3))):
        for place in range(count):
            blocks.append(Bottleneck(inputs, width, 2 if index and not place else 1))
            inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def _cifar(blocks: int) -> nn.Module:
    """6·blocks + 2 layers with 16, 32 and 64 channels."""
    inputs, body = 16, list[nn.Module]()
    for width in (16, 32, 64):
        for place in range(blocks):
            body.append(ResidualBlock(inputs, width, 2 if width > 16 and not place else 1))
            inputs = width
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return nn.Sequential(*stem, *body, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def resnet20() -> nn.Module:
    return _cifar(3)


def resnet56() -> nn.Module:
    return _cifar(9)


def _vit(width: int, heads: int, depth: int, patches: Patches) -> nn.Module:
    def layer() -> nn.Module:
        made = nn.TransformerEncoderLayer(
            width, heads, 4 * width, batch_first=True, norm_first=True, activation="gelu"
        )
        with torch.no_grad():  # what is alike in two layers an exporter stores once, and nobody may edit
            for parameter in made.parameters():
                parameter.add_(0.01 * torch.randn(parameter.shape))
        return made

    layers = [layer() for _ in range(depth)]  # nn.TransformerEncoder would copy one
    return nn.Sequential(patches, *layers, nn.LayerNorm(width), First())


def vit_b16() -> nn.Module:
    return _vit(768, 12, 12, Patches(768))


def vit_small() -> nn.Module:
    return _vit(64, 4, 3, Patches(64, 4, 1, 28))
