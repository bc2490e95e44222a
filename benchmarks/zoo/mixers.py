"""Networks on patches and tokens made of torch's own layers: mixers, gates and attention."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zoo.architecture import CLASSES, VOCABULARY, Architecture, floats, image, tokens

WIDTH, PATCHES = 12, 16


class Patches(nn.Module):
    """An image as [N, patches, width]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 8, 8)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x).flatten(2).transpose(1, 2)


class Mean(nn.Module):
    """The mean over the tokens."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


def _mlp(width: int, hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, width))


class MixerBlock(nn.Module):
    """An MLP over patches, then one over channels (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.patches, self.channels = _mlp(PATCHES, 10), _mlp(WIDTH, 20)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.patches(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.channels(self.norm2(x))


class GatedBlock(nn.Module):
    """gMLP: half of the channels gate the other half (Liu et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.gate_norm = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.widen, self.narrow = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mix = nn.Conv1d(PATCHES, PATCHES, 1)

    def forward(self, x: Tensor) -> Tensor:
        u, v = nn.functional.gelu(self.widen(self.norm(x))).chunk(2, -1)
        return x + self.narrow(u * self.mix(self.gate_norm(v)))


class ClassToken(nn.Module):
    """Prepend a learned token and add positions."""

    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, PATCHES + 1, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.positions


class First(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x[:, 0]


def encoder(norm_first: bool) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        WIDTH, 3, 20, batch_first=True, norm_first=norm_first, activation="gelu"
    )
    return nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)


def vit() -> nn.Module:
    return nn.Sequential(
        Patches(), ClassToken(), encoder(True), nn.LayerNorm(WIDTH), First(), nn.Linear(WIDTH, CLASSES)
    )


def mixer() -> nn.Module:
    return nn.Sequential(
        Patches(), MixerBlock(), MixerBlock(), nn.LayerNorm(WIDTH), Mean(), nn.Linear(WIDTH, CLASSES)
    )


def gmlp() -> nn.Module:
    return nn.Sequential(
        Patches(), GatedBlock(), GatedBlock(), nn.LayerNorm(WIDTH), Mean(), nn.Linear(WIDTH, CLASSES)
    )


def text_encoder() -> nn.Module:
    return nn.Sequential(nn.Embedding(VOCABULARY, WIDTH), encoder(False), Mean(), nn.Linear(WIDTH, CLASSES))


class EinsumAttention(nn.Module):
    """Attention written with einsum, cosine similarities and a learned query (attention pooling)."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(3, 8))
        self.keys, self.values = nn.Linear(4, 8), nn.Linear(4, 8)
        self.head = nn.Linear(24, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        keys = nn.functional.normalize(self.keys(x), dim=-1)
        weights = torch.einsum("qd,ntd->nqt", self.query, keys).mul(3).softmax(-1)
        return self.head(torch.einsum("nqt,ntd->nqd", weights, self.values(x)).flatten(1))


class CrossAttention(nn.Module):
    """nn.MultiheadAttention with learned queries."""

    def __init__(self) -> None:
        super().__init__()
        self.queries = nn.Parameter(torch.zeros(2, WIDTH))
        self.project = nn.Linear(4, WIDTH)
        self.attention = nn.MultiheadAttention(WIDTH, 3, batch_first=True)
        self.head = nn.Linear(2 * WIDTH, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = self.project(x)
        y, _ = self.attention(self.queries.expand(x.shape[0], -1, -1), x, x, need_weights=False)
        return self.head(y.flatten(1))


ARCHITECTURES = [
    Architecture("mlp-mixer", mixer, image),
    Architecture("gmlp", gmlp, image),
    Architecture("torch-vit", vit, image, dynamic=True),
    Architecture("torch-text-encoder", text_encoder, tokens, lambda m: m.get_submodule("0")),
    Architecture("einsum-attention", EinsumAttention, floats(9, 4)),
    Architecture("cross-attention", CrossAttention, floats(9, 4)),
]
