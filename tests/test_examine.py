"""Verdicts must follow from what was measured, and name what could not be."""

import json
from functools import cache

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn import Examination, InputError, examine, load, unlearn
from onnxunlearn.graph import patch
from onnxunlearn.judge import divergence
from onnxunlearn.probes import Probes

from .graph.ending.ways import B2, PERCENT, SOFTMAX, Way, X
from .graph.ending.ways import proto as written
from .graph.models import run
from .sample_paths import CNN, MLP, MNIST_LABELS, images, mlp, probes

REFERENCE = CNN.with_name("mnist_cnn.without3.onnx")


def some(per_class: int = 60) -> Probes:
    x, y = images("mnist_test")
    chosen = np.concatenate([np.flatnonzero(y == c)[:per_class] for c in range(10)])
    return Probes({"x": x[chosen]}, y[chosen], "test digits")


@cache
def hidden() -> bytes:
    """mnist_cnn with the 3 hidden and nothing else."""
    return unlearn(CNN, 3, probes(), method="mask").model_bytes


def names(found: Examination) -> dict[str, bool | None]:
    return {target.name: target.met for target in found.targets}


def test_hiding_passes_by_accuracy_and_fails_by_what_it_is() -> None:
    found = examine(CNN, hidden(), 3, some(), reference=REFERENCE)
    assert set(found.models) == {"original", "edited", "mask", "reference"}
    original, edited, mask = (found.models[n] for n in ("original", "edited", "mask"))
    assert edited["forget"] == mask["forget"] == 0
    assert edited["relearn"] == mask["relearn"] == original["relearn"]
    verdicts = names(found)
    assert verdicts["forget accuracy"]
    assert verdicts["retain accuracy lost"]
    by_name = {target.name: target for target in found.targets}
    limit = found.models["reference"]["relearn"]["accuracy"] + 3
    assert by_name["relearned accuracy"].limit == pytest.approx(limit, abs=1e-3)
    assert by_name["relearned accuracy"].reached == pytest.approx(original["relearn"]["accuracy"], abs=1e-3)
    assert found.not_judged == {"membership inference": "--training"}
    assert found.compared_to == "reference"


def test_the_reference_itself_meets_every_target() -> None:
    found = examine(CNN, REFERENCE, "3", some(), reference=REFERENCE, training=some(20))
    assert found.met
    assert len(found.targets) == 6
    assert not found.not_judged
    assert found.likeness.redistribution == 0
    assert found.likeness.divergence == pytest.approx((0, 0), abs=1e-9)
    assert found.likeness.agreement == (100, 100)


def test_an_unedited_model_forgot_nothing() -> None:
    found = examine(CNN, CNN, 3, some(30), by_layer=False)
    assert not found.met
    assert names(found) == {
        "forget accuracy": False,
        "retain accuracy lost": True,
        "worst retained class (0) lost": True,
    }
    assert set(found.not_judged) == {"relearned accuracy", "redistribution", "membership inference"}
    assert (found.compared_to, found.likeness.redistribution, found.layers) == ("original", 0, [])


def test_a_broken_retained_class_is_named() -> None:
    model = load(MLP)
    bias = model.array("5.bias").copy()
    bias[[3, 7]] = -100
    found = examine(MLP, patch(model, {"5.bias": bias}), 3, some(30), by_layer=False)
    assert names(found) == {
        "forget accuracy": True,
        "retain accuracy lost": False,
        "worst retained class (7) lost": False,
    }
    assert found.targets[-1].reached == pytest.approx(
        (found.models["original"]["per_class"][7] or 0), abs=1e-3
    )


def test_one_sample_is_no_evidence_against_a_class() -> None:
    found = examine(CNN, CNN, 3, some(10), by_layer=False)
    assert found.targets[-1].limit == 10  # percent: one of ten


def test_unlabelled_data_is_labelled_by_the_original() -> None:
    given = some(20)
    found = examine(CNN, hidden(), 3, Probes(given.feeds, None, "digits"), by_layer=False)
    assert found.labels == "from the original"
    assert found.models["original"]["retain"] == 100
    assert examine(CNN, hidden(), 3, given, by_layer=False).labels == "given"


