"""Preprocessor files as they are published, one or more of each class that is read, and images for them."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

REFERENCE = Path(__file__).parent.parent / "reference" / "preprocessing"

Config = dict[str, Any]

_HALF: Config = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
_IMAGENET: Config = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_CLIP: Config = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
_STEPS: Config = {"do_resize": True, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True}
_CROP: Config = {"do_center_crop": True, "crop_size": {"height": 224, "width": 224}}
_OLD_CROP: Config = {"do_center_crop": True, "crop_size": 224}  # as files were written until 2022
_UNCUT: Config = {"do_center_crop": False}
_SQUARE: Config = {"size": {"height": 224, "width": 224}}


def _short(side: int) -> Config:
    return {"size": {"shortest_edge": side}}


def _efficientnet(**changes: Any) -> Config:
    base = {"do_center_crop": False, "crop_size": {"height": 289, "width": 289}, "resample": 2, **_IMAGENET}
    return {**_STEPS, **base, **_SQUARE, "rescale_offset": False, "include_top": True, **changes}


_CASES: dict[tuple[str, str], Config] = {
    ("ViT", "old"): {"do_normalize": True, "do_resize": True, **_HALF, "resample": 2, "size": 224},
    ("ViT", "new"): {**_STEPS, **_IMAGENET, **_SQUARE, "resample": 3},
    ("ViT", "no mean"): {"do_resize": True, "size": 224, "resample": 2},
    ("Siglip", "new"): {**_STEPS, **_HALF, **_SQUARE, "resample": 3, "do_convert_rgb": None},
    ("Blip", "new"): {**_STEPS, **_CLIP, **_SQUARE, "resample": 3},
    ("Pvt", "new"): {**_STEPS, **_IMAGENET, **_SQUARE, "resample": 2},
    ("DeiT", "256"): {**_OLD_CROP, **_IMAGENET, "do_normalize": True, "resample": 3, "size": 256},
    ("Beit", "crop"): {**_OLD_CROP, **_HALF, "do_normalize": True, "resample": 3, "size": 256},
    ("Beit", "no crop"): {**_STEPS, **_CROP, **_HALF, **_SQUARE, **_UNCUT, "resample": 2},
    ("Bit", "DINOv2"): {**_STEPS, **_CROP, **_IMAGENET, **_short(256), "resample": 3},
    ("CLIP", "old"): {**_OLD_CROP, **_CLIP, "do_normalize": True, "resample": 3, "size": 224},
    ("CLIP", "warped"): {**_STEPS, **_IMAGENET, **_SQUARE, **_UNCUT, "resample": 3},
    ("Levit", "256 of 224"): {**_OLD_CROP, **_IMAGENET, "do_normalize": True, "resample": 3, "size": 224},
    ("PoolFormer", "0.95"): {**_CROP, **_IMAGENET, **_short(224), "resample": 3, "crop_pct": 0.95},
    ("PoolFormer", "0.9 left open"): {**_OLD_CROP, **_IMAGENET, "resample": 3, "size": 224},
    ("ConvNext", "ResNet"): {**_IMAGENET, "do_resize": True, "resample": 3, "size": 224, "crop_pct": 0.875},
    ("ConvNext", "left open"): {**_STEPS, **_IMAGENET, **_short(224), "resample": 3},
    ("ConvNext", "384"): {**_STEPS, **_IMAGENET, **_short(384), "resample": 3, "crop_pct": 0.875},
    ("EfficientNet", "include_top"): _efficientnet(),
    ("EfficientNet", "offset"): _efficientnet(rescale_factor=1 / 127.5, rescale_offset=True),
    ("EfficientNet", "crop"): _efficientnet(include_top=False, do_center_crop=True, size=346),
    ("MobileNetV1", "new"): {**_STEPS, **_CROP, **_HALF, **_short(256), "resample": 2},
    ("MobileNetV2", "new"): {**_STEPS, **_CROP, **_HALF, **_short(256), "resample": 2},
    ("MobileNetV2", "smaller than its crop"): {**_STEPS, **_HALF, "size": {"height": 161, "width": 160}},
    ("MobileViT", "old"): {"do_flip_channel_order": True, "resample": 2, "size": 288},
    ("MobileViT", "not flipped"): {"do_flip_channel_order": False, "resample": 3, "size": 256},
}  # fmt: skip

#: (class, case) -> settings. What a case is named after is what it is there for.
CASES = {(f"{name}ImageProcessor", case): config for (name, case), config in _CASES.items()}
CASES |= {(name, "all left open"): {} for name, _ in CASES}

_INPUT: Config = {"input_size": [3, 224, 224]}
#: case -> what timm writes into a model's config.json
TIMM: dict[str, Config] = {
    "center": {**_INPUT, "interpolation": "bicubic", "crop_pct": 0.9, "crop_mode": "center"},
    "squash": {**_INPUT, "interpolation": "bilinear", "crop_pct": 0.875, "crop_mode": "squash"},
    "left open": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
}  # fmt: skip


def images() -> dict[str, Image.Image]:
    """By name: wide, tall and odd sides, smaller than every crop, and grey."""
    with np.load(REFERENCE / "images.npz") as arrays:
        return {name: Image.fromarray(arrays[name]) for name in arrays.files}


def lattice(pixels: np.ndarray) -> np.ndarray:
    """Every so manieth pixel of [C, H, W], about 12 a side: enough to see any shift, scale or filter."""
    steps = (max(1, side // 12) for side in pixels.shape[1:])
    return pixels[(slice(None), *(slice(step // 2, None, step) for step in steps))]
