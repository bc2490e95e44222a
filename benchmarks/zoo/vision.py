"""Image classifiers of the transformers library, tiny and with random weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import transformers
from torch import Tensor, nn

from zoo.architecture import CLASSES, Architecture, image


class ImageClassifier(nn.Module):
    """The library's model with one input and the logits as its only output."""

    def __init__(self, name: str, attention: str | None, **options: Any) -> None:
        super().__init__()
        config = getattr(transformers, f"{name}Config")(num_labels=CLASSES, **options)
        model = getattr(transformers, f"{name}ForImageClassification")
        extra = {"attn_implementation": attention} if attention else {}
        self.model = model._from_config(config, **extra)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(pixel_values=x).logits


def _builder(name: str, attention: str | None, options: dict[str, Any]) -> Callable[[], nn.Module]:
    return lambda: ImageClassifier(name, attention, **options)


_VIT: dict[str, Any] = {
    "hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 20,
    "image_size": 32, "patch_size": 8,
}  # fmt: skip
_STAGES: dict[str, Any] = {"hidden_sizes": [8, 12], "depths": [1, 1]}
_SWIN: dict[str, Any] = {
    "image_size": 32, "patch_size": 4, "embed_dim": 8, "depths": [2, 2], "num_heads": [2, 2],
    "window_size": 4,
}  # fmt: skip
#: with a choice of attention implementations
ATTENTION: dict[str, dict[str, Any]] = {
    "ViT": _VIT,
    "DeiT": _VIT,
    "Beit": {**_VIT, "use_relative_position_bias": True, "use_mean_pooling": True},
    "Dinov2": {**_VIT, "mlp_ratio": 2},
}
#: with one attention implementation, or none
OTHERS: dict[str, dict[str, Any]] = {
    "Swin": _SWIN,
    "Swinv2": _SWIN,
    "ConvNextV2": {"num_stages": 2, "image_size": 32, **_STAGES},
    "MobileViT": {
        "image_size": 32, "hidden_sizes": [8, 12, 16], "neck_hidden_sizes": [4, 4, 6, 8, 8, 8, 12],
        "num_attention_heads": 2, "mlp_ratio": 2.0, "patch_size": 2,
    },
    "PoolFormer": {
        "hidden_sizes": [8, 12], "depths": [1, 1], "patch_sizes": [7, 3], "strides": [4, 2],
        "padding": [2, 1], "num_encoder_blocks": 2,
    },
    "ResNet": {"embedding_size": 8, "layer_type": "bottleneck", **_STAGES},
    "RegNet": {"embedding_size": 8, "groups_width": 4, **_STAGES},
    "EfficientNet": {
        "image_size": 32, "width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 320,
        "kernel_sizes": [3, 5], "in_channels": [32, 16], "out_channels": [16, 24], "depthwise_padding": [],
        "strides": [1, 2], "num_block_repeats": [1, 2], "expand_ratios": [1, 3],
    },
    "MobileNetV1": {"image_size": 32, "depth_multiplier": 0.25, "min_depth": 4},
    "MobileNetV2": {"image_size": 32, "depth_multiplier": 0.25, "min_depth": 4, "expand_ratio": 2},
    "Levit": {
        "image_size": 64, "hidden_sizes": [16, 24, 32], "num_attention_heads": [2, 2, 2], "depths": [1, 1, 1],
        "key_dim": [4, 4, 4], "drop_path_rate": 0, "mlp_ratio": [2, 2, 2], "attention_ratio": [2, 2, 2],
    },
    "Cvt": {
        "embed_dim": [8, 12, 16], "num_heads": [1, 2, 2], "depth": [1, 2, 3], "mlp_ratio": [2.0, 2.0, 2.0],
        "drop_path_rate": [0.0, 0.0, 0.0],
    },
    "Bit": {"embedding_size": 8, "num_groups": 4, "hidden_sizes": [16, 32], "depths": [1, 1]},
    "FocalNet": {
        "image_size": 32, "patch_size": 4, "embed_dim": 8, "hidden_sizes": [8, 16], "depths": [1, 1],
        "focal_levels": [2, 2], "focal_windows": [3, 3],
    },
    "SwiftFormer": {"image_size": 64, "depths": [1, 1, 1, 1], "embed_dims": [8, 12, 16, 20], "mlp_ratio": 2},
    "PvtV2": {
        "image_size": 32, "num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1],
        "hidden_sizes": [8, 12], "patch_sizes": [7, 3], "strides": [4, 2], "num_attention_heads": [1, 2],
        "mlp_ratios": [2, 2],
    },
    "Segformer": {
        "num_encoder_blocks": 2, "depths": [1, 1], "sr_ratios": [2, 1],
        "hidden_sizes": [8, 12], "patch_sizes": [7, 3], "strides": [4, 2], "num_attention_heads": [1, 2],
        "mlp_ratios": [2, 2],
    },
}  # fmt: skip
_DYNAMIC = {"Swin", "MobileViT", "Levit"}
#: of `OTHERS`, those with five reductions: they need a larger image than 32×32
_SIZES = {"MobileViT": 64, "Levit": 64, "SwiftFormer": 64, "Bit": 64, "MobileNetV2": 64, "MobileNetV1": 64}


def _sized(size: int) -> Callable[[int], dict[str, Tensor]]:
    return lambda batch: image(batch, size=size)


ARCHITECTURES = [
    *(
        Architecture(f"{name}-{attention}", _builder(name, attention, options), image, dynamic=name == "ViT")
        for name, options in ATTENTION.items()
        for attention in ("eager", "sdpa")
    ),
    *(
        Architecture(
            name, _builder(name, None, options), _sized(_SIZES.get(name, 32)), dynamic=name in _DYNAMIC
        )
        for name, options in OTHERS.items()
    ),
]