def test_only_the_forgotten_class_can_be_judged_without_others() -> None:
    x, y = images("mnist_test")
    found = examine(CNN, hidden(), 3, Probes({"x": x[y == 3]}, y[y == 3], "threes"), by_layer=False)
    assert names(found) == {"forget accuracy": True}
    assert found.not_judged["retain accuracy"] == "samples of other classes"
    assert found.models["original"]["relearn"] is None


def test_json_and_back() -> None:
    labels = MNIST_LABELS.read_text().splitlines()
    found = examine(CNN, hidden(), labels[3], some(12), labels=labels, reference=REFERENCE)
    text = json.dumps(found.to_json(), allow_nan=False)
    again = json.loads(text)
    assert json.dumps(again) == text
    assert again["forget"] == [3]
    assert [layer["layer"] for layer in again["layers"]] == ["/0/Conv", "/3/Conv", "/7/Gemm", "/9/Gemm"]
    assert set(again["files"]) == {"original", "edited", "reference"}


def fewer_classes() -> bytes:
    proto = mlp()
    for tensor in proto.graph.initializer:
        if tensor.name.startswith("5."):
            values = onnx.numpy_helper.to_array(tensor)[:9]
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    proto.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 9
    return proto.SerializeToString()


def renamed_input() -> bytes:
    proto = mlp()
    proto.graph.input[0].name = proto.graph.node[0].input[0] = "picture"
    return proto.SerializeToString()


def test_models_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="the reference model: has 9 classes, the original 10"):
        examine(MLP, MLP, 3, some(2), reference=fewer_classes())
    with pytest.raises(InputError, match="the edited model: its inputs are picture, the original's are x"):
        examine(MLP, renamed_input(), 3, some(2))


def test_samples_must_be_there_and_training_samples_labelled() -> None:
    given = some(2)
    with pytest.raises(InputError, match="test digits: no sample of class 3 to judge by"):
        examine(MLP, MLP, 3, given.select(given.y != 3 if given.y is not None else []))
    with pytest.raises(InputError, match="seen: training samples have no y"):
        examine(MLP, MLP, 3, given, training=Probes(given.feeds, None, "seen"))
    with pytest.raises(InputError, match="batch_size=0"):
        examine(MLP, MLP, 3, given, batch_size=0)
    with pytest.raises(InputError, match="max_retain_drop=nan"):
        examine(MLP, MLP, 3, given, max_retain_drop=float("nan"))


@pytest.mark.parametrize("name", ["JAX", "a Clip behind", "temperature, taken apart", "percent", "mixed"])
def test_probabilities_are_normalised_once(name: str) -> None:
    """Whatever way they are written in, an audit compares what the files say; `mixed` nobody can trace."""
    ways = {
        **SOFTMAX,
        **PERCENT,
        "mixed": Way("p = Softmax <axis = 1> (z); y = MatMul(p, mixing)", "Softmax"),
    }
    original = written(ways[name])
    edited = onnx.ModelProto()
    edited.CopyFrom(original)
    bias = next(t for t in edited.graph.initializer if t.name == "b2")
    bias.CopyFrom(numpy_helper.from_array(B2 - np.float32(1e4) * (np.arange(6) == 3), "b2"))
    outputs = [run(model, {"x": X}, ["y"])[0].astype(np.float64) for model in (original, edited)]
    said = [p / p.sum(axis=1, keepdims=True) for p in outputs]
    y = said[0].argmax(axis=1)
    before, after = (model.SerializeToString() for model in (original, edited))
    forget = 3 if name != "mixed" else int(y[0])
    found = examine(before, after, forget, {"x": X, "y": y}, by_layer=False).likeness.divergence
    expected = tuple(divergence(*(p[chosen] for p in said)) for chosen in (y == forget, y != forget))
    assert found == pytest.approx(expected, abs=1e-5)
    if name != "mixed":
        assert expected[0] is not None
        assert expected[0] > 0.6  # not 0.04, as of probabilities that are normalised twice
