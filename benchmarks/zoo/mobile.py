"""Networks for small devices: depthwise convolutions, channel shuffles, squeeze-and-excite."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, Architecture, SqueezeExcite, image


def conv_norm(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs)]


class Inverted(nn.Module):
    """Widen, filter each channel alone, narrow (Sandler et al. 2018); V3 and EfficientNet add `excite`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        activation: type[nn.Module],
        excite: nn.Module | None = None,
    ) -> None:
        super().__init__()
        width = 2 * inputs
        self.body = nn.Sequential(
            *conv_norm(inputs, width, 1), activation(),
            *conv_norm(width, width, 3, stride, width), activation(),
            excite or nn.Identity(), *conv_norm(width, outputs, 1),
        )  # fmt: skip
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.body(x)
        return x + y if self.residual else y


def _network(first: type[nn.Module], body: list[nn.Module], width: int, last: list[nn.Module]) -> nn.Module:
    return nn.Sequential(
        *conv_norm(3, 8, 3, 2), first(), *body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), *last,
        nn.Linear(width, CLASSES),
    )  # fmt: skip


def mobilenet_v1() -> nn.Module:
    body: list[nn.Module] = []
    for inputs, outputs, stride in ((8, 12, 1), (12, 16, 2), (16, 16, 1)):
        body += [
            *conv_norm(inputs, inputs, 3, stride, inputs),
            nn.ReLU(),
            *conv_norm(inputs, outputs, 1),
            nn.ReLU(),
        ]
    return _network(nn.ReLU, body, 16, [nn.Dropout()])


def mobilenet_v2() -> nn.Module:
    blocks: list[nn.Module] = [Inverted(8, 12, 2, nn.ReLU6), Inverted(12, 12, 1, nn.ReLU6)]
    return _network(nn.ReLU6, [*blocks, *conv_norm(12, 20, 1), nn.ReLU6()], 20, [nn.Dropout()])


def mobilenet_v3() -> nn.Module:
    blocks: list[nn.Module] = [
        Inverted(8, 12, 2, nn.ReLU, SqueezeExcite(16, nn.Hardsigmoid())),
        Inverted(12, 12, 1, nn.Hardswish, SqueezeExcite(24, nn.Hardsigmoid())),
    ]
    head: list[nn.Module] = [nn.Linear(20, 24), nn.Hardswish(), nn.Dropout()]
    return _network(nn.Hardswish, [*blocks, *conv_norm(12, 20, 1), nn.Hardswish()], 24, head)


def efficientnet() -> nn.Module:
    blocks: list[nn.Module] = [
        Inverted(8, 12, 2, nn.SiLU, SqueezeExcite(16, activation=nn.SiLU())),
        Inverted(12, 12, 1, nn.SiLU, SqueezeExcite(24, activation=nn.SiLU())),
    ]
    return _network(nn.SiLU, [*blocks, *conv_norm(12, 20, 1), nn.SiLU()], 20, [nn.Dropout()])


def shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave the channels of the groups."""
    batch, channels, height, width = x.shape
    return (
        x.view(batch, groups, channels // groups, height, width)
        .transpose(1, 2)
        .reshape(batch, -1, height, width)
    )


class ShuffleV1(nn.Module):
    """Grouped 1×1, shuffle, depthwise, grouped 1×1; beside a mean pool (Zhang et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.reduce = nn.Sequential(*conv_norm(width, width, 1, groups=4), nn.ReLU())
        self.body = nn.Sequential(
            *conv_norm(width, width, 3, 2, width), *conv_norm(width, width, 1, groups=4)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(shuffle(self.reduce(x), 4))
        return torch.relu(torch.cat([nn.functional.avg_pool2d(x, 3, 2, 1), y], 1))


class ShuffleV2(nn.Module):
    """Half of the channels pass, half are filtered, then both are shuffled (Ma et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.body = nn.Sequential(
            *conv_norm(half, half, 1),
            nn.ReLU(),
            *conv_norm(half, half, 3, 1, half),
            *conv_norm(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        passed, filtered = x.chunk(2, 1)
        return shuffle(torch.cat([passed, self.body(filtered)], 1), 2)


def shufflenet_v1() -> nn.Module:
    return _network(nn.ReLU, [nn.MaxPool2d(3, 2, 1), ShuffleV1(8), ShuffleV1(16)], 32, [])


def shufflenet_v2() -> nn.Module:
    return _network(nn.ReLU, [nn.MaxPool2d(3, 2, 1), ShuffleV2(8), ShuffleV2(8)], 8, [])


class Ghost(nn.Module):
    """GhostNet's module: half of the maps are cheap filterings of the other half, cut to size."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        half = (outputs + 1) // 2
        self.outputs = outputs
        self.primary = nn.Sequential(*conv_norm(inputs, half, 1), nn.ReLU())
        self.cheap = nn.Sequential(*conv_norm(half, half, 3, groups=half), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        y = self.primary(x)
        return torch.cat([y, self.cheap(y)], 1)[:, : self.outputs]


def ghostnet() -> nn.Module:
    return _network(nn.ReLU, [Ghost(8, 11), nn.MaxPool2d(2), Ghost(11, 15)], 15, [])


ARCHITECTURES = [
    Architecture("mobilenet-v1", mobilenet_v1, image),
    Architecture("mobilenet-v2", mobilenet_v2, image),
    Architecture("mobilenet-v3", mobilenet_v3, image, dynamic=True),
    Architecture("mobilenet-v3-bn-kept", mobilenet_v3, image, keep_batch_norm=True),
    Architecture("efficientnet", efficientnet, image),
    Architecture("shufflenet-v1", shufflenet_v1, image, dynamic=True),
    Architecture("shufflenet-v2", shufflenet_v2, image),
    Architecture("ghostnet", ghostnet, image),
]
