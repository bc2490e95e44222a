"""Configurations as they are published with real models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.hugging_face import hugging_face_steps, is_hugging_face
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.settings import Settings

BASE = Preprocess("RGB", "NCHW", resize=(99, 99), scale=9.0)
HALF = [0.5, 0.5, 0.5]
VIT = {
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "ViTFeatureExtractor",
    "image_mean": HALF,
    "image_std": HALF,
    "resample": 2,
    "size": 224,
}
CLIP = {
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}
RESNET = {**VIT, "feature_extractor_type": "ConvNextFeatureExtractor", "crop_pct": 0.875, "resample": 3}
MOBILENET = {
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": HALF,
    "image_processor_type": "MobileNetV2ImageProcessor",
    "image_std": HALF,
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "size": {"shortest_edge": 256},
}


def steps(config: dict[str, Any], **changes: Any) -> Preprocess:
    settings = Settings({**config, **changes}, Path("preprocessor_config.json"))
    assert is_hugging_face(settings)
    return hugging_face_steps(settings, BASE)


def test_vit_resizes_to_a_square() -> None:
    expected = Preprocess("RGB", "NCHW", (224, 224), 2, None, 1 / 255, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert steps(VIT) == expected
    assert steps(VIT, size={"height": 200, "width": 100}).resize == (200, 100)


def test_clip_and_mobilenet_resize_the_shorter_side_and_crop() -> None:
    clip, mobilenet = steps(CLIP), steps(MOBILENET)
    assert (clip.resize, clip.crop, clip.resample) == (224, (224, 224), 3)
    assert (mobilenet.resize, mobilenet.crop) == (256, (224, 224))
    assert steps(CLIP, default_to_square=True).resize == (224, 224)


def test_crop_pct_is_the_fraction_left_below_384_and_a_square_from_there() -> None:
    assert (steps(RESNET).resize, steps(RESNET).crop) == (256, (224, 224))
    assert steps(RESNET, crop_pct=None).resize == 256
    assert steps(RESNET, size={"shortest_edge": 384}).resize == (384, 384)


def test_steps_that_are_switched_off() -> None:
    off = steps(MOBILENET, do_resize=False, do_center_crop=False, do_rescale=False, do_normalize=False)
    assert off == Preprocess("RGB", "NCHW")


def test_flipped_channels() -> None:
    assert steps({"do_flip_channel_order": True, "size": 8}).channels == "BGR"


def test_the_whole_way_of_one_image() -> None:
    """Worked by hand: 8 × 4 pixels, the shorter side to 4, its 2 × 2 centre, scaled and normalised."""
    pixels = np.arange(32, dtype=np.uint8).reshape(4, 8)
    image = Image.fromarray(np.stack([pixels] * 3, axis=-1))
    made = steps(MOBILENET, size={"shortest_edge": 4}, crop_size=2).apply(image)
    expected = (np.array([[11, 12], [19, 20]], np.float32) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(made, np.stack([expected] * 3), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"do_pad": True}, "'do_pad' is True, expected false"),
        ({"include_top": True}, "'include_top' is True, expected false"),
        ({"do_resize": "yes"}, "expected true or false"),
        ({"size": None}, "'size' is None, expected pixels, since do_resize"),
        ({"size": {"longest_edge": 8}}, "'size' is"),
        ({"size": {"shortest_edge": 0}}, "'shortest_edge' is 0"),
        ({"crop_size": None}, "since do_center_crop is true"),
        ({"image_std": None}, "since do_normalize is true"),
        ({"image_std": [0.5, 0.5, 0]}, "one positive number"),
        ({"resample": "bicubic"}, "Pillow filter"),
        ({"resample": 6}, "Pillow filter"),
        ({"resample": True}, "Pillow filter"),
        ({"rescale_factor": 0}, "a positive number"),
    ],
)
def test_settings_that_are_not_understood(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        steps(MOBILENET, **changes)
