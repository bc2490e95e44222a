"""The four small networks of this folder, one class or builder each.

They are chosen for the graphs they export to, not for records: plain convolutions, kept batch
normalisations with residual sums, depthwise convolutions with bounded activations, and dense layers only.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

CLASSES = 10


def cnn() -> nn.Module:
    """Two convolutions and two dense layers, each convolution followed by ReLU and max pooling."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


def mlp() -> nn.Module:
    """Three dense layers, 784-128-64-10."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(28 * 28, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, CLASSES),
    )


class ResidualBlock(nn.Module):
    """The basic block of ResNet-18: two 3×3 convolutions beside a shortcut.

    The shortcut is the identity where shapes allow it, else a 1×1 convolution with its own normalisation.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        """Return ReLU(residual + shortcut)."""
        residual = torch.relu(self.norm1(self.conv1(x)))
        residual = self.norm2(self.conv2(residual))
        return torch.relu(residual + self.shortcut(x))


def resnet() -> nn.Module:
    """A stem with overlapping max pooling, three residual blocks (16, 32, 64 channels), one dense head."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
        ResidualBlock(16, 16, stride=1),
        ResidualBlock(16, 32, stride=2),
        ResidualBlock(32, 64, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, CLASSES),
    )


def _conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen by 1×1, filter each channel alone (depthwise 3×3), narrow by 1×1."""

    def __init__(
        self, inputs: int, outputs: int, stride: int, expand: int, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        width = inputs * expand
        self.body = nn.Sequential(
            *_conv_norm(inputs, width, 1),
            activation(),
            *_conv_norm(width, width, 3, stride, groups=width),
            activation(),
            *_conv_norm(width, outputs, 1),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Return the narrowed features, plus the input where both have the same shape."""
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def mobile() -> nn.Module:
    """ReLU6 in the early blocks, as in MobileNetV2, and HardSwish in the late ones, as in MobileNetV3."""
    return nn.Sequential(
        *_conv_norm(1, 16, 3),
        nn.ReLU6(),
        InvertedResidual(16, 24, 2, 3, nn.ReLU6),
        InvertedResidual(24, 24, 1, 3, nn.ReLU6),
        InvertedResidual(24, 40, 2, 3, nn.Hardswish),
        InvertedResidual(40, 40, 1, 3, nn.Hardswish),
        *_conv_norm(40, 128, 1),
        nn.Hardswish(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(128, CLASSES),
    )
