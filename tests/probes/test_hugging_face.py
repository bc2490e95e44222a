"""Which class a preprocessor file means, and who reads it."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.hugging_face import hugging_face_steps, is_hugging_face
from onnxunlearn.probes.preprocess import Preprocess, Preprocessor
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.transformers_library import LibraryProcessor, library_version

from .tiny_models import assert_one_line

BASE = Preprocess("RGB", "NCHW", resize=(99, 99), scale=9.0)
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


@pytest.fixture
def no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)


def read(config: dict[str, Any], path: Path = Path("preprocessor_config.json")) -> Preprocessor:
    settings = Settings(config, path)
    assert is_hugging_face(settings)
    return hugging_face_steps(settings, BASE)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("DeiTImageProcessor", "image_processor_type"),
        ("DeiTImageProcessorFast", "image_processor_type"),
        ("DeiTImageProcessorPil", "image_processor_type"),
        ("DeiTFeatureExtractor", "image_processor_type"),
        ("DeiTFeatureExtractor", "feature_extractor_type"),
    ],
)
def test_the_class_by_all_its_names(name: str, key: str) -> None:
    steps = read({key: name, "size": 256, "resample": 3, "crop_size": 224, **HALF})
    expected = Preprocess("RGB", "NCHW", (256, 256), 3, (224, 224), 1 / 255, (0.5,) * 3, (0.5,) * 3)
    assert steps == expected


@pytest.mark.usefixtures("no_library")
def test_the_class_decides_what_the_same_words_mean() -> None:
    """Resize and crop of `size: 224, crop_size: 224`: worked by hand from each class's documentation."""
    words = {"size": 224, "crop_size": 224, "do_center_crop": True, "crop_pct": 0.875}
    square, cut = (224, 224), (224, 224)
    expected = {
        "ViT": (square, cut),
        "DeiT": (square, cut),
        "Beit": (square, cut),
        "CLIP": (224, cut),
        "MobileNetV2": (224, cut),
        "Levit": (256, cut),
        "PoolFormer": (256, cut),
        "ConvNext": (256, cut),
        "EfficientNet": (square, cut),
    }
    for name, (resize, crop) in expected.items():
        steps = read({"image_processor_type": f"{name}ImageProcessor", **words})
        assert isinstance(steps, Preprocess)
        assert (steps.resize, steps.crop) == (resize, crop), name


@pytest.mark.usefixtures("no_library")
def test_settings_inside_a_processor_config() -> None:
    inner = {"image_processor_type": "ViTImageProcessor", "size": {"height": 8, "width": 9}}
    steps = read({"image_processor": inner, "processor_class": "CLIPProcessor"})
    assert isinstance(steps, Preprocess)
    assert steps.resize == (8, 9)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize(("model", "resize"), [("swin", (32, 32)), ("resnet", 36), ("dinov2", 32)])
def test_a_file_without_a_class_takes_that_of_the_model_beside(
    tmp_path: Path, model: str, resize: object
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model}))
    steps = read({"size": 32, "do_resize": True}, tmp_path / "preprocessor_config.json")
    assert isinstance(steps, Preprocess)
    assert steps.resize == resize


@pytest.mark.parametrize("config", [None, {"model_type": "mystery"}, {}, []])
def test_a_file_without_a_class_and_no_model_that_tells(tmp_path: Path, config: Any) -> None:
    if config is not None:
        (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r'names no processor class.*add "image_processor_type"') as raised:
        read({"size": 32, "do_resize": True}, tmp_path / "p.json")
    assert_one_line(raised.value)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize("name", ["PerceiverImageProcessor", "DPTFeatureExtractor", "Trainer"])
def test_a_class_that_is_not_covered_is_refused_by_name(name: str) -> None:
    with pytest.raises(InputError, match=r"not among.*pip install 'onnxunlearn\[hf\]'") as raised:
        read({"image_processor_type": name, "size": 32})
    assert name.replace("FeatureExtractor", "ImageProcessor") in str(raised.value)
    assert_one_line(raised.value)


@pytest.mark.skipif(library_version() is None, reason="needs transformers")
def test_the_library_does_the_work_where_it_is_installed() -> None:
    steps = read({"image_processor_type": "ViTFeatureExtractor", "size": 32})
    assert isinstance(steps, LibraryProcessor)
    assert type(steps.processor).__name__ == "ViTImageProcessorPil"
    with pytest.raises(InputError, match="UnheardImageProcessor is not to be had from") as raised:
        read({"image_processor_type": "UnheardImageProcessor", "size": 32})
    assert_one_line(raised.value)


@pytest.mark.usefixtures("no_library")
def test_the_whole_way_of_one_image() -> None:
    """Worked by hand: 8 × 4 pixels, the shorter side to 4, its 2 × 2 centre, scaled and normalised."""
    pixels = np.arange(32, dtype=np.uint8).reshape(4, 8)
    image = Image.fromarray(np.stack([pixels] * 3, axis=-1))
    name = "MobileNetV2ImageProcessor"
    made = read({"image_processor_type": name, "size": {"shortest_edge": 4}, "crop_size": 2}).apply(image)
    expected = (np.array([[11, 12], [19, 20]], np.float32) / 255 - 0.5) / 0.5
    np.testing.assert_allclose(made, np.stack([expected] * 3), rtol=1e-6)


@pytest.mark.usefixtures("no_library")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_processor_type": 3}, "'image_processor_type' is 3, expected the name of a processor class"),
        ({"do_pad": True}, "'do_pad' is True, expected false, as MobileNetV2ImageProcessor has no such step"),
        ({"do_flip_channel_order": True}, "'do_flip_channel_order' is True, expected false"),
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
        ({"rescale_factor": None}, "a positive number, since do_rescale is true"),
        (
            {"image_processor_type": "ConvNextImageProcessor", "size": {"height": 8, "width": 8}},
            "the length of the shorter side",
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "crop_pct": None},
            "since the size is below 384",
        ),
        (
            {"image_processor_type": "ConvNextImageProcessor", "do_center_crop": True, "crop_size": 5},
            "'do_center_crop' is True, expected false, as 24 × 24 pixels are cut out already",
        ),
    ],
)
def test_settings_that_are_not_understood(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read({"image_processor_type": "MobileNetV2ImageProcessor", "size": {"shortest_edge": 24}, **changes})
    assert_one_line(raised.value)
