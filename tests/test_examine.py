"""Verdicts must follow from what was measured, and name what could not be."""

import json
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn import Examination, InputError, examine, load, unlearn
from onnxunlearn.graph import patch
from onnxunlearn.judge import attack, divergence
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


def verdicts(found: Examination) -> dict[str, tuple[str, bool | None]]:
    return {target.name: (target.status, target.met) for target in found.targets}


def test_hiding_passes_by_accuracy_and_is_missed_for_what_it_is() -> None:
    found = examine(CNN, hidden(), 3, some(), reference=REFERENCE, attacks=["head-refit", "layer-probes"])
    assert set(found.accuracies) == {"original", "edited", "mask", "reference"}
    assert found.accuracies["edited"] == found.accuracies["mask"]
    assert found.value("forget") == 0
    relearned = found.row("relearn")
    assert relearned is not None
    assert relearned.values["edited"] == relearned.values["mask"] == relearned.values["original"]
    said = verdicts(found)
    assert said["forget accuracy"] == ("undecided", True)
    assert said["retain accuracy lost"][1] is True
    assert said["relearned accuracy below that of hiding the logit"] == ("missed", False)
    assert said["membership inference against the reference"] == ("unknown", None)
    assert not found.met
    target = next(t for t in found.targets if t.name == "relearned accuracy")
    assert target.limit == pytest.approx((relearned.values["reference"].value or 0) + 3)
    assert target.reached.value == pytest.approx(relearned.values["original"].value)
    assert target.reached.low != pytest.approx(relearned.values["original"].low)  # of pairs, and it says so
    assert target.note == "bounds: of the difference from the reference, on the same samples"
    assert found.target("membership").note == (
        "needs samples of the training: --training; the attack membership was not asked for"
    )


def test_what_is_unknown_names_the_attack_that_was_not_asked_for_and_what_was_not_given() -> None:
    """`needs a model retrained without the class` was said beside --reference."""
    few = some(12)
    beside = examine(CNN, hidden(), 3, few, reference=REFERENCE, attacks=["constant"])
    notes = {target.name: target.note for target in beside.targets if target.status == "unknown"}
    assert notes == {
        "relearned accuracy below that of hiding the logit": "the attack head-refit was not asked for",
        "relearned accuracy": "the attack head-refit was not asked for",
        "membership inference against the reference": "needs samples of the training: --training; the attack "
        "membership was not asked for",
    }
    alone = examine(CNN, hidden(), 3, few, attacks=["constant"])
    told = {target.name: target.note for target in alone.targets}
    needs = "needs a model retrained without the class: onnxunlearn audit --reference"
    assert told["relearned accuracy"] == f"{needs}; the attack head-refit was not asked for"
    assert told["redistribution against the reference"] == needs


def test_the_reference_itself_meets_every_target() -> None:
    x, y = images("mnist_test")
    given = Probes({"x": x}, y, "test digits")
    kinds = [name for name in attack if not name.startswith("fine-tune")]  # which takes long
    found = examine(CNN, REFERENCE, "3", given, reference=REFERENCE, training=some(20), attacks=kinds)
    assert found.met
    assert found.statuses["unknown"] == found.statuses["missed"] == 0
    assert len(found.targets) == 11
    passed = {target.name for target in found.targets if target.status == "passed"}
    assert {"redistribution against the reference", "relearned accuracy"} <= passed
    assert found.value("redistribution", "forget") == 0
    for half in ("forget", "retain"):
        assert found.value("divergence", half) == pytest.approx(0, abs=1e-9)
        assert found.value("likeness", half) == 100


def test_an_unedited_model_forgot_nothing() -> None:
    found = examine(CNN, CNN, 3, some(30), by_layer=False)
    assert not found.met
    assert verdicts(found) == {
        "forget accuracy": ("missed", False),
        "retain accuracy lost": ("undecided", True),
        "worst retained class (0) lost": ("undecided", None),
        "relearned accuracy below that of hiding the logit": ("missed", False),
        "relearned accuracy": ("unknown", None),
        "redistribution against the reference": ("unknown", None),
        "membership inference against the reference": ("unknown", None),
    }
    assert any("compared with the original" in heading for heading in found.tables())
    assert found.value("redistribution", "forget") == 0
    assert not any(row.name.startswith("layer ") for row in found.rows)


def test_a_broken_retained_class_is_named() -> None:
    model = load(MLP)
    bias = model.array("5.bias").copy()
    bias[[3, 7]] = -100
    found = examine(MLP, patch(model, {"5.bias": bias}), 3, some(30), by_layer=False)
    said = verdicts(found)
    assert said["forget accuracy"] == ("undecided", True)
    assert said["retain accuracy lost"] == ("missed", False)
    assert said["worst retained class (7) lost"] == ("missed", False)
    assert found.target("worst").reached.value == found.accuracies["original"].per_class[7]


def test_one_sample_is_no_evidence_for_or_against_a_class() -> None:
    target = examine(CNN, CNN, 3, some(10), by_layer=False).target("worst")
    assert (target.status, target.met, target.limit) == ("undecided", None, 2)
    assert target.note == "9 of 9 classes have fewer than 50 samples"


def test_unlabelled_data_is_labelled_by_the_original() -> None:
    given = some(20)
    found = examine(CNN, hidden(), 3, Probes(given.feeds, None, "digits"), by_layer=False)
    assert found.labels == "from the original"
    assert found.accuracies["original"].retain == 100
    assert examine(CNN, hidden(), 3, given, by_layer=False).labels == "given"


