"""The same small network with every activation function and every normalisation that torch has."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, Architecture, image


class Softsign(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x / (1 + x.abs())


class SquaredRelu(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x) ** 2


class WeightStandardised(nn.Conv2d):
    """A convolution whose weight is normalised whenever it runs: a constant the exporter may not fold."""

    def forward(self, x: Tensor) -> Tensor:
        mean = self.weight.mean((1, 2, 3), keepdim=True)
        weight = (self.weight - mean) / (self.weight.std((1, 2, 3), keepdim=True) + 1e-5)
        return nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding)


class GlobalResponseNorm(nn.Module):
    """Divide by the spatial norm's share of each channel (Woo et al. 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, width, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(x, dim=(2, 3), keepdim=True)
        return x + self.scale * x * (norm / (norm.mean(1, keepdim=True) + 1e-6))


class RmsNorm(nn.Module):
    """nn.RMSNorm over the channels of an image."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(x.transpose(1, -1)).transpose(1, -1)


class Powers(nn.Module):
    """Generalised-mean pooling (GeM), unit length, and a sharpened cosine similarity to the classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.classes = nn.Parameter(torch.ones(CLASSES, width))

    def forward(self, x: Tensor) -> Tensor:
        pooled = x.clamp(min=1e-3).pow(3.0).mean((2, 3)).pow(1 / 3)
        return 10 * nn.functional.normalize(pooled) @ nn.functional.normalize(self.classes).T


def network(
    activation: Callable[[], nn.Module], norm: Callable[[int], nn.Module] = lambda width: nn.Identity()
) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), norm(8), activation(), nn.Conv2d(8, 12, 3, 2, 1), norm(12), activation(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(192, CLASSES),
    )  # fmt: skip


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "leaky-relu": nn.LeakyReLU,
    "prelu": nn.PReLU,
    "elu": nn.ELU,
    "celu": lambda: nn.CELU(1.3),
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "softplus-beta": lambda: nn.Softplus(beta=2.0),
    "softsign": nn.Softsign,
    "softsign-by-hand": Softsign,
    "gelu": nn.GELU,
    "gelu-tanh": lambda: nn.GELU(approximate="tanh"),
    "mish": nn.Mish,
    "silu": nn.SiLU,
    "log-sigmoid": nn.LogSigmoid,
    "hard-tanh": nn.Hardtanh,
    "hard-shrink": lambda: nn.Hardshrink(0.3),
    "soft-shrink": lambda: nn.Softshrink(0.3),
    "threshold": lambda: nn.Threshold(0.1, -0.2),
    "squared-relu": SquaredRelu,
}
NORMS: dict[str, Callable[[int], nn.Module]] = {
    "batch-norm": nn.BatchNorm2d,
    "group-norm": lambda width: nn.GroupNorm(4, width),
    "layer-norm-chw": lambda width: nn.GroupNorm(1, width),
    "instance-norm": lambda width: nn.InstanceNorm2d(width, affine=True),
    "instance-norm-plain": nn.InstanceNorm2d,
    "rms-norm": RmsNorm,
    "global-response-norm": GlobalResponseNorm,
}


def channel_prelu() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.PReLU(8),
        nn.Conv2d(8, 8, 3, 2),
        nn.PReLU(8),
        nn.Flatten(),
        nn.Linear(392, CLASSES),
    )


def maxout() -> nn.Module:
    class Maxout(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            first, second = x.chunk(2, 1)
            return torch.maximum(first, second) - 0.1 * torch.minimum(first, second)

    return nn.Sequential(nn.Conv2d(3, 16, 3, 4), Maxout(), nn.Flatten(), nn.Linear(512, CLASSES))


def gated() -> nn.Module:
    """Gated linear units (Dauphin et al. 2017)."""
    return nn.Sequential(nn.Conv2d(3, 16, 3, 4), nn.GLU(1), nn.Flatten(), nn.Linear(512, CLASSES))


def weight_standardised() -> nn.Module:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES)]
    return nn.Sequential(WeightStandardised(3, 8, 3, 2), nn.GroupNorm(2, 8), nn.ReLU(), *head)


def powers() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.Softplus(), Powers(8))


def reflect_padding() -> nn.Module:
    return nn.Sequential(
        nn.ReflectionPad2d(2), nn.Conv2d(3, 8, 5, 2), nn.ReLU(),
        nn.ReplicationPad2d(1), nn.Conv2d(8, 8, 3, 2), nn.ReLU(),
        nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(8, CLASSES),
    )  # fmt: skip


ARCHITECTURES = [
    *(Architecture(name, partial(network, make), image) for name, make in ACTIVATIONS.items()),
    *(
        Architecture(
            name,
            partial(network, nn.ReLU, make),
            image,
            keep_batch_norm=name == "batch-norm",
            dynamic=name == "group-norm",
        )
        for name, make in NORMS.items()
    ),
    Architecture("prelu-channels", channel_prelu, image),
    Architecture("maxout", maxout, image),
    Architecture("glu", gated, image),
    Architecture("weight-standardised", weight_standardised, image),
    Architecture("gem-cosine", powers, image),
    Architecture("reflect-padding", reflect_padding, image),
]
