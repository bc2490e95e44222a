from pathlib import Path

import numpy as np
import pytest

from onnxunlearn import unlearn
from onnxunlearn.judge.attacks.attackers.classifier import classifier
from onnxunlearn.methods.leace import Eraser

from ..shared_samples import TRIGGER, marked

REFERENCE = Path(__file__).parents[1] / "reference" / "leace" / "leace.npz"


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    with np.load(REFERENCE) as arrays:
        return dict(arrays)


def test_the_same_as_the_authors_package(given: dict[str, np.ndarray]) -> None:
    eraser = Eraser.of(given["x"], given["z"], shrunk=False)
    np.testing.assert_allclose(eraser(given["x"]), given["erased"], atol=1e-9)
    np.testing.assert_allclose(np.eye(6) - np.outer(eraser.s, eraser.v), given["projection"], atol=1e-9)


def test_nothing_linear_is_left(given: dict[str, np.ndarray]) -> None:
    x, z = given["x"], given["z"]
    assert classifier(x, z).score(x, z) > 0.7
    erased = Eraser.of(x, z, shrunk=False)(x)
    assert np.abs(erased[z].mean(axis=0) - erased[~z].mean(axis=0)).max() < 1e-9
    assert classifier(erased, z).score(erased, z) == pytest.approx(max(z.mean(), 1 - z.mean()), abs=0.01)


def test_folding_into_layers_is_erasing_between_them(given: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    weight, bias = rng.normal(size=(6, 4)), rng.normal(size=6)
    inputs = rng.normal(size=(50, 4))
    outputs = inputs @ weight.T + bias
    eraser = Eraser.of(outputs, inputs[:, 0] > 0)
    w, b = eraser.after(weight, bias)
    np.testing.assert_allclose(inputs @ w.T + b, eraser(outputs), atol=1e-9)
    head, shift = rng.normal(size=(3, 6)), rng.normal(size=3)
    w, b = eraser.before(head, shift)
    np.testing.assert_allclose(outputs @ w.T + b, eraser(outputs) @ head.T + shift, atol=1e-9)


def test_what_has_no_direction_stays() -> None:
    x = np.tile(np.random.default_rng(0).normal(size=(10, 3)), (2, 1))
    eraser = Eraser.of(x, np.arange(20) >= 10, shrunk=False)
    np.testing.assert_allclose(eraser(x), x, atol=1e-9)


@pytest.mark.parametrize("layers", [0, 2])
def test_a_trigger_loses_its_hold(layers: int) -> None:
    found = unlearn(TRIGGER, marked("trigger", 12), method="leace", parameters={"layers": layers}).findings
    assert (found.value("concept success", "original") or 0) == 100
    assert found.value("concept success") == 0
    assert (found.value("retain") or 0) > 90
