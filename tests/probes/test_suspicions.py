import json
import sys
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.graph import load
from onnxunlearn.probes import transformers_library
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.suspicions import declared_preprocessing, suspicions

from .test_pixels import picture
from .tiny_models import tiny_model

IMAGENET = Preprocess(
    "RGB",
    "NCHW",
    (24, 24),
    scale=1 / 255,
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
MEAN, STD = (np.array(v).reshape(1, 3, 1, 1) for v in (IMAGENET.mean, IMAGENET.std))
#: as a user's pictures, black and white somewhere in them
RAW = np.clip(picture(count=32) * 1.2 - 0.1, 0, 1)
RIGHT = ((RAW - MEAN) / STD).astype(np.float32)
FEEDS = {"x": RIGHT}


def reasons(samples: np.ndarray, preprocess: Preprocess | None = IMAGENET) -> list[str]:
    return suspicions({"x": samples.astype(np.float32)}, preprocess)


def test_nothing_is_odd_about_the_right_pixels() -> None:
    assert reasons(RIGHT) == []


def test_a_few_bright_pixels_by_another_filter_are_not_odd() -> None:
    assert reasons(RIGHT * 1.01) == []


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (RAW * 255, "scale: values 0..255, where the declared preprocessing makes -2.12..2.64; not scaled?"),
        (RAW, "mean and std: values 0..1, where the declared preprocessing makes -2.12..2.64; scaled only?"),
        (
            RAW / 255,
            "scale: values 0..0.00392, where the declared preprocessing makes -2.12..2.64; scaled twice?",
        ),
        (
            RIGHT[:, ::-1],
            "channel order: the values fit what is declared (-2.12..2.64) only the other way round",
        ),
        (
            RAW * 255 - 120,
            "scale, mean or std: values -120..135, where the declared preprocessing makes -2.12..2.64",
        ),
    ],
)
def test_pixels_beyond_or_short_of_what_is_declared(wrong: np.ndarray, expected: str) -> None:
    assert reasons(wrong) == [expected]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        (RAW * 255, "scale: values 0..255, as pixels have them before they are scaled"),
        (RAW / 255, "scale: values 0..0.00392 only; scaled twice?"),
        (RAW, "mean and std: values 0..1; does the model want them normalised?"),
        (RIGHT * 1000, "scale: values -2.12e+03..2.64e+03, far beyond those of pixels"),
    ],
)
def test_pixels_of_a_model_of_which_nothing_is_declared(wrong: np.ndarray, expected: str) -> None:
    assert reasons(wrong, None) == [expected]


def test_scaled_pixels_cast_to_bytes() -> None:
    expected = ["scale: whole numbers 0..1; were scaled pixels cast to integers?"]
    assert suspicions({"x": RAW.round().astype(np.uint8)}) == expected


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_reshaped_instead_of_transposed(layout: str) -> None:
    if layout == "NCHW":
        wrong = RIGHT.transpose(0, 2, 3, 1).reshape(RIGHT.shape)
    else:
        wrong = RIGHT.reshape(len(RIGHT), 24, 24, 3)
    found = reasons(wrong, None)
    assert "layout: reshaped where the axes had to be transposed (H × W × C and C × H × W)" in found


def test_axes_in_another_order_than_declared() -> None:
    found = reasons(RIGHT.transpose(0, 2, 3, 1))
    assert found == ["layout: samples of 24 × 24 × 3, where the declared preprocessing makes 3 × 24 × 24"]


def test_constant_equal_and_noisy_probes() -> None:
    assert reasons(np.zeros((5, 3, 24, 24))) == ["every sample is one value throughout"]
    assert reasons(np.repeat(RIGHT[:1], 7, axis=0)) == ["all 7 samples are the same"]
    noise = np.random.default_rng(0).standard_normal((5, 3, 24, 24)).clip(-1, 1)
    assert reasons(noise) == ["no pictures: neighbouring pixels are as unlike as distant ones, as in noise"]
    assert suspicions({"ids": np.full((4, 7), 3, np.int64)}) == ["every sample is one value throughout"]
    assert suspicions({"ids": np.tile(np.arange(7), (4, 1))}) == ["all 4 samples are the same"]
    assert suspicions({"ids": np.arange(28).reshape(4, 7)}) == []


def test_several_inputs_are_named() -> None:
    feeds = {"left": RIGHT, "right": np.zeros_like(RIGHT)}
    assert suspicions(feeds) == ["input 'right': every sample is one value throughout"]


def test_what_a_file_beside_the_model_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it takes seconds
    model = tiny_model(("x", 1, ["N", 3, 24, 24]))
    (tmp_path / "model.onnx").write_bytes(model.data)
    at = load(tmp_path / "model.onnx")
    assert declared_preprocessing(at, FEEDS) is None
    settings = {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)}
    (tmp_path / "given.json").write_text(json.dumps(settings))
    assert reasons(RAW * 255, _steps(declared_preprocessing(at, FEEDS, tmp_path / "given.json")))[
        0
    ].startswith("scale")
    published = {"image_processor_type": "ViTImageProcessor", "size": 24, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    found = declared_preprocessing(at, FEEDS)
    assert found is not None
    assert suspicions({"x": (RAW * 255).astype(np.float32)}, found)[0].startswith(
        "scale: values 0..255, where"
    )
    assert "-1..1" in suspicions({"x": (RAW * 255).astype(np.float32)}, found)[0]


def test_the_library_is_not_imported_for_arrays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def imported() -> None:
        raise AssertionError("it takes seconds")

    monkeypatch.delitem(sys.modules, "transformers", raising=False)
    monkeypatch.setattr(transformers_library, "_library", imported)
    (tmp_path / "model.onnx").write_bytes(tiny_model(("x", 1, ["N", 3, 24, 24])).data)
    published = {"image_processor_type": "ViTImageProcessor", "size": 24}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    at = load(tmp_path / "model.onnx")
    assert isinstance(declared_preprocessing(at, FEEDS), Preprocess)
    (tmp_path / "preprocessor_config.json").write_text('{"image_processor_type": "DPTImageProcessor"}')
    assert declared_preprocessing(at, FEEDS) is None


def test_of_what_is_no_image_no_file_is_read(tmp_path: Path) -> None:
    model = tiny_model(("x", 1, ["N", 3, 24, 24]))
    (tmp_path / "given.json").write_text("{}")
    assert declared_preprocessing(model, FEEDS, tmp_path / "given.json") is not None
    assert declared_preprocessing(model, {"x": np.zeros((5, 7))}, tmp_path / "given.json") is None
    assert declared_preprocessing(model, {**FEEDS, "y": RIGHT}, tmp_path / "given.json") is None


@pytest.mark.parametrize(
    "content",
    ["{", "[]", '{"scale": 1' + "0" * 400 + "}", '{"do_resize": true}', '{"image_processor_type": "X"}'],
)
def test_a_file_that_cannot_be_read_hides_nothing(
    tmp_path: Path, content: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    model = tiny_model(("x", 1, ["N", 3, 24, 24]))
    (tmp_path / "model.onnx").write_bytes(model.data)
    (tmp_path / "preprocessor_config.json").write_text(content)
    assert declared_preprocessing(load(tmp_path / "model.onnx"), FEEDS) is None


def _steps(found: object) -> Preprocess:
    assert isinstance(found, Preprocess)
    return found
