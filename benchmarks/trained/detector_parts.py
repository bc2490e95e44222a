"""What the small detectors are made of: a backbone, its places, and how far boxes lie over one another."""

import torch
from torch import Tensor, nn

from trained import scenes

#: pixels of a scene's side
SIZE = 96
STRIDES, WIDTHS = (8, 16), (48, 64)
C = len(scenes.CLASSES)
Targets = list[tuple[Tensor, Tensor]]  # of each scene its boxes [n, 4] and classes [n]


def conv(inward: int, outward: int, stride: int = 1, activation: type[nn.Module] = nn.SiLU) -> nn.Sequential:
    """3×3, normalised."""
    layer = nn.Conv2d(inward, outward, 3, stride, 1, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outward), activation())


class Residual(nn.Module):
    """Two convolutions around which the input goes."""

    def __init__(self, width: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.inner = nn.Sequential(conv(width, width, 1, activation), conv(width, width, 1, activation))

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.inner(x)
        return result


class Backbone(nn.Module):
    """Features at strides 8 and 16, of WIDTHS; the coarse ones are mixed into the fine ones."""

    def __init__(self, activation: type[nn.Module]) -> None:
        super().__init__()
        fine, coarse = WIDTHS
        self.early = nn.Sequential(
            conv(3, 12, 2, activation),
            conv(12, 24, 2, activation),
            conv(24, fine, 2, activation),
            Residual(fine, activation),
        )
        self.late = nn.Sequential(conv(fine, coarse, 2, activation), Residual(coarse, activation))
        self.up = nn.Sequential(nn.Conv2d(coarse, fine, 1), nn.Upsample(scale_factor=2))
        self.mix = conv(fine, fine, 1, activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        early = self.early(x)
        late = self.late(early)
        return self.mix(early + self.up(late)), late


def grid() -> tuple[Tensor, Tensor]:
    """Of each place its centre [places, 2] in pixels, and its stride [places]."""
    centres, strides = [], []
    for stride in STRIDES:
        along = (torch.arange(SIZE // stride) + 0.5) * stride
        y, x = torch.meshgrid(along, along, indexing="ij")
        centres.append(torch.stack([x, y], -1).flatten(0, 1))
        strides.append(torch.full((len(centres[-1]),), float(stride)))
    return torch.cat(centres), torch.cat(strides)


def overlap(one: Tensor, other: Tensor, *, paired: bool = False) -> Tensor:
    """Intersection over union of corners: [n, m] of all, or [n] of pairs, less what lies between them where
    they do not touch (generalised)."""
    if not paired:
        one, other = one[:, None], other[None]
    inner = (torch.minimum(one[..., 2:], other[..., 2:]) - torch.maximum(one[..., :2], other[..., :2])).clamp(
        0
    )
    outer = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    areas = [(box[..., 2:] - box[..., :2]).prod(-1) for box in (one, other)]
    shared, whole = inner.prod(-1), outer.prod(-1)
    union = areas[0] + areas[1] - shared
    match: Tensor = shared / union.clamp(1e-6)
    return match - (whole - union) / whole.clamp(1e-6) if paired else match
