"""A detector of queries, like DETR."""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from trained.detector_parts import SIZE, STRIDES, WIDTHS, Backbone, C, Targets, overlap


class Detr(nn.Module):
    """Queries that look at the features, softmax with "no object" last; each starts at a point of its own, of
    a lattice, and looks there first: with points at random it takes several times as long to learn."""

    ALONG, WIDTH = 5, 64
    QUERIES = ALONG**2

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone(nn.ReLU)
        self.enter = nn.Conv2d(WIDTHS[0], self.WIDTH, 1)
        points, cells = (lattice(n) for n in (self.ALONG, SIZE // STRIDES[0]))
        self.position, self.queries = (nn.Parameter(waves(p, self.WIDTH)[None]) for p in (cells, points))
        sizes = torch.full_like(points, 0.25)
        self.points = nn.Parameter(torch.cat([points, sizes], 1)[None].logit())
        self.layers = nn.ModuleList(Decoder(self.WIDTH) for _ in range(3))
        self.classes = nn.Linear(self.WIDTH, C + 1)
        self.box = nn.Sequential(nn.Linear(self.WIDTH, 64), nn.ReLU(), nn.Linear(64, 4))

    def stages(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Logits and boxes after each layer of the decoder."""
        memory = self.enter(self.backbone(x)[0]).flatten(2).transpose(1, 2)
        found, said = torch.zeros_like(self.queries).expand(x.shape[0], -1, -1), []
        for layer in self.layers:
            found = layer(found, memory, self.position, self.queries)
            said.append((self.classes(found), (self.points + self.box(found)).sigmoid()))
        return said

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.stages(x)[-1]

    def loss(self, x: Tensor, targets: Targets) -> Tensor:
        """Of the cheapest matching (Hungarian), after each layer."""
        total, weight = torch.zeros(()), torch.ones(C + 1)
        weight[C] = 0.2
        whole, classes = (torch.cat(each) for each in zip(*targets, strict=True))
        true = torch.cat([(whole[:, :2] + whole[:, 2:]) / 2, whole[:, 2:] - whole[:, :2]], 1) / SIZE
        ends = np.cumsum([0, *(len(own) for own, _ in targets)])
        for logits, boxes in self.stages(x):
            corners = torch.cat([boxes[..., :2] - boxes[..., 2:] / 2, boxes[..., :2] + boxes[..., 2:] / 2], 2)
            with torch.no_grad():
                flat = boxes.flatten(0, 1)
                match = overlap(corners.flatten(0, 1), whole / SIZE)
                cost = (
                    5 * torch.cdist(flat, true, p=1)
                    - 2 * match
                    - logits.softmax(2)[..., classes].flatten(0, 1)
                )
                cost = cost.reshape(*boxes.shape[:2], -1)
            chosen = [
                linear_sum_assignment(own[:, begin:end])
                for own, begin, end in zip(cost.numpy(), ends, ends[1:], strict=False)
            ]
            image = torch.arange(len(x)).repeat_interleave(torch.tensor([len(q) for q, _ in chosen]))
            query = torch.from_numpy(np.concatenate([q for q, _ in chosen]))
            owner = torch.from_numpy(np.concatenate([o + b for (_, o), b in zip(chosen, ends, strict=False)]))
            wanted = torch.full(logits.shape[:2], C)
            wanted[image, query] = classes[owner]
            pull = 5 * (boxes[image, query] - true[owner]).abs().sum()
            pull = pull + 2 * (1 - overlap(corners[image, query], whole[owner] / SIZE, paired=True)).sum()
            spoken = nn.functional.cross_entropy(logits.transpose(1, 2), wanted, weight)
            total = total + 2 * spoken + pull / len(owner)
        return total


def lattice(along: int) -> Tensor:
    """Points of a square of side 1, row by row, x and y, [along², 2]."""
    at = (torch.arange(along) + 0.5) / along
    return torch.stack(torch.meshgrid(at, at, indexing="xy"), -1).flatten(0, 1)


def waves(points: Tensor, width: int) -> Tensor:
    """Sines and cosines of both coordinates, [points, width]: what is near is alike."""
    turns = torch.pi * 2 ** torch.linspace(0, 3, width // 4)
    angles = points[:, :, None] * turns
    return torch.cat([angles.sin(), angles.cos()], 2).flatten(1)


class Decoder(nn.Module):
    """Attention among queries, then of queries to the features, then a dense part."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.own, self.cross = (Attention(width) for _ in range(2))
        self.dense = nn.Sequential(nn.Linear(width, 2 * width), nn.ReLU(), nn.Linear(2 * width, width))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))

    def forward(self, found: Tensor, memory: Tensor, position: Tensor, queries: Tensor) -> Tensor:
        one, two, three = self.norms
        found = one(found + self.own(found + queries, found + queries, found))
        found = two(found + self.cross(found + queries, memory + position, memory))
        result: Tensor = three(found + self.dense(found))
        return result


class Attention(nn.Module):
    """Of four heads."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.k.load_state_dict(self.q.state_dict())  # what is alike is looked at

    def forward(self, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        q, k, v = (
            layer(part).unflatten(2, (4, -1)).transpose(1, 2)
            for layer, part in ((self.q, queries), (self.k, keys), (self.v, values))
        )
        weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(3)
        result: Tensor = self.out((weights @ v).transpose(1, 2).flatten(2))
        return result