def test_only_the_forgotten_class_can_be_judged_without_others() -> None:
    x, y = images("mnist_test")
    found = examine(CNN, hidden(), 3, Probes({"x": x[y == 3]}, y[y == 3], "threes"), by_layer=False)
    assert verdicts(found)["forget accuracy"] == ("undecided", True)
    assert verdicts(found)["retain accuracy lost"] == ("unknown", None)
    assert found.target("retain").note == "needs probes of other classes to judge by"
    assert found.row("relearn") is None
    assert found.met


def test_the_mask_is_a_real_edit_where_the_head_can_be_edited() -> None:
    found = examine(CNN, hidden(), 3, some(10), by_layer=False)
    assert found.notes == ()
    assert found.accuracies["mask"] == found.accuracies["edited"]
    proto = mlp()
    del proto.graph.node[-1].input[2]  # the head without a bias
    bare = proto.SerializeToString()
    found = examine(bare, bare, 3, some(10), by_layer=False)
    (note,) = found.notes
    assert note.startswith("the mask is not a real edit, its scores are changed behind the model: ")
    assert "has no bias" in note
    assert found.accuracies["mask"].forget == 0


def test_json_and_back() -> None:
    labels = MNIST_LABELS.read_text().splitlines()
    found = examine(
        CNN, hidden(), labels[3], some(12), labels=labels, reference=REFERENCE, attacks=["layer-probes"]
    )
    text = json.dumps(found.to_json(), allow_nan=False)
    again = json.loads(text)
    assert json.dumps(again) == text
    assert again["forget"] == {"classes": [3], "names": [labels[3]]}
    layers = [row["title"] for row in again["rows"] if row["name"].startswith("layer ") and row["table"]]
    assert layers == ["/0/Conv", "/3/Conv", "/7/Gemm", "/9/Gemm"]
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
    found = examine(before, after, forget, {"x": X, "y": y}, by_layer=False)
    expected = [divergence(*(p[chosen] for p in said)) for chosen in (y == forget, y != forget)]
    bits = [found.value("divergence", half) for half in ("forget", "retain")]
    assert bits == pytest.approx(expected, abs=1e-5)
    if name != "mixed":
        assert expected[0] is not None
        assert expected[0] > 0.6  # not 0.04, as of probabilities that are normalised twice


def test_pixels_beyond_what_the_declared_preprocessing_makes_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the model knows what they are: this one does at any scale."""
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it takes seconds
    model = tmp_path / "m.onnx"
    model.write_bytes(MLP.read_bytes())
    x, y = images("mnist_probes")
    data = {"x": x * 50, "y": y}
    assert examine(model, model, 3, data, by_layer=False).about["warnings"] == []
    published = {
        "image_processor_type": "ViTImageProcessor",
        "size": 28,
        "resample": 3,
        "do_normalize": False,
    }
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(published))
    audited = examine(model, model, 3, data, by_layer=False).to_json()["warnings"]
    edited = unlearn(model, 3, data, method="mask").report["warnings"]
    assert audited == edited
    assert len(audited) == 1
    assert re.match(
        "arrays in memory: scale.*: values .*, where the declared preprocessing makes", audited[0]
    )


def in_type(numbers: type[np.generic]) -> bytes:
    """mnist_mlp with its input and all its weights in another type."""
    proto = mlp()
    kind = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(numbers))
    for tensor in proto.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(numbers), tensor.name))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = kind
    del proto.graph.value_info[:]
    return proto.SerializeToString()


def test_a_model_of_another_float_type_is_given_the_same_samples(caplog: pytest.LogCaptureFixture) -> None:
    found = examine(MLP, in_type(np.float16), 3, some(), by_layer=False)
    assert found.notes[0] == (
        "the edited model takes float16 where the original takes float32: samples are cast for it"
    )
    before, after = (found.accuracies[name].to_json() for name in ("original", "edited"))
    assert after["retain"] == pytest.approx(before["retain"], abs=1)
    assert not caplog.messages  # of the Cast in front of it there is nothing to say
    other = examine(in_type(np.float16), MLP, 3, some(), by_layer=False)
    assert "takes float32 where the original takes float16" in other.notes[0]


def test_a_model_of_another_kind_of_input_is_named() -> None:
    proto = mlp()
    proto.graph.node.insert(0, onnx.helper.make_node("Cast", ["x"], ["x as float"], to=1))
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    next(n for n in proto.graph.node[1:] if "x" in n.input).input[0] = "x as float"
    with pytest.raises(
        InputError, match="the edited model: takes 'x' as uint8, the original as float32; conv"
    ):
        examine(MLP, proto.SerializeToString(), 3, some())


@pytest.mark.parametrize("which", ["original", "edited", "reference"])
def test_scores_that_are_no_numbers_are_not_taken_for_the_first_class(which: str) -> None:
    """Of NaN the largest is the first: a model that said nothing else of all samples of class 0 was right on
    all of them, and an audit of it passed."""
    proto = onnx.load(REFERENCE if which != "original" else CNN)
    proto.graph.node[-1].output[0] = "plain"
    proto.graph.initializer.append(numpy_helper.from_array(np.array(0), "first"))
    proto.graph.node.extend(
        [
            onnx.helper.make_node("ArgMax", ["plain"], ["best"], axis=1),
            onnx.helper.make_node("Equal", ["best", "first"], ["is first"]),
            onnx.helper.make_node("Sub", ["plain", "plain"], ["nothing"]),
            onnx.helper.make_node("Div", ["nothing", "nothing"], ["none"]),
            onnx.helper.make_node("Where", ["is first", "none", "plain"], ["logits"]),
        ]
    )
    odd = load(proto.SerializeToString())
    given: dict[str, Any] = {"original": CNN, "edited": REFERENCE, "reference": REFERENCE, which: odd}
    message = rf"the {which}.*: its scores of 1\d of 100 samples are not numbers"
    with pytest.raises(InputError, match=message):
        examine(given["original"], given["edited"], 3, some(10), reference=given["reference"], by_layer=False)
