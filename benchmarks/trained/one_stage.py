"""Detectors that say something at each place of two scales: one like YOLOv8, one like SSD."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from trained.detector_parts import STRIDES, WIDTHS, Backbone, C, Targets, conv, grid, overlap


class Yolo(nn.Module):
    """Sigmoid classes and distances to the four sides at each place of two scales."""

    centres: Tensor
    strides: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.SiLU)
        self.box = nn.ModuleList(nn.Sequential(conv(w, 32), nn.Conv2d(32, 4, 1)) for w in WIDTHS)
        self.classes = nn.ModuleList(nn.Sequential(conv(w, 48), nn.Conv2d(48, C, 1)) for w in WIDTHS)
        for branch in self.classes:
            nn.init.constant_(branch[1].bias, -4.0)  # type: ignore[index]
        centres, strides = grid()
        self.register_buffer("centres", centres.T[None])
        self.register_buffer("strides", strides[None, None])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes as corners [N, 4, places] and class logits [N, C, places]."""
        features = self.backbone(x)
        sides = torch.cat([head(f).flatten(2) for head, f in zip(self.box, features, strict=True)], 2)
        logits = torch.cat([head(f).flatten(2) for head, f in zip(self.classes, features, strict=True)], 2)
        sides = nn.functional.softplus(sides) * self.strides
        corners = torch.cat([self.centres - sides[:, :2], self.centres + sides[:, 2:]], 1)
        return corners, logits

    def forward(self, x: Tensor) -> Tensor:
        corners, logits = self.raw(x)
        first, second = corners[:, :2], corners[:, 2:]
        return torch.cat([(first + second) / 2, second - first, logits.sigmoid()], 1)

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Overlap, and classes whose target is the overlap (generalised focal loss)."""
        corners, logits = (each.transpose(1, 2) for each in self.raw(x))
        wanted = torch.zeros_like(logits)
        pull, count = torch.zeros(()), 0
        for i, (boxes, classes) in enumerate(targets):
            place, owner = self._assigned(boxes)
            if len(place):
                gain = overlap(corners[i, place], boxes[owner], paired=True)
                wanted[i, place, classes[owner]] = gain.detach().clamp(0.05)
                pull, count = pull + (1 - gain).sum(), count + len(place)
        said = logits.sigmoid()
        spoken = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return (2 * pull + (spoken * (wanted - said).detach().abs() ** 2).sum() * 2) / max(count, 1)

    def _assigned(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Places near a box's middle, and whose; the smallest box wins."""
        centres, strides = self.centres[0].T, self.strides[0, 0]
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        near = (centres[:, None] - middle[None]).abs().amax(2) < 1.0 * strides[:, None]
        area = ((boxes[:, 2:] - boxes[:, :2]).prod(1))[None].expand(near.shape)
        cost = torch.where(near, area, torch.inf)
        least, owner = cost.min(1)
        place = torch.nonzero(least < torch.inf)[:, 0]
        return place, owner[place]


class Ssd(nn.Module):
    """Softmax with ground first, and offsets from three priors, at each place of two scales."""

    priors: Tensor
    SHAPES = ((1.0, 1.0), (0.6, 1.3), (1.3, 0.7))
    SIDES = (22.0, 30.0)

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.ReLU)
        each = len(self.SHAPES)
        self.extra = nn.ModuleList(conv(w, 48, 1, nn.ReLU) for w in WIDTHS)
        self.box = nn.ModuleList(nn.Conv2d(48, each * 4, 3, padding=1) for _ in WIDTHS)
        self.classes = nn.ModuleList(nn.Conv2d(48, each * (1 + C), 3, padding=1) for _ in WIDTHS)
        centres, strides = grid()
        fine, coarse = (torch.tensor(side) for side in self.SIDES)
        side: Tensor = torch.where(strides == STRIDES[0], fine, coarse)
        sizes = side[:, None, None] * torch.tensor(self.SHAPES)[None]
        priors = torch.cat([centres[:, None].expand_as(sizes), sizes], 2).flatten(0, 1)
        self.register_buffer("priors", priors[None])

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Offsets [N, places, 4] and logits [N, places, 1 + C]."""
        features = [extra(f) for extra, f in zip(self.extra, self.backbone(x), strict=True)]
        offsets, logits = (
            torch.cat(
                [
                    head(f).permute(0, 2, 3, 1).reshape(f.shape[0], -1, width)
                    for head, f in zip(heads, features, strict=True)
                ],
                1,
            )
            for heads, width in ((self.box, 4), (self.classes, 1 + C))
        )
        return offsets, logits

    def decoded(self, offsets: Tensor) -> Tensor:
        """Corners in pixels."""
        priors: Tensor = self.priors
        middle = priors[..., :2] + 0.1 * offsets[..., :2] * priors[..., 2:]
        half = priors[..., 2:] * torch.exp(0.2 * offsets[..., 2:]) / 2
        return torch.cat([middle - half, middle + half], -1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        offsets, logits = self.raw(x)
        return logits.softmax(2), self.decoded(offsets)

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Overlap of priors that match, classes of these and of the three times as many worst others."""
        offsets, logits = self.raw(x)
        priors = self.decoded(torch.zeros_like(offsets[:1]))[0]
        wanted = torch.zeros(logits.shape[:2], dtype=torch.long)
        pull = torch.zeros(())
        for i, (boxes, classes) in enumerate(targets):
            match = overlap(priors, boxes)
            best, owner = match.max(1)
            forced = match.argmax(0)
            best[forced], owner[forced] = 1.0, torch.arange(len(boxes))
            place = torch.nonzero(best >= 0.5)[:, 0]
            wanted[i, place] = 1 + classes[owner[place]]
            corners = self.decoded(offsets)[i, place]
            pull = pull + (1 - overlap(corners, boxes[owner[place]], paired=True)).sum()
        spoken = nn.functional.cross_entropy(logits.transpose(1, 2), wanted, reduction="none")
        positive = wanted > 0
        count = max(int(positive.sum()), 1)
        worst = spoken.detach().masked_fill(positive, 0).flatten().topk(3 * count).indices
        return (2 * pull + spoken[positive].sum() + spoken.flatten()[worst].sum()) / count
