"""Feed-forward and convolutional classics without residual sums, and classifiers on U-Nets."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, Architecture, floats, image


def mlp() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(48, 32),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(32, 16),
        nn.Tanh(),
        nn.Linear(16, CLASSES),
    )


def lenet() -> nn.Module:
    """LeCun et al. 1998, with average pooling and sigmoids."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 5), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Conv2d(6, 16, 5), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(400, 30), nn.Sigmoid(), nn.Linear(30, CLASSES),
    )  # fmt: skip


def alexnet() -> nn.Module:
    """Krizhevsky et al. 2012: local response normalisation, overlapping pooling, dropout."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 5, 2, 2), nn.ReLU(), nn.LocalResponseNorm(5, alpha=0.5), nn.MaxPool2d(3, 2),
        nn.Conv2d(8, 12, 3, padding=1), nn.ReLU(), nn.LocalResponseNorm(4, alpha=0.5, k=2.0),
        nn.MaxPool2d(3, 2),
        nn.Flatten(), nn.Dropout(), nn.Linear(108, CLASSES),
    )  # fmt: skip


def vgg(batch_norm: bool) -> nn.Module:
    layers: list[nn.Module] = []
    inputs = 3
    for width, depth in ((8, 1), (12, 2), (16, 2)):
        for _ in range(depth):
            layers.append(nn.Conv2d(inputs, width, 3, padding=1))
            layers += [nn.BatchNorm2d(width)] if batch_norm else []
            layers.append(nn.ReLU(inplace=True))
            inputs = width
        layers.append(nn.MaxPool2d(2, 2))
    head = [
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 20),
        nn.ReLU(),
        nn.Dropout(),
        nn.Linear(20, CLASSES),
    ]
    return nn.Sequential(*layers, *head)


class Fire(nn.Module):
    """SqueezeNet's block: squeeze by 1×1, widen by 1×1 and 3×3 side by side."""

    def __init__(self, inputs: int, squeeze: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = nn.Conv2d(squeeze, width, 1), nn.Conv2d(squeeze, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.squeeze(x))
        return torch.cat([torch.relu(self.one(x)), torch.relu(self.three(x))], 1)


def squeezenet() -> nn.Module:
    """Iandola et al. 2016: the head is a 1×1 convolution and a global mean."""
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True),
        Fire(8, 4, 6), Fire(12, 4, 8), nn.MaxPool2d(3, 2, ceil_mode=True), Fire(16, 6, 8),
        nn.Dropout(), nn.Conv2d(16, CLASSES, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
    )  # fmt: skip


def conv_norm(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1) -> nn.Module:
    size = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = (size[0] // 2, size[1] // 2)
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, size, stride, padding, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class Inception(nn.Module):
    """Four branches side by side: 1×1, 1×3 and 3×1, two 3×3, and a mean pool (Szegedy et al. 2015)."""

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_norm(inputs, 4, 1),
                nn.Sequential(conv_norm(inputs, 4, 1), conv_norm(4, 6, (1, 3)), conv_norm(6, 6, (3, 1))),
                nn.Sequential(conv_norm(inputs, 4, 1), conv_norm(4, 6, 3), conv_norm(6, 6, 3)),
                nn.Sequential(nn.AvgPool2d(3, 1, 1, count_include_pad=False), conv_norm(inputs, 4, 1)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], 1)


def inception() -> nn.Module:
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(20, CLASSES)]
    return nn.Sequential(conv_norm(3, 8, 3, 2), Inception(8), nn.MaxPool2d(3, 2, 1), Inception(20), *head)


class DenseLayer(nn.Module):
    """DenseNet's layer: normalise first, append the new channels to the old (Huang et al. 2017)."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 2 * growth, 1, bias=False),
            nn.BatchNorm2d(2 * growth), nn.ReLU(), nn.Conv2d(2 * growth, growth, 3, padding=1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.body(x)], 1)


def densenet() -> nn.Module:
    transition = [nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1, bias=False), nn.AvgPool2d(2)]
    return nn.Sequential(
        conv_norm(3, 8, 3, 2), DenseLayer(8, 4), DenseLayer(12, 4), *transition,
        DenseLayer(8, 4), DenseLayer(12, 4),
        nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip


class UNet(nn.Module):
    """Down, up and beside each other (Ronneberger et al. 2015), then the mean of a class map."""

    def __init__(self, up: nn.Module) -> None:
        super().__init__()
        self.down1, self.down2 = conv_norm(3, 8, 3), conv_norm(8, 12, 3)
        self.up, self.merge, self.head = up, conv_norm(20, 8, 3), nn.Conv2d(8, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.down1(x)
        x = self.up(self.down2(nn.functional.max_pool2d(skip, 2)))
        x = self.merge(torch.cat([skip, x], 1))
        return self.head(x).mean((2, 3))


def unet_transposed() -> nn.Module:
    return UNet(nn.ConvTranspose2d(12, 12, 3, 2, 1, output_padding=1))


def unet_nearest() -> nn.Module:
    return UNet(nn.Upsample(scale_factor=2, mode="nearest"))


def unet_bilinear() -> nn.Module:
    return UNet(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))


def unet_corners() -> nn.Module:
    return UNet(nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True))


ARCHITECTURES = [
    Architecture("mlp", mlp, floats(48)),
    Architecture("lenet", lenet, image),
    Architecture("alexnet-lrn", alexnet, image),
    Architecture("vgg", lambda: vgg(False), image, dynamic=True),
    Architecture("vgg-bn", lambda: vgg(True), image),
    Architecture("squeezenet", squeezenet, image),
    Architecture("inception", inception, image),
    Architecture("densenet", densenet, image),
    Architecture("unet-transposed", unet_transposed, image),
    Architecture("unet-nearest", unet_nearest, image),
    Architecture("unet-bilinear", unet_bilinear, image, dynamic=True),
    Architecture("unet-align-corners", unet_corners, image),
]
