"""Classifiers of the field's sizes, random weights: 1,000 classes, images of 224 × 224, a BERT of 128 tokens.

The normalisations know the batch they are given, so that values keep their size through all layers: what
vanishes is slower to compute on some processors, and no network that somebody trained does it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from real.networks import Bottleneck, Patches

CLASSES = 1000
IMAGE = (3, 224, 224)


class Classifier(nn.Module):
    """body: [N, …] -> [N, width, 1, 1] or [N, width]. The last layers: after a flatten that is no module."""

    def __init__(self, body: nn.Module, *head: nn.Module) -> None:
        super().__init__()
        self.body, self.head = body, nn.Sequential(*head)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).flatten(1))


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, act: bool = True
) -> list[nn.Module]:
    """A convolution, its normalisation, ReLU6."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [conv, nn.BatchNorm2d(outputs), *([nn.ReLU6()] if act else [])]


class Inverted(nn.Module):
    """MobileNetV2's block (Sandler et al. 2018): widened, each channel filtered alone, narrowed."""

    def __init__(self, inputs: int, outputs: int, stride: int, widen: int, kernel: int) -> None:
        super().__init__()
        inner = inputs * widen
        self.body = nn.Sequential(
            *(conv_norm(inputs, inner, 1) if widen > 1 else ()),
            *conv_norm(inner, inner, kernel, stride, inner),
            *conv_norm(inner, outputs, 1, act=False),
        )
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x) if self.residual else self.body(x)


def _inverted(stages: tuple[tuple[int, int, int, int, int], ...]) -> Classifier:
    """stages: (times wider inside, channels, blocks, stride, kernel) each."""
    body, inputs = conv_norm(3, 32, 3, 2), 32
    for widen, outputs, count, stride, kernel in stages:
        for place in range(count):
            body.append(Inverted(inputs, outputs, 1 if place else stride, widen, kernel))
            inputs = outputs
    body += [*conv_norm(inputs, 1280, 1), nn.AdaptiveAvgPool2d(1)]
    return Classifier(nn.Sequential(*body), nn.Linear(1280, CLASSES))


def mobilenet_v2() -> nn.Module:
    return _inverted(
        (
            *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 32, 3, 2, 3), (6, 64, 4, 2, 3)),
            *((6, 96, 3, 1, 3), (6, 160, 3, 2, 3), (6, 320, 1, 1, 3)),
        )
    )


def efficientnet_lite0() -> nn.Module:
    """EfficientNet-B0 (Tan and Le 2019) without squeezing and with ReLU6."""
    return _inverted(
        (
            *((1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3)),
            *((6, 112, 3, 1, 5), (6, 192, 4, 2, 5), (6, 320, 1, 1, 3)),
        )
    )


def vgg16() -> nn.Module:
    """Simonyan and Zisserman 2014, without normalisations."""
    body, inputs = list[nn.Module](), 3
    for width, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            body += [nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU()]
            inputs = width
        body.append(nn.MaxPool2d(2))
    dense = [nn.Linear(512 * 49, 4096), nn.ReLU(), nn.Linear(4096, 4096), nn.ReLU()]
    return Classifier(nn.Sequential(*body), *dense, nn.Linear(4096, CLASSES))


def resnet50() -> nn.Module:
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    blocks, inputs = list[nn.Module](), 64
    for index, (width, count) in enumerate(((256, 3), (512, 4), (1024, 6), (2048, 3))):
        for place in range(count):
            blocks.append(Bottleneck(inputs, width, 2 if index and not place else 1))
            inputs = width
    return Classifier(nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1)), nn.Linear(2048, CLASSES))


class Tokens(nn.Module):
    """Dosovitskiy et al. 2020; GELU as a module of its own, where others put their rules."""

    def __init__(self, width: int, heads: int, depth: int) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, 0.0, nn.GELU(), batch_first=True, norm_first=True
        )
        self.patches = Patches(width)
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.encoder(self.patches(x)))[:, 0]


def vit_s16() -> nn.Module:
    return Classifier(Tokens(384, 6, 12), nn.Linear(384, CLASSES))


class Bert(nn.Module):
    """BERT-base (Devlin et al. 2018) from the vectors of 128 tokens on. model: of which library's making."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return self.model(inputs_embeds=x).logits


def bert_base() -> nn.Module:
    """Raises ImportError without transformers."""
    import transformers

    make: Any = transformers.BertForSequenceClassification
    return Bert(make._from_config(transformers.BertConfig(), attn_implementation="eager"))


def settled(network: nn.Module, x: Tensor) -> nn.Module:
    """Convolutions as large as He et al. draw them, normalisations to the batch; ready for use."""
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    for norm in norms:
        norm.momentum = 1.0
        norm.train()
    network.requires_grad_(False)
    if norms:
        network(x)
    return network.eval()


#: title -> the network, and the shape of a batch that takes tenths of seconds
NETWORKS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "VGG-16": (vgg16, (1, *IMAGE)),
    "ResNet-50": (resnet50, (2, *IMAGE)),
    "MobileNetV2": (mobilenet_v2, (8, *IMAGE)),
    "EfficientNet-Lite0": (efficientnet_lite0, (8, *IMAGE)),
    "ViT-S/16": (vit_s16, (4, *IMAGE)),
    "BERT-base, 128 tokens": (bert_base, (2, 128, 768)),
}
