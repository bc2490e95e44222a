import numpy as np

from onnxunlearn.graph import Model, load, patch
from onnxunlearn.judge import Row
from onnxunlearn.judge.attacks.layer_probes import layer_probes
from onnxunlearn.probes import Probes

from ...sample_paths import CNN, MLP, images, probes
from ..made_evidence import evidence_of

ARRAYS = probes(6)
FEW = Probes({"x": ARRAYS["x"]}, ARRAYS["y"], "digits")


def compared(first: Model, second: Model, asked: Probes = FEW) -> list[Row]:
    return list(layer_probes(evidence_of({"original": first, "edited": second}, asked, (3,), thorough=True)))


def test_an_edit_shows_from_its_layer_on() -> None:
    model = load(MLP)
    noise = np.random.default_rng(0).normal(scale=0.3, size=(64, 128)).astype(np.float32)
    edited = load(patch(model, {"3.weight": model.array("3.weight") + noise}))
    found = compared(model, edited)
    assert [row.title for row in found] == ["/1/Gemm", "/3/Gemm", "/5/Gemm"]
    alike = [row.values["cka"].value or 0 for row in found]
    assert alike[0] > 1 - 1e-6
    assert alike[1] < 0.95
    assert found[0].values["original"] == found[0].values["edited"]


def test_a_class_gets_easier_to_tell_with_depth() -> None:
    model = load(CNN)
    x, y = images("mnist_test")
    some = np.arange(0, len(y), 4)
    found = [row.values for row in compared(model, model, Probes({"x": x[some]}, y[some], "digits"))]
    assert all(values["original"] == values["edited"] for values in found)
    first, last = (values["original"].value or 0 for values in (found[0], found[-1]))
    assert last - first > 30


def test_models_of_different_kind_share_no_layer_and_are_not_compared() -> None:
    (row,) = compared(load(MLP), load(CNN))
    assert row.name == "layer-probes, not run"
    assert "4 where the original has 3" in row.note


def test_it_takes_long_and_has_to_be_asked_for() -> None:
    model = load(MLP)
    assert list(layer_probes(evidence_of({"original": model, "edited": model}, FEW, (3,)))) == []
