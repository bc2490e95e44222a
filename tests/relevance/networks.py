"""Whole networks with random weights, as torch modules."""

import sys

import pytest

from tests.sample_paths import SAMPLES

torch = pytest.importorskip("torch")
nn = torch.nn
sys.path.insert(0, str(SAMPLES))

from architectures import ResidualBlock  # noqa: E402


def resnet18() -> nn.Module:  # type: ignore[name-defined]
    blocks, inputs = [], 64
    for index, width in enumerate((64, 128, 256, 512)):
        blocks += [ResidualBlock(inputs, width, 1 if index == 0 else 2), ResidualBlock(width, width, 1)]
        inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Transformer(nn.Module):  # type: ignore[misc, name-defined]
    """Tokens (of patches, or embedded ids) → two encoder layers → mean → head."""

    def __init__(self, tokens: nn.Module, length: int, width: int = 32) -> None:  # type: ignore[name-defined]
        super().__init__()
        self.tokens = tokens
        self.position = nn.Parameter(torch.randn(1, length, width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.norm(self.encoder(self.tokens(x) + self.position)).mean(1))


class Patches(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 32, 8, 8)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.project(x).flatten(2).transpose(1, 2)


class DenseBlock(nn.Module):  # type: ignore[misc, name-defined]
    """Every layer sees what all before it made (Huang et al. 2017)."""

    def __init__(self, inputs: int, layers: int, growth: int = 4) -> None:
        super().__init__()
        widths = [inputs + growth * i for i in range(layers)]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.BatchNorm2d(w), nn.ReLU(), nn.Conv2d(w, growth, 3, 1, 1, bias=False))
            for w in widths
        )

    def forward(self, x):  # type: ignore[no-untyped-def]
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


def densenet() -> nn.Module:  # type: ignore[name-defined]
    transition = [nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 1), nn.AvgPool2d(2)]
    head = [nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10)]
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), DenseBlock(8, 2), *transition, DenseBlock(8, 2), *head)


class ShuffleUnit(nn.Module):  # type: ignore[misc, name-defined]
    """Half of the channels pass; the others are convolved, and both are shuffled (Ma et al. 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        half = width // 2
        self.branch = nn.Sequential(
            nn.Conv2d(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(),
            nn.Conv2d(half, half, 3, 1, 1, groups=half), nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 1), nn.BatchNorm2d(half), nn.ReLU(),
        )  # fmt: skip

    def forward(self, x):  # type: ignore[no-untyped-def]
        kept, changed = x.chunk(2, 1)
        n, c, h, w = x.shape
        x = torch.cat([kept, self.branch(changed)], 1)
        return x.view(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)


def shufflenet() -> nn.Module:  # type: ignore[name-defined]
    stem = [nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10)]
    return nn.Sequential(*stem, ShuffleUnit(12), ShuffleUnit(12), *head)


class UNet(nn.Module):  # type: ignore[misc, name-defined]
    """Down, up by a transposed convolution, up by interpolation, with skips (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 6, 3, 1, 1), nn.Conv2d(6, 8, 3, 1, 1)
        self.deepest = nn.Conv2d(8, 8, 3, 1, 1)
        self.up, self.norm = nn.ConvTranspose2d(8, 8, 2, 2), nn.BatchNorm2d(8)
        self.third, self.fourth = nn.Conv2d(16, 6, 3, 1, 1), nn.Conv2d(12, 4, 3, 1, 1)
        self.head = nn.Linear(4, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        pool, resize = nn.functional.max_pool2d, nn.functional.interpolate
        first = self.first(x).relu()
        second = self.second(pool(first, 2)).relu()
        deepest = self.deepest(pool(second, 2)).relu()
        x = torch.cat([self.norm(self.up(deepest)).relu(), second], 1)
        x = resize(self.third(x).relu(), scale_factor=2, mode="bilinear", align_corners=False)
        return self.head(self.fourth(torch.cat([x, first], 1)).relu().mean((2, 3)))


class Recurrent(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True), nn.Linear(12, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.layer(x)[0].mean(1))


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:  # type: ignore[name-defined]
    """Name -> network and an input. Statistics of the smaller ones' normalisations are random, too."""
    torch.manual_seed(0)
    found = {
        "ResNet-18": (resnet18(), torch.randn(2, 3, 96, 96)),
        "ViT": (Transformer(Patches(), 16), torch.randn(2, 3, 32, 32)),
        "text": (Transformer(nn.Embedding(50, 32), 9), torch.randint(50, (2, 9))),
        "LSTM": (Recurrent(), torch.randn(2, 7, 5)),
        "DenseNet": (densenet(), torch.randn(2, 3, 16, 16)),
        "ShuffleNet": (shufflenet(), torch.randn(2, 3, 32, 32)),
        "U-Net": (UNet(), torch.randn(2, 3, 16, 16)),
    }
    for small in ("DenseNet", "ShuffleNet", "U-Net"):
        for name, value in found[small][0].named_buffers():
            if name.endswith("running_mean"):
                value.normal_(0, 0.2)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
    return found
