import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.transformers_library import LibraryProcessor, library_processor, library_version

from .tiny_models import assert_one_line

needs_transformers = pytest.mark.skipif(library_version() is None, reason="needs transformers")
RGB = Preprocess("RGB", "NCHW")
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8))


def processor(name: str, base: Preprocess = RGB, **config: Any) -> LibraryProcessor:
    made = library_processor(name, Settings(config, Path("p.json")), base)
    assert made is not None
    return made


def test_a_missing_a_broken_and_an_old_library(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        __version__ = "5.24.0"

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("operator torchvision::nms does not exist")

    class Old:
        __version__ = "4.57.6"
        ViTImageProcessor = dict

    for library in (None, Broken(), Old()):
        monkeypatch.setitem(sys.modules, "transformers", library)
        assert library_version() is None
        assert library_processor("ViTImageProcessor", Settings({}, Path("p.json")), RGB) is None


@needs_transformers
@pytest.mark.parametrize(
    "name", ["Trainer", "os.system", "UnheardImageProcessor", "OneFormerImageProcessor", "ViT"]
)
def test_names_of_nothing_that_prepares_images(name: str) -> None:
    assert library_processor(name, Settings({}, Path("p.json")), RGB) is None


@needs_transformers
def test_a_class_that_only_the_library_knows() -> None:
    """Perceiver: crop to 24/30 of the shorter side, then resize; by hand."""
    made = processor("PerceiverImageProcessor", size=24, crop_size=30, resample=0, do_normalize=False)
    cut = IMAGE.crop((7, 2, 23, 18)).resize((24, 24), 0)
    expected = np.asarray(cut, np.float32).transpose(2, 0, 1) / 255
    np.testing.assert_allclose(made.apply(IMAGE), expected, atol=1e-6)


@needs_transformers
def test_layout_and_grey_are_the_models() -> None:
    config = {"size": 8, "image_mean": 0.5, "image_std": 0.5}
    assert processor("ViTImageProcessor", RGB, **config).apply(IMAGE).shape == (3, 8, 8)
    nhwc = processor("ViTImageProcessor", Preprocess("RGB", "NHWC"), **config).apply(IMAGE)
    assert nhwc.shape == (8, 8, 3)
    grey = processor("CLIPImageProcessor", Preprocess("L", "NCHW"), crop_size=8, **config).apply(IMAGE)
    assert grey.shape == (1, 8, 8)


@needs_transformers
@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("ViTImageProcessor", {"size": 10**9}, "'size' is 1000000000"),
        ("ViTImageProcessor", {"pad_size": {"height": 10**9, "width": 2}}, "'pad_size' is 1000000000"),
        ("ViTImageProcessor", {"resample": "bicubic"}, "number of a Pillow filter"),
        ("ViTImageProcessor", {"do_flip_channel_order": True}, "ViTImageProcessor has no such step"),
        ("ViTImageProcessor", {"image_mean": "grey"}, "ViTImageProcessor of transformers does not take it"),
        ("ViTImageProcessor", {"size": None}, "ViTImageProcessor of transformers does not take it"),
        ("ViTImageProcessor", {"preprocess": 3}, "ViTImageProcessor of transformers does not take it"),
        ("ImageGPTImageProcessor", {}, "ImageGPTImageProcessor of transformers does not take it"),
        ("Qwen2VLImageProcessor", {}, r"makes \(.*\) of an image, expected one array of channels"),
    ],
)
def test_settings_that_are_refused(name: str, config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        processor(name, **config).apply(IMAGE)
    assert_one_line(raised.value)


@needs_transformers
def test_an_image_that_would_become_enormous() -> None:
    made = processor("CLIPImageProcessor")
    with pytest.raises(InputError, match="3 × 301 pixels, more than 100 times as long as wide"):
        made.apply(Image.new("RGB", (3, 301)))
