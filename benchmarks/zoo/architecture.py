"""What a family module hands over: how to build a network, and what to feed it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLASSES = 5
BATCH = 2
VOCABULARY = 61
TOKENS = 9


@dataclass(frozen=True)
class Architecture:
    """One network.

    inputs: batch size -> named inputs, in the order of `forward`. token_layer: module -> the embedding whose
    output relevance goes to; None if the network has one float input and relevance goes to that.
    keep_batch_norm: export without folding normalisations into convolutions. dynamic: also export with a
    free batch axis (one network of each family).
    """

    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[int], dict[str, Tensor]]
    token_layer: Callable[[nn.Module], nn.Module] | None = None
    keep_batch_norm: bool = False
    dynamic: bool = False

    def network(self) -> nn.Module:
        """The network with the same random weights every time."""
        torch.manual_seed(zlib.crc32(self.name.encode()))
        network = self.build().eval()
        scramble(network)
        return network.requires_grad_(False)


def scramble(network: nn.Module) -> None:
    """Random values for every parameter and running statistic.

    What libraries initialise with hides mistakes: biases of 0, normalisations that are the identity, layer
    scales of 1e-6, weights so small that attention is uniform and all logits equal.
    """
    with torch.no_grad():
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.2)
        for name, value in network.named_parameters():
            if value.ndim > 1:
                fan_in = value[0].numel() if value.shape[0] > 1 else 4
                value.normal_(0, (2 / max(fan_in, 4)) ** 0.5)
            elif value.ndim == 1 and not name.endswith("bias"):
                value.uniform_(0.5, 1.5)
            else:
                value.normal_(0, 0.2)


class SqueezeExcite(nn.Module):
    """Weigh channels by a small network of their means (Hu et al. 2018)."""

    def __init__(
        self, width: int, gate: nn.Module | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(width, max(width // 4, 4), 1), activation or nn.ReLU(),
            nn.Conv2d(max(width // 4, 4), width, 1), gate or nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return x * self.body(x)


def image(batch: int, channels: int = 3, size: int = 32) -> dict[str, Tensor]:
    return {"x": torch.randn(batch, channels, size, size)}


def floats(*shape: int) -> Callable[[int], dict[str, Tensor]]:
    """One float input `x` of this shape behind the batch axis."""
    return lambda batch: {"x": torch.randn(batch, *shape)}


def tokens(batch: int) -> dict[str, Tensor]:
    return {"input_ids": torch.randint(3, VOCABULARY, (batch, TOKENS))}


def masked_tokens(batch: int) -> dict[str, Tensor]:
    """Token ids, all but the first sample padded (id 0) by two."""
    ids = torch.randint(3, VOCABULARY, (batch, TOKENS))
    mask = torch.ones(batch, TOKENS, dtype=torch.int64)
    ids[1:, -2:], mask[1:, -2:] = 0, 0
    return {"input_ids": ids, "attention_mask": mask}
