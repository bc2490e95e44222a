import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from onnxunlearn.graph import load
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.suspicions import declared_preprocessing, suspicions
from tests.sample_paths import RESNET, images

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


def reasons(samples: np.ndarray, preprocess: Preprocess | None = IMAGENET) -> list[str]:
    return suspicions({"x": samples.astype(np.float32)}, preprocess)


def knows(samples: np.ndarray) -> Callable[[dict[str, np.ndarray]], float]:
    """A model that knows just these samples: the fraction of given ones that are almost as they are."""

    def recognised(feeds: dict[str, np.ndarray]) -> float:
        distance = np.abs(feeds["x"] - samples).reshape(len(samples), -1).mean(axis=1)
        return float((distance < 0.05).mean())

    return recognised


def test_nothing_is_odd_about_the_right_pixels() -> None:
    assert reasons(RIGHT) == []
    assert suspicions({"x": RIGHT}, IMAGENET, knows(RIGHT)) == []


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


@pytest.mark.parametrize(
    ("wrong", "preprocess", "text"),
    [
        (RAW * 255, IMAGENET, "prepared as declared"),
        (RAW * 255, None, "normalised with the mean and std of ImageNet"),
        (RIGHT[:, ::-1], None, "with the channels the other way round (RGB for BGR)"),
        (RIGHT.transpose(0, 1, 3, 2), None, "with rows and columns swapped"),
        (
            RIGHT.transpose(0, 2, 3, 1).reshape(RIGHT.shape),
            None,
            "transposed instead of reshaped between H × W × C and C × H × W",
        ),
        (
            RAW[:, ::-1] * 255,
            IMAGENET,
            "with the channels the other way round (RGB for BGR), and prepared as declared",
        ),
    ],
)
def test_what_cures_it_is_named_first(wrong: np.ndarray, preprocess: Preprocess | None, text: str) -> None:
    wrong = np.ascontiguousarray(wrong, np.float32)
    found = suspicions({"x": wrong}, preprocess, knows(RIGHT))
    assert found[0] == f"{text}, 100.0 % of them are known (0.0 % as they are)"


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda pixels: pixels * 255, "normalised with their own mean and std"),
        (
            lambda pixels: 1 - pixels,
            "with black and white swapped, and normalised with their own mean and std",
        ),
        (lambda pixels: pixels.transpose(0, 1, 3, 2), "with rows and columns swapped"),
    ],
)
def test_what_cures_a_real_model(wrong: Callable[[np.ndarray], np.ndarray], text: str) -> None:
    x, y = images("mnist_probes")
    session = onnxruntime.InferenceSession(RESNET)
    right = wrong(x) if "rows" in text else wrong(x * 0.3081 + 0.1307)

    def recognised(feeds: dict[str, np.ndarray]) -> float:
        return float((session.run(None, feeds)[0].argmax(axis=1) == y).mean())

    feeds = {session.get_inputs()[0].name: np.ascontiguousarray(right, np.float32)}
    before = recognised(feeds)
    assert before < 0.35
    assert suspicions(feeds, None, recognised)[0] == (
        f"{text}, 100.0 % of them are known ({100 * before:.1f} % as they are)"
    )


def test_a_cure_by_chance_is_none() -> None:
    """Four of four are too few to say so; a tenth more known is too little."""
    few = RIGHT[:4, ::-1].copy()
    assert not any("are known" in r for r in suspicions({"x": few}, None, knows(RIGHT[:4])))
    mixed = np.concatenate([RIGHT[:29], RIGHT[29:, ::-1]])
    assert not any("are known" in r for r in suspicions({"x": mixed}, None, knows(RIGHT)))


def test_nothing_cures_wrong_labels() -> None:
    assert suspicions({"x": RIGHT}, IMAGENET, lambda feeds: 0.1) == []


def test_what_a_file_beside_the_model_declares(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it takes seconds
    model = tiny_model(("x", 1, ["N", 3, 24, 24]))
    (tmp_path / "model.onnx").write_bytes(model.data)
    at = load(tmp_path / "model.onnx")
    assert declared_preprocessing(at) is None
    settings = {"mean": list(IMAGENET.mean), "std": list(IMAGENET.std)}
    (tmp_path / "given.json").write_text(json.dumps(settings))
    assert reasons(RAW * 255, _steps(declared_preprocessing(at, tmp_path / "given.json")))[0].startswith(
        "scale"
    )
    published = {"image_processor_type": "ViTImageProcessor", "size": 24, "resample": 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    found = declared_preprocessing(at)
    assert found is not None
    assert suspicions({"x": (RAW * 255).astype(np.float32)}, found)[0].startswith(
        "scale: values 0..255, where"
    )
    assert "-1..1" in suspicions({"x": (RAW * 255).astype(np.float32)}, found)[0]


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
    assert declared_preprocessing(load(tmp_path / "model.onnx")) is None


def _steps(found: object) -> Preprocess:
    assert isinstance(found, Preprocess)
    return found
