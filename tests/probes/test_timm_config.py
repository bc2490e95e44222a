"""What timm writes into a model's config.json, against timm itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn.errors import InputError
from onnxunlearn.probes.preprocess import Preprocess
from onnxunlearn.probes.settings import Settings
from onnxunlearn.probes.timm_config import is_timm, timm_steps

from .processor_cases import REFERENCE, TIMM, images, lattice


def read(config: dict[str, Any]) -> Preprocess:
    settings = Settings({"architecture": "resnet18", "pretrained_cfg": config}, Path("config.json"))
    assert is_timm(settings)
    return timm_steps(settings, Preprocess("RGB", "NCHW"))


@pytest.mark.parametrize("case", TIMM)
def test_what_timm_makes_of_images(case: str) -> None:
    with np.load(REFERENCE / "outputs.npz") as recorded:
        for which, image in images().items():
            made = read(TIMM[case]).apply(image)
            assert made.shape == tuple(recorded[f"timm/{case}/{which}/shape"])
            np.testing.assert_allclose(
                lattice(made), recorded[f"timm/{case}/{which}"], atol=1e-5, err_msg=which
            )


def test_a_model_of_transformers_is_none_of_timm() -> None:
    assert not is_timm(Settings({"model_type": "vit"}, Path("config.json")))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"crop_mode": "border"}, "'crop_mode' is 'border', expected center or squash"),
        ({"input_size": [3, 224, 200]}, "'input_size' is .* a square"),
        ({"input_size": 224}, "'input_size' is 224"),
        ({"input_size": [3, 0, 0]}, "'input_size' is 0"),
        ({"interpolation": "random"}, "'interpolation' is 'random'"),
        ({"crop_pct": 1.2}, "'crop_pct' is 1.2, .* at most 1"),
        ({"mean": [0.5, 0.5]}, "'mean' is"),
    ],
)
def test_settings_that_are_not_understood(config: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(config)
