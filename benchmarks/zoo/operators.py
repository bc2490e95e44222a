"""Ops that torch's exporters write for less common code: scatters, look-ups, running sums, einsums."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.architecture import CLASSES, Architecture, floats, image


class Between(nn.Module):
    """A convolution, something, a dense layer over all that it makes."""

    def __init__(self, something: Callable[[Tensor], Tensor], width: int) -> None:
        super().__init__()
        self.something = something
        self.first, self.head = nn.Conv2d(3, 4, 3, 4, 1), nn.Linear(width, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.something(self.first(x)).flatten(1))


class Experts(nn.Module):
    """A mixture of experts as dense einsums, gated by the softmax of their scores."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(8, 3)
        self.up, self.down = nn.Parameter(torch.ones(3, 8, 12)), nn.Parameter(torch.ones(3, 12, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(torch.einsum("ni,eio->neo", x, self.up))
        outputs = torch.einsum("neo,eoc->nec", inner, self.down)
        return torch.einsum("ne,nec->nc", self.gate(x).softmax(1), outputs)


class Bilinear(nn.Module):
    """Second-order pooling: products of all channels at every place, summed (Lin et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 3, 4), nn.Conv2d(3, 5, 3, 4)
        self.head = nn.Linear(20, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        pooled = torch.einsum("nahw,nbhw->nab", self.left(x).relu(), self.right(x).relu())
        return self.head(pooled.flatten(1))


def replaced(x: Tensor) -> Tensor:
    """Some channels of a copy are set to others: ScatterND."""
    y = x.clone()
    y[:, :2] = torch.tanh(x[:, 2:])
    return y


def at_points(x: Tensor) -> Tensor:
    """Looked up at places: GatherND by torch.export, Gather of a flattened tensor by TorchScript."""
    return x[:, :, torch.tensor([0, 3, 5]), torch.tensor([1, 2, 7])]


def picked(x: Tensor) -> Tensor:
    return x.gather(1, torch.arange(4).flip(0).view(1, 4, 1, 1).expand(x.shape[0], 4, 8, 8))


def scattered(x: Tensor) -> Tensor:
    index = torch.tensor([2, 0]).view(1, 2, 1, 1).expand(x.shape[0], 2, 8, 8)
    return x.scatter(1, index, x[:, 1:3].sigmoid())


def summed_at(x: Tensor) -> Tensor:
    index = torch.tensor([2, 0, 2, 1]).view(1, 4, 1, 1).expand(x.shape[0], 4, 8, 8)
    return torch.zeros_like(x).scatter_add(1, index, x)


def waves(x: Tensor) -> Tensor:
    return torch.cat([x.sin(), x.cos(), 1 / (x.abs() + 1), (-x).exp().log1p()], 1)


def extremes(x: Tensor) -> Tensor:
    return torch.cat([x.amin((2, 3)), x.amax(3).flatten(1), torch.minimum(x, x.tanh()).sum((2, 3))], 1)


#: name -> what happens between convolution and dense layer, and how much it makes
BETWEEN: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "log-softmax": (lambda x: functional.log_softmax(x, 1), 256),
    "cumsum": (lambda x: x.cumsum(2), 256),
    "scatter-nd": (replaced, 256),
    "gather-nd": (at_points, 12),
    "gather-elements": (picked, 256),
    "scatter-elements": (scattered, 256),
    "scatter-add": (summed_at, 256),
    "triangular": (lambda x: x.tril(), 256),
    "tile": (lambda x: x.relu().repeat(1, 2, 1, 1), 512),
    "waves": (waves, 1024),
    "extremes": (extremes, 40),
    "pixel-shuffle": (lambda x: functional.pixel_shuffle(x, 2), 256),
    "roll-flip": (lambda x: x.roll(1, 2).flip(3), 256),
    "unfold": (lambda x: functional.unfold(x, 3, stride=2), 324),
    "clamp-where": (lambda x: torch.where(x > 0.2, x.clamp(max=0.8), x * 0.1), 256),
    "upsample": (lambda x: functional.interpolate(x, scale_factor=2, mode="nearest"), 1024),
    "lp-pool": (lambda x: functional.lp_pool2d(x, 2.0, 2), 64),
    "hard-sigmoid": (lambda x: functional.hardsigmoid(x) * 2, 256),
    "l1-norm": (lambda x: x.norm(p=1, dim=1), 64),
    "l2-norm": (lambda x: x.norm(dim=1), 64),
}

ARCHITECTURES = [
    *(
        Architecture(name, partial(Between, something, width), image, dynamic=name == "cumsum")
        for name, (something, width) in BETWEEN.items()
    ),
    Architecture("experts", Experts, floats(8)),
    Architecture("bilinear", Bilinear, image),
]
