import numpy as np

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import load, patch
from onnxunlearn.judge import compare_layers

from ..sample_paths import CNN, MLP, images, probes

ARRAYS = probes(6)
FEEDS, Y = {"x": ARRAYS["x"]}, ARRAYS["y"]


def test_an_edit_shows_from_its_layer_on() -> None:
    model = load(MLP)
    noise = np.random.default_rng(0).normal(scale=0.3, size=(64, 128)).astype(np.float32)
    edited = load(patch(model, {"3.weight": model.array("3.weight") + noise}))
    found = compare_layers(model, edited, create_engine(), FEEDS, Y, (3,), 32)
    assert [layer.layer for layer in found] == ["/1/Gemm", "/3/Gemm", "/5/Gemm"]
    alike = [layer.cka or 0 for layer in found]
    assert alike[0] > 1 - 1e-6
    assert alike[1] < 0.95
    assert found[0].first == found[0].second


def test_a_class_gets_easier_to_tell_with_depth() -> None:
    model = load(CNN)
    x, y = images("mnist_test")
    some = np.arange(0, len(y), 4)
    found = compare_layers(model, model, create_engine(), {"x": x[some]}, y[some], (3,), 64)
    assert [layer.first for layer in found] == [layer.second for layer in found]
    first, last = found[0].first, found[-1].first
    assert first is not None
    assert last is not None
    assert last - first > 30


def test_models_of_different_kind_share_no_layer_and_are_not_compared() -> None:
    assert compare_layers(load(MLP), load(CNN), create_engine(), FEEDS, Y, (3,), 32) == []
