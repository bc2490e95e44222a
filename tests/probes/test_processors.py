"""Our reading of each processor class against transformers itself: its recorded answers, and the library."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.processors import READINGS
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.transformers_library import library_processor, library_version

from .processor_cases import CASES, REFERENCE, images, lattice

RGB = Preprocess("RGB", "NCHW")
IMAGES = images()
with np.load(REFERENCE / "outputs.npz") as _arrays:
    RECORDED = {name: _arrays[name] for name in _arrays.files}

needs_transformers = pytest.mark.skipif(library_version() is None, reason="needs transformers 5.6 or later")


def read(name: str, config: dict[str, Any], base: Preprocess = RGB) -> Preprocess:
    return READINGS[name](Settings(config, Path("preprocessor_config.json")), base)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_what_transformers_makes_of_images(name: str, case: str) -> None:
    steps = read(name, CASES[name, case])
    for which, image in IMAGES.items():
        key = f"pillow/{name}/{case}/{which}"
        made = steps.apply(image)
        assert made.shape == tuple(RECORDED[f"{key}/shape"]), which
        np.testing.assert_allclose(lattice(made), RECORDED[key], atol=1e-5, err_msg=which)


def test_every_class_is_compared() -> None:
    assert {name for name, _ in CASES} == set(READINGS)


@pytest.mark.parametrize(("name", "case"), CASES)
def test_processors_for_torchvision_differ_by_two_levels_of_255(name: str, case: str) -> None:
    """They round otherwise when they resize; images below the crop are also moved by a pixel, see below."""
    steps = read(name, CASES[name, case])
    black, white = (steps.apply(Image.new("RGB", (9, 9), colour)) for colour in ("black", "white"))
    for which, image in IMAGES.items():
        key = f"torchvision/{name}/{case}/{which}"
        made = steps.apply(image)
        assert made.shape == tuple(RECORDED[f"{key}/shape"]), which
        if not _has_odd_borders(steps, image):
            levels = np.abs(lattice(made) - RECORDED[key]) / (white.max() - black.min()) * 255
            assert levels.max() < 2.1, which


def _has_odd_borders(steps: Preprocess, image: Image.Image) -> bool:
    whole = replace(steps, crop=None).apply(image).shape[1:]
    return steps.crop is not None and any(
        to > side and (to - side) % 2 for to, side in zip(steps.crop, whole, strict=True)
    )


def test_an_odd_border_is_wider_above_and_on_the_left() -> None:
    """As in the processors for Pillow; those for torchvision have it below and on the right."""
    name, case = "MobileNetV2ImageProcessor", "smaller than its crop"  # 161 rows in 224
    made = read(name, CASES[name, case]).apply(Image.new("RGB", (9, 9), "white"))
    rows = np.flatnonzero(made[0].max(axis=1) > 0)
    assert (rows[0], 223 - rows[-1]) == (32, 31)
    recorded = RECORDED[f"torchvision/{name}/{case}/wide"]
    assert np.abs(recorded - RECORDED[f"pillow/{name}/{case}/wide"]).max() > 0.1


@needs_transformers
@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_library_itself(name: str, case: str) -> None:
    for channels in ("RGB", "L"):
        config = CASES[name, case]
        if channels == "L":
            config = {**config, "image_mean": 0.5, "image_std": 0.25}
        base = Preprocess(channels, "NHWC")
        theirs = library_processor(name, Settings(config, Path("preprocessor_config.json")), base)
        assert theirs is not None
        ours = read(name, config, base)
        for which in ("tall", "tiny"):
            np.testing.assert_allclose(
                ours.apply(IMAGES[which]), theirs.apply(IMAGES[which]), atol=1e-5, err_msg=which
            )


_SIDES = st.integers(3, 40)
_BOTH = st.fixed_dictionaries({"height": _SIDES, "width": _SIDES})
_SHORT = st.fixed_dictionaries({"shortest_edge": _SIDES})
_SWITCHES = (
    "do_resize",
    "do_center_crop",
    "do_rescale",
    "do_normalize",
    "do_convert_rgb",
    "do_reduce_labels",
    "include_top",
    "rescale_offset",
)
_SWITCH = st.sampled_from([True, False, None])
_CHANNELS = st.one_of(st.lists(st.floats(0.1, 1), min_size=3, max_size=3), st.floats(0.1, 1))
_CONFIGS = st.fixed_dictionaries(
    {"size": st.one_of(_SIDES, _SHORT, _BOTH, st.lists(_SIDES, min_size=2, max_size=2))},
    optional={
        "crop_size": st.one_of(_SIDES, _BOTH),
        "crop_pct": st.floats(0.5, 1),
        "default_to_square": st.booleans(),
        "image_mean": _CHANNELS,
        "image_std": _CHANNELS,
        "resample": st.integers(0, 5),
        "rescale_factor": st.floats(0.001, 1),
        **dict.fromkeys(_SWITCHES, _SWITCH),
    },
)


@needs_transformers
@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(READINGS)), _CONFIGS, st.integers(1, 60), st.integers(1, 60), st.integers(0, 9))
def test_any_settings_mean_what_they_mean_to_the_library(
    name: str, config: dict[str, Any], width: int, height: int, seed: int
) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    try:
        ours = read(name, config).apply(image)
    except InputError:  # it may be refused, but not misread
        return
    theirs = library_processor(name, Settings(config, Path("preprocessor_config.json")), RGB)
    assert theirs is not None
    np.testing.assert_allclose(ours, theirs.apply(image), rtol=1e-5, atol=1e-4)


@needs_transformers
@pytest.mark.parametrize(("name", "case"), CASES)
def test_the_library_for_torchvision(name: str, case: str) -> None:
    try:
        import torchvision.transforms.v2  # noqa: F401
    except Exception:  # missing, or built for another torch
        pytest.skip("needs a torchvision that fits torch")
    transformers = sys.modules["transformers"]
    processor = getattr(transformers, name)(**CASES[name, case])
    for which in ("wide", "tall"):
        image = IMAGES[which]
        pixels = processor(image, return_tensors="np")["pixel_values"][0]
        np.testing.assert_allclose(lattice(pixels), RECORDED[f"torchvision/{name}/{case}/{which}"], atol=1e-5)
