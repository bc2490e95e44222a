import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.inputs import Input
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.preprocess_file import preprocess_beside, read_preprocess

from .tiny_models import image_input

RGB = image_input(None, 3, 224, 224)


def read(tmp_path: Path, settings: Any, model_input: Input = RGB) -> Preprocess:
    path = tmp_path / "steps.json"
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    steps = read_preprocess(path, model_input)
    assert isinstance(steps, Preprocess)
    return steps


def test_without_a_file_the_model_decides() -> None:
    assert read_preprocess(None, RGB) == Preprocess("RGB", "NCHW", resize=(224, 224), scale=1 / 255)


def test_an_empty_object_is_as_no_file(tmp_path: Path) -> None:
    steps = read(tmp_path, {})
    assert replace(steps, torchvision_crop=False) == read_preprocess(None, RGB)


def test_our_own_keys(tmp_path: Path) -> None:
    settings = {
        "size": [8, 6],
        "scale": 0.5,
        "mean": [1, 2, 3],
        "std": 4,
        "layout": "NHWC",
        "channel_order": "BGR",
    }
    made = read(tmp_path, settings, image_input(None, None, None, None))
    expected = Preprocess("BGR", "NHWC", resize=(8, 6), scale=0.5, mean=(1, 2, 3), std=(4,))
    assert made == replace(expected, torchvision_crop=True)
    assert read(tmp_path, {"size": 8}).resize == (8, 8)


def test_the_steps_of_torchvisions_weights(tmp_path: Path) -> None:
    """Resize(256), CenterCrop(224), ToTensor(), Normalize(...): 343 × 256 pixels lose 60 rows above."""
    settings: dict[str, Any] = {
        "shorter_side": 256,
        "crop": 224,
        "resample": "nearest",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
    }
    pixels = np.random.default_rng(0).integers(0, 256, (343, 256, 3), dtype=np.uint8)
    made = read(tmp_path, settings).apply(Image.fromarray(pixels))
    cut = pixels[60 : 60 + 224, 16 : 16 + 224] / 255
    expected = (cut - settings["mean"]) / settings["std"]
    np.testing.assert_allclose(made, expected.transpose(2, 0, 1), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "number"),
    [("nearest", 0), ("lanczos", 1), ("bilinear", 2), ("bicubic", 3), ("box", 4), ("hamming", 5)],
)
def test_filters_by_name(tmp_path: Path, name: str, number: int) -> None:
    assert read(tmp_path, {"resample": name}).resample == number == Image.Resampling[name.upper()]


@pytest.mark.parametrize(
    ("files", "model", "found"),
    [
        ({"preprocessor_config.json": {}}, "model.onnx", "preprocessor_config.json"),
        ({"preprocessor_config.json": {}}, "onnx/model.onnx", "preprocessor_config.json"),
        ({"preprocessor_config.json": {}}, "other/model.onnx", None),
        ({"processor_config.json": {"image_processor": {}}}, "model.onnx", "processor_config.json"),
        ({"processor_config.json": {}}, "model.onnx", None),
        ({"config.json": {"pretrained_cfg": {}}}, "model.onnx", "config.json"),
        ({"config.json": {"model_type": "vit"}}, "model.onnx", None),
        ({"config.json": [1]}, "model.onnx", None),
        ({}, "model.onnx", None),
    ],
)
def test_the_file_beside_a_model(
    tmp_path: Path, files: dict[str, Any], model: str, found: str | None
) -> None:
    for name, values in files.items():
        (tmp_path / name).write_text(json.dumps(values))
    expected = None if found is None else tmp_path / found
    assert preprocess_beside(tmp_path / model) == expected


def test_a_model_that_lies_nowhere() -> None:
    assert preprocess_beside(None) is None


def test_a_given_layout_decides_where_height_and_width_are(tmp_path: Path) -> None:
    steps = read(tmp_path, {"layout": "NHWC"}, image_input(None, 3, 28, 3))
    assert steps.resize == (3, 28)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ({"sizes": 8}, "unknown key 'sizes'; known: size, shorter_side"),
        ({"size": 0}, "'size' is 0"),
        ({"size": -3}, "'size' is -3"),
        ({"size": True}, "'size' is True"),
        ({"size": 10**9}, "'size' is 1000000000"),
        ({"size": [1, 2, 3]}, "'size' is"),
        ({"size": {"shortest_edge": 8}}, "'size' is"),
        ({"scale": "1/255"}, "'scale' is '1/255', expected a positive number"),
        ('{"scale": NaN}', "'scale' is nan"),
        ({"scale": 0}, "'scale' is 0"),
        ({"mean": [1, 2]}, "'mean' is .*each channel of RGB"),
        ({"mean": []}, "'mean' is"),
        ({"mean": [1, 2, "3"]}, "'mean' is"),
        ({"std": [1, 0, 1]}, "'std' is .*one positive number"),
        ({"mean": [1, 2, 3], "channel_order": "L"}, "each channel of L"),
        ({"layout": "CHW"}, "'layout' is 'CHW', expected NCHW or NHWC"),
        ({"layout": ["NCHW"]}, "'layout' is"),
        ({"channel_order": "rgb"}, "expected RGB or BGR or L"),
        ({"resample": "cubic"}, "'resample' is 'cubic', expected nearest or lanczos"),
        ({"resample": 3}, "'resample' is 3"),
        ({"crop": 0}, "'crop' is 0"),
        ({"shorter_side": 8}, "'crop' is None, expected height and width"),
        ({"shorter_side": 8, "size": 8, "crop": 8}, "'shorter_side' is 8, expected nothing, since"),
        ({"shorter_side": [8, 8], "crop": 8}, r"'shorter_side' is \[8, 8\]"),
        ({"mean": [123.7, 116.3, 103.5], "std": [58.4, 57.1, 57.4]}, "do not fit together"),
        ({"scale": 1, "mean": 0.5, "std": 0.25}, "do not fit together"),
    ],
)
def test_settings_that_are_not_understood(tmp_path: Path, settings: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        read(tmp_path, settings)
    assert str(raised.value).startswith(str(tmp_path))
    assert len(str(raised.value).splitlines()) == 1


def test_an_unknown_image_size_is_asked_for(tmp_path: Path) -> None:
    free = image_input(None, 3, None, None)
    with pytest.raises(InputError, match=r'N × 3 × any × any.*--preprocess\) with "size"'):
        read_preprocess(None, free)
    with pytest.raises(InputError, match=r'add to .*steps\.json "size"'):
        read(tmp_path, {"scale": 1}, free)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_preprocess(tmp_path / "steps.json", RGB)
