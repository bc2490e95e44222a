"""Few probes or none: of the forgotten class alone, without labels, made from the model."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn import InputError, Result, judge, load, unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_logits
from onnxunlearn.tasks import measure

from .sample_paths import CNN, MLP, MOBILE, RESNET, images, probes


def on_unseen(result: Result, path: Path, forget: int) -> tuple[float, float]:
    """Forget accuracy and retain accuracy lost, in percent, on the shipped test images."""
    x, y = images("fashion_test" if path == MOBILE else "mnist_test")
    figures = []
    for model in (load(path), load(result.model_bytes)):
        scores = judge.scores(model, find_logits(model), create_engine(), {"x": x}, 100)
        figures.append(measure(scores.argmax(axis=1), y, (forget,), 10))
    before, after = figures
    assert before.retain is not None
    assert after.retain is not None
    assert after.forget is not None
    return after.forget, before.retain - after.retain


def given(path: Path) -> dict[str, Any]:
    x, y = images("fashion_probes" if path == MOBILE else "mnist_probes")
    return {"x": x, "y": y}


def models(*larger: Path) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", [MLP, *(pytest.param(p, marks=pytest.mark.slow) for p in larger)])


@models(CNN, RESNET, MOBILE)
def test_without_any_data(path: Path) -> None:
    result = unlearn(path, 3)
    forget, lost = on_unseen(result, path, 3)
    assert forget == 0
    assert lost <= 0  # what was taken for the class by mistake may even be right now
    report = result.report
    assert report["method"]["depth"] == "head only"
    assert report["probes"]["source"] == "made from the model"
    assert report["probes"]["labels"] == "from the model"
    made = report["probes"]["made"]
    assert made == {"choosing": report["probes"]["choosing"], "judging": report["probes"]["judging"]}
    assert made["judging"] > 0
    assert result.met


def test_without_data_the_bytes_are_the_same_each_time_and_several_classes_go() -> None:
    first, second = (unlearn(MLP, "3,5") for _ in range(2))
    assert first.model_bytes == second.model_bytes
    assert on_unseen(first, MLP, 3)[0] == on_unseen(first, MLP, 5)[0] == 0


def test_any_method_takes_made_probes() -> None:
    report = unlearn(MLP, 3, method="lra-npp").report
    assert report["method"]["depth"].startswith("layers ")
    assert report["figures"]["original"]["forget"] == 100


@models(CNN)
def test_probes_of_the_forgotten_class_alone(path: Path) -> None:
    arrays = given(path)
    of_class = arrays["y"] == 3
    result = unlearn(path, 3, {"x": arrays["x"][of_class], "y": arrays["y"][of_class]})
    forget, lost = on_unseen(result, path, 3)
    assert forget <= 1
    assert lost <= 1
    report = result.report
    assert report["probes"]["judging"] == 12
    assert report["probes"]["choosing"] - report["probes"]["made"]["choosing"] == 24
    assert report["probes"]["made"]["judging"] == 0
    by_name = {target["name"]: target for target in report["targets"]}
    assert by_name["forget accuracy"]["met"] is True
    kept = by_name["retain accuracy lost"]
    assert (kept["reached"], kept["met"]) == (None, None)
    assert result.met


def test_with_forgotten_ones_alone_it_goes_deeper_than_the_head() -> None:
    x, y = images("mnist_probes")
    report = unlearn(MLP, 3, {"x": x[y == 3], "y": y[y == 3]}).report
    assert report["method"]["depth"] == "layers /1/Gemm, /3/Gemm, /5/Gemm"
    assert report["method"]["details"]["chosen"] == "erase"
    assert report["method"]["details"]["share"] <= 0.5


def test_without_labels_those_taken_for_others_are_left_out() -> None:
    x, y = images("mnist_probes")
    mixed = np.concatenate([x[y == 3], x[y == 8][:2]])  # stand for two that the model gets wrong
    report = unlearn(MLP, 3, {"x": mixed}, method="mask").report
    assert report["figures"]["original"]["samples"]["retain"] == 0
    assert report["probes"]["made"]["choosing"] > 0


@models()
def test_without_labels_as_with_them(path: Path) -> None:
    """With labels: tests/methods/erase/test_erase.py."""
    result = unlearn(path, 3, {"x": given(path)["x"]})
    forget, lost = on_unseen(result, path, 3)
    assert forget <= 1
    assert lost <= 1
    assert result.report["probes"]["labels"] == "from the model"
    assert result.report["probes"]["made"] == {"choosing": 0, "judging": 0}


def test_a_class_of_which_no_probe_was_given_is_not_made_up() -> None:
    arrays = probes()
    others = arrays["y"] != 3
    with pytest.raises(InputError, match="0 probes of class 3"):
        unlearn(MLP, 3, {"x": arrays["x"][others], "y": arrays["y"][others]})
