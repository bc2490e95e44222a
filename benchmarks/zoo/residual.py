"""Residual networks: ResNet, pre-activation, ResNeXt, RegNet, ConvNeXt."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, Architecture, SqueezeExcite, image


class Basic(nn.Module):
    """ResNet-18's block (He et al. 2015)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm2(self.conv2(torch.relu(self.norm1(self.conv1(x)))))
        return torch.relu(y + self.shortcut(x))


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class PreActivation(nn.Module):
    """Normalise and rectify before each convolution (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1, bias=False),
            nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, width, 3, 1, 1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)


class Bottleneck(nn.Module):
    """1×1, grouped 3×3, 1×1: ResNeXt's block (Xie et al. 2017); with `excite` RegNetY's."""

    def __init__(self, inputs: int, outputs: int, stride: int, groups: int, excite: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, stride, 1, groups=groups, bias=False),
            nn.BatchNorm2d(outputs), nn.ReLU(),
            SqueezeExcite(outputs) if excite else nn.Identity(),
            nn.Conv2d(outputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


class ChannelsLastNorm(nn.Module):
    """LayerNorm over the channels of an image, as ConvNeXt's downsampling has it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """Depthwise 7×7, LayerNorm and an MLP in channels-last layout, layer scale (Liu et al. 2022)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.widen, self.narrow = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.scale * self.narrow(nn.functional.gelu(self.widen(y)))
        return x + y.permute(0, 3, 1, 2)


def _head(width: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, CLASSES)]


def resnet() -> nn.Module:
    stem = [nn.Conv2d(3, 8, 7, 2, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, Basic(8, 8, 1), Basic(8, 12, 2), Basic(12, 16, 2), *_head(16))


def preresnet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), PreActivation(8), PreActivation(8), nn.BatchNorm2d(8), nn.ReLU(), *_head(8)
    )


def resnext(excite: bool = False) -> nn.Module:
    stem = [nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU()]
    blocks = [Bottleneck(8, 16, 2, 4, excite), Bottleneck(16, 16, 1, 4, excite)]
    return nn.Sequential(*stem, *blocks, *_head(16))


def convnext() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), ChannelsLastNorm(8), ConvNextBlock(8), ChannelsLastNorm(8),
        nn.Conv2d(8, 12, 2, 2), ConvNextBlock(12),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(12), nn.Linear(12, CLASSES),
    )  # fmt: skip


ARCHITECTURES = [
    Architecture("resnet18", resnet, image, dynamic=True),
    Architecture("resnet18-bn-kept", resnet, image, keep_batch_norm=True),
    Architecture("preresnet", preresnet, image),
    Architecture("resnext", resnext, image),
    Architecture("regnet-y", lambda: resnext(True), image),
    Architecture("regnet-y-bn-kept", lambda: resnext(True), image, keep_batch_norm=True),
    Architecture("convnext", convnext, image, dynamic=True),
]
