import json
from pathlib import Path
from typing import Any

import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.probes.inputs import Input
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.preprocess_file import read_preprocess

from .tiny_models import image_input

RGB = image_input(None, 3, 224, 224)


def read(tmp_path: Path, settings: Any, model_input: Input = RGB) -> Preprocess:
    path = tmp_path / "steps.json"
    path.write_text(settings if isinstance(settings, str) else json.dumps(settings))
    return read_preprocess(path, model_input)


def test_without_a_file_the_model_decides() -> None:
    assert read_preprocess(None, RGB) == Preprocess("RGB", "NCHW", resize=(224, 224), scale=1 / 255)


def test_an_empty_object_is_as_no_file(tmp_path: Path) -> None:
    assert read(tmp_path, {}) == read_preprocess(None, RGB)


def test_our_own_keys(tmp_path: Path) -> None:
    settings = {
        "size": [8, 6],
        "scale": 0.5,
        "mean": [1, 2, 3],
        "std": 4,
        "layout": "NHWC",
        "channel_order": "BGR",
    }
    expected = Preprocess("BGR", "NHWC", resize=(8, 6), scale=0.5, mean=(1, 2, 3), std=(4,))
    assert read(tmp_path, settings, image_input(None, None, None, None)) == expected
    assert read(tmp_path, {"size": 8}).resize == (8, 8)


def test_a_given_layout_decides_where_height_and_width_are(tmp_path: Path) -> None:
    steps = read(tmp_path, {"layout": "NHWC"}, image_input(None, 3, 28, 3))
    assert steps.resize == (3, 28)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("{", "not valid JSON"),
        ("[1]", "expected a JSON object"),
        ({"sizes": 8}, "unknown key 'sizes'; known: size, scale"),
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
