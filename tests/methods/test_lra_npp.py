"""LRA-NPP on trained models, judged on images that neither training nor the method has seen."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from onnxunlearn import InputError, Result, UnsupportedError, explain, unlearn
from onnxunlearn.edits import perturbation
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import find_layers, load
from onnxunlearn.probes import Probes, split
from onnxunlearn.tasks import measure

from ..sample_paths import CNN, FASHION_PROBES, MLP, MNIST_PROBES, MOBILE, RESNET, images, mlp, probes


def lra_npp(model: Path | bytes, forget: object = 3, data: object = None, **parameters: object) -> Result:
    given: Any = probes() if data is None else data
    return unlearn(model, forget, given, method="lra-npp", parameters=parameters)  # type: ignore[arg-type]


def on_test_set(data: bytes, name: str, forget: tuple[int, ...]) -> tuple[float, float]:
    """Accuracy on the classes to forget, and on the others."""
    x, y = images(name)
    scores = create_engine().session(onnx.load_model_from_string(data)).run({"x": x})["logits"]
    figures = measure(scores.argmax(axis=1), y, forget, 10)
    assert figures.forget is not None
    assert figures.retain is not None
    return figures.forget, figures.retain


@pytest.mark.parametrize(
    ("model", "forget", "cost"),
    [
        (MLP, (3,), 1.0),
        (CNN, (3,), 1.0),
        (RESNET, (3,), 1.0),
        (MOBILE, (3,), 3.0),  # one dense layer, and classes that look alike: 1.4 measured, target missed
        (MLP, (0,), 1.0),
        (CNN, (3, 5), 1.0),
        (RESNET, (3, 5), 1.0),
        (MOBILE, (0,), 1.0),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_forgets_what_it_should_and_little_else(model: Path, forget: tuple[int, ...], cost: float) -> None:
    kind = "fashion" if model is MOBILE else "mnist"
    result = lra_npp(model, forget, FASHION_PROBES if model is MOBILE else MNIST_PROBES)
    known, retained = on_test_set(model.read_bytes(), f"{kind}_test", forget)
    still_known, still_retained = on_test_set(result.model_bytes, f"{kind}_test", forget)
    assert known > 85
    assert still_known <= 2
    assert still_retained >= retained - cost
    assert result.findings.target("forget accuracy").met or cost > 1


def test_targets_are_missed_openly() -> None:
    """A perturbation too weak for the job: the report must not say that it was done."""
    result = lra_npp(MLP, k=1, m=1, perturb="halve")
    forget, retain = result.report["targets"][:2]
    assert not result.met
    assert (forget["met"], retain["met"]) == (False, True)
    assert forget["reached"] > 50


@pytest.mark.parametrize(("k", "m"), [(8, 1), (16, 5), (32, 20)])
def test_given_k_and_m_are_honoured_exactly(k: int, m: int) -> None:
    result = lra_npp(MLP, k=k, m=m)
    details = result.report["method"]["details"]
    assert details["k"] == k
    assert [cut["layer"] for cut in details["cuts"]] == ["/5/Gemm", "/3/Gemm", "/1/Gemm"]
    head, middle, first = details["cuts"]
    for cut in (head, middle, first):
        assert len(cut["outgoing"]["3"]) == m
    assert len(head["incoming"]) == len(middle["incoming"]) == m
    assert (head["before"], middle["before"], first["before"]) == ("/3/Gemm", "/1/Gemm", None)


def test_what_the_details_say_is_what_was_changed() -> None:
    result = lra_npp(MLP, k=16, m=5)
    before, after = load(MLP), load(result.model_bytes)
    head, middle, first = result.report["method"]["details"]["cuts"]
    changed = {name: before.array(name) != after.array(name) for name in before.stored}

    expected = np.zeros((10, 64), bool)
    expected[3, head["outgoing"]["3"]] = True
    np.testing.assert_array_equal(changed["5.weight"], expected)
    assert not changed["5.bias"].any()

    expected = np.zeros((64, 128), bool)
    expected[head["incoming"]] = True
    expected[np.ix_(head["outgoing"]["3"], middle["outgoing"]["3"])] = True
    np.testing.assert_array_equal(changed["3.weight"], expected)
    assert np.flatnonzero(changed["3.bias"]).tolist() == sorted(head["incoming"])

    assert np.flatnonzero(changed["1.bias"]).tolist() == sorted(middle["incoming"])
    assert not after.array("3.weight")[expected].any()
    assert first["incoming"] == []


def test_the_neurons_are_those_more_frequent_for_the_class_than_for_others() -> None:
    """The head's ranking, computed again from nothing but `explain`."""
    k, m, given = 8, 10, probes()
    choosing, _ = split(Probes({"x": given["x"]}, given["y"], "digits"), seed=0)
    y, tensor = choosing.y, "/4/Relu_output_0"
    assert y is not None
    relevance = explain(MLP, choosing, "label", composite="lra_npp", tensors=tensor)[tensor]
    order = (-relevance).argsort(axis=1, kind="stable")
    counts = np.zeros((2, 64))
    for sample, row in enumerate(order):
        top = [neuron for neuron in row[:k] if relevance[sample, neuron] > 0]
        counts[int(y[sample] == 3), top] += 1
    share = counts[1] / (y == 3).sum()
    score = share - counts[0] / (y != 3).sum()
    expected = [n for n in (-score).argsort(kind="stable") if share[n] > 0][:m]
    (head, *_) = lra_npp(MLP, k=k, m=m).report["method"]["details"]["cuts"]
    assert head["outgoing"]["3"] == expected
    assert expected != [n for n in (-share).argsort(kind="stable") if share[n] > 0][:m]

    (head, *others) = lra_npp(MLP, k=k, m=m, layers=1, subtract=False).report["method"]["details"]["cuts"]
    assert head["outgoing"]["3"] == [n for n in (-share).argsort(kind="stable") if share[n] > 0][:m]
    assert not others


