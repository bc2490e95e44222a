"""Ops that torch never writes, but other exporters (Caffe, CNTK, Keras, Paddle) do.

The network computes them in torch; the TorchScript exporter is told to write the op. The other exporter sees
the computation itself.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from zoo.architecture import CLASSES, Architecture, image


class Foreign(nn.Module):
    """f in torch; `op` with these attributes (named as in `Graph.op`: alpha_f, size_i) in the file."""

    def __init__(self, op: str, f: Callable[[Tensor], Tensor], copies: int = 1, **attributes: Any) -> None:
        super().__init__()
        self.f = f

        class Written(torch.autograd.Function):
            @staticmethod
            def symbolic(g: Any, x: Any) -> Any:
                return g.op(op, *[x] * copies, **attributes)

            @staticmethod
            def forward(ctx: Any, x: Tensor) -> Tensor:
                return f(x)

        self.written = Written

    def forward(self, x: Tensor) -> Tensor:
        if torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            result: Tensor = self.written.apply(x)  # type: ignore[no-untyped-call]
            return result
        return self.f(x)


def network(make: Callable[[], tuple[nn.Module, int]]) -> nn.Module:
    between, width = make()
    first = [nn.Conv2d(3, 4, 3, 4, 1), nn.Softplus()]
    return nn.Sequential(*first, between, nn.Flatten(), nn.Linear(width, CLASSES))


def space_to_depth(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.view(n, c, h // 2, 2, w // 2, 2).permute(0, 3, 5, 1, 2, 4).reshape(n, 4 * c, h // 2, w // 2)


def standardised(x: Tensor) -> Tensor:
    d = x - x.mean((2, 3), keepdim=True)
    return d / ((d * d).mean((2, 3), keepdim=True).sqrt() + 1e-9)


#: op -> module, and how much it makes of [n, 4, 8, 8]
MODULES: dict[str, Callable[[], tuple[nn.Module, int]]] = {
    "LRN": lambda: (
        Foreign(
            "LRN",
            lambda x: functional.local_response_norm(x, 3, 0.5, 0.75, 2.0),
            size_i=3,
            alpha_f=0.5,
            beta_f=0.75,
            bias_f=2.0,
        ),
        256,
    ),
    "LpPool": lambda: (
        Foreign(
            "LpPool",
            lambda x: functional.lp_pool2d(x, 2.0, 2),
            kernel_shape_i=[2, 2],
            strides_i=[2, 2],
            p_i=2,
        ),
        64,
    ),
    "GlobalLpPool": lambda: (
        Foreign("GlobalLpPool", lambda x: x.pow(2).sum((2, 3), keepdim=True).sqrt(), p_i=2),
        4,
    ),
    "LpNormalization": lambda: (
        Foreign("LpNormalization", lambda x: functional.normalize(x, dim=1), axis_i=1, p_i=2),
        256,
    ),
    "MeanVarianceNormalization": lambda: (
        Foreign("MeanVarianceNormalization", standardised, axes_i=[2, 3]),
        256,
    ),
    "SpaceToDepth": lambda: (Foreign("SpaceToDepth", space_to_depth, blocksize_i=2), 256),
    "ThresholdedRelu": lambda: (
        Foreign("ThresholdedRelu", lambda x: functional.threshold(x, 0.7, 0.0), alpha_f=0.7),
        256,
    ),
    "Celu": lambda: (
        nn.Sequential(nn.Conv2d(4, 4, 1), Foreign("Celu", lambda x: functional.celu(x, 1.3), alpha_f=1.3)),
        256,
    ),
    "Softsign": lambda: (Foreign("Softsign", functional.softsign), 256),
    "Dropout": lambda: (Foreign("Dropout", lambda x: x), 256),
    "CastLike": lambda: (Foreign("CastLike", lambda x: x, copies=2), 256),
    "Sum": lambda: (Foreign("Sum", lambda x: 3 * x, copies=3), 256),
    "Mean": lambda: (Foreign("Mean", lambda x: x, copies=2), 256),
}

ARCHITECTURES = [
    Architecture(f"foreign-{name}", partial(network, make), image) for name, make in MODULES.items()
]
