"""Networks that the sample models lack: a LeNet, a ResNet with folded normalisations, two transformers."""

from __future__ import annotations

import architectures
import torch
from torch import Tensor, nn

WIDTH = 64


def lenet() -> nn.Module:
    """Two 5×5 convolutions with max pooling, dense 1568-128-64-10."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, 128),
        nn.ReLU(),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, architectures.CLASSES),
    )


def resnet8(channels: int = 1, width: int = 16) -> nn.Module:
    """A strided stem and three residual blocks of width, twice and four times as many channels, global
    pooling, one dense head. channels: of the images."""
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(),
        architectures.ResidualBlock(width, width, stride=1),
        architectures.ResidualBlock(width, 2 * width, stride=2),
        architectures.ResidualBlock(2 * width, 4 * width, stride=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, architectures.CLASSES),
    )


class Block(nn.Module):
    """Pre-normalised transformer block: self-attention with 4 heads, then an MLP of twice the width."""

    def __init__(self, width: int = WIDTH) -> None:
        super().__init__()
        self.heads = 4, width // 4
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.project = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        """x: [N, tokens, width]. hidden: added to the attention, [N, 1, 1, tokens]."""
        q, k, v = (
            part.unflatten(2, self.heads).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, 2)
        )
        alike = q @ k.transpose(2, 3) / self.heads[1] ** 0.5
        weights = (alike if hidden is None else alike + hidden).softmax(3)
        x = x + self.project((weights @ v).transpose(1, 2).flatten(2))
        result: Tensor = x + self.mlp(self.norm2(x))
        return result


class VisionTransformer(nn.Module):
    """7×7 patches of a 28×28 image, three blocks, the mean of the tokens, one dense head."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, WIDTH, 7, stride=7)
        self.position = nn.Parameter(torch.randn(1, 16, WIDTH) * 0.02)
        self.blocks = nn.Sequential(Block(), Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, architectures.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """x: [N, 1, 28, 28]."""
        tokens = self.blocks(self.patches(x).flatten(2).transpose(1, 2) + self.position)
        logits: Tensor = self.head(self.norm(tokens).mean(1))
        return logits


class TextTransformer(nn.Module):
    """Letters in, two blocks, the mean of the tokens, one dense head."""

    def __init__(self, letters: int, length: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(letters, WIDTH)
        self.position = nn.Parameter(torch.randn(1, length, WIDTH) * 0.02)
        self.blocks = nn.Sequential(Block(), Block())
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, architectures.CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """x: int64 [N, length]."""
        logits: Tensor = self.head(self.norm(self.blocks(self.embedding(x) + self.position)).mean(1))
        return logits