def test_each_class_has_its_own_neurons() -> None:
    (head, *_) = lra_npp(CNN, [3, 5], k=8, m=4).report["method"]["details"]["cuts"]
    threes, fives = head["outgoing"]["3"], head["outgoing"]["5"]
    assert len(threes) == len(fives) == 4
    assert set(threes) != set(fives)
    assert head["incoming"] == sorted({*threes, *fives})


@pytest.mark.parametrize("name", perturbation)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_every_perturbation_can_be_asked_for(name: str) -> None:
    result = lra_npp(MLP, perturb=name)
    assert result.report["method"]["details"]["perturb"] == name
    figures = result.report["figures"]
    assert figures["edited"]["forget"] <= figures["original"]["forget"]


@pytest.mark.parametrize(
    "parameters",
    [{"k": 0}, {"m": -1}, {"k": 1.5}, {"k": "many"}, {"k": True}, {"perturb": "burn"}, {"perturb": [1]}],
    ids=str,
)
def test_bad_parameters_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(InputError) as error:
        lra_npp(MLP, **parameters)
    assert str(next(iter(parameters.values()))) in str(error.value)


def test_the_same_bytes_come_out_twice() -> None:
    for parameters in ({}, {"perturb": "noise"}):
        first, second = (lra_npp(CNN, **parameters) for _ in range(2))
        assert first.model_bytes == second.model_bytes
        assert first.report["edited"]["sha256"] == hashlib.sha256(first.model_bytes).hexdigest()


def test_another_seed_gives_other_noise() -> None:
    one, two = (
        unlearn(MLP, 3, probes(), method="lra-npp", parameters={"perturb": "noise", "m": 3}, seed=seed)
        for seed in (0, 1)
    )
    assert one.model_bytes != two.model_bytes


def test_probes_without_labels_are_labelled_by_the_model() -> None:
    x, y = images("mnist_probes")
    predicted = create_engine().session(onnx.load(MLP)).run({"x": x})["logits"].argmax(axis=1)
    blind, told = lra_npp(MLP, data={"x": x}), lra_npp(MLP, data={"x": x, "y": predicted})
    assert blind.report["probes"]["labels"] == "from the model"
    assert told.report["probes"]["labels"] == "given"
    assert blind.model_bytes == told.model_bytes
    assert blind.report["figures"]["original"]["forget"] == 100
    assert (predicted != y).any()


def test_with_probes_of_the_class_alone_the_cost_stays_unknown() -> None:
    given = probes(16)
    threes = given["y"] == 3
    result = lra_npp(MLP, data={"x": given["x"][threes], "y": given["y"][threes]})
    assert result.report["figures"]["edited"]["forget"] == 0
    assert result.report["figures"]["edited"]["retain"] is None
    forget, retain = result.report["targets"][:2]
    assert forget["met"]
    assert (retain["met"], retain["reached"]) == (None, None)
    assert result.met  # nothing that was measured was missed


def test_rows_whose_bias_serves_another_layer_are_left_alone() -> None:
    """Exporters store equal biases once; that must not stop the rest of the edit."""
    proto = mlp()
    nodes = {node.name: node for node in proto.graph.node}
    biases = {t.name: t for t in proto.graph.initializer}
    zeros = onnx.numpy_helper.from_array(np.zeros(64, np.float32), "3.bias")
    biases["3.bias"].CopyFrom(zeros)
    extra = [
        onnx.helper.make_node("Gemm", ["/4/Relu_output_0", "eye", "3.bias"], ["same"], name="same"),
        onnx.helper.make_node("Identity", ["same"], ["through"]),
    ]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.eye(64, dtype=np.float32), "eye"))
    nodes["/5/Gemm"].input[0] = "through"
    head = proto.graph.node.pop()
    proto.graph.node.extend([*extra, head])
    data = proto.SerializeToString()
    assert all(layer.bias and layer.bias.shared for layer in find_layers(load(data))[1:3])
    result = lra_npp(data)
    assert result.report["figures"]["edited"]["forget"] == 0
    assert "3.bias" not in {t["name"] for t in result.report["changes"]["tensors"]}


def test_a_head_that_is_shared_is_refused_by_name() -> None:
    proto = mlp()
    twin = onnx.helper.make_node("Gemm", ["/4/Relu_output_0", "5.weight", "5.bias"], ["twin"], name="twin")
    twin.attribute.append(onnx.helper.make_attribute("transB", 1))
    proto.graph.node.append(twin)
    proto.graph.output.append(onnx.helper.make_tensor_value_info("twin", 1, ["batch", 10]))
    with pytest.raises(UnsupportedError, match=r"'/5/Gemm'.*'5.weight' is shared with 'twin'"):
        unlearn(proto.SerializeToString(), 3, probes(), method="lra-npp", output_name="logits")
