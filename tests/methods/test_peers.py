"""The published peers on trained models, judged on images that neither training nor the method has seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from onnxunlearn import InputError, unlearn
from onnxunlearn.engines import create_engine
from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph import load, patch
from onnxunlearn.methods import Workbench, run_method
from onnxunlearn.probes import Probes
from onnxunlearn.tasks import Figures, measure

from ..sample_paths import CNN, MLP, MNIST_PROBES, MOBILE, RESNET, images, mlp, probes
from .benches import bench
from .tiny import convolutional, tiny_bench, tokens_first

#: with parameters that make them do something on ten random probes
PEERS: dict[str, dict[str, float]] = {
    "svd": {"alpha_r": 100, "alpha_f": 3},
    "damp": {"strength": 1},
    "esc": {"p": 50},
    "ssd": {"alpha": 1, "dampening": 0.5},
    "neuron-mask": {"rounds": 1},
    "pxp": {"share": 25},
}


def on_test_set(data: bytes, model: Path) -> Figures:
    x, y = images("fashion_test" if model is MOBILE else "mnist_test")
    scores = create_engine().session(onnx.load_model_from_string(data)).run({"x": x})["logits"]
    return measure(scores.argmax(axis=1), y, (3,), 10)


def half_bench(model: Path) -> Workbench:
    """With half of the shipped probes, 18 a class: what these figures were taken with."""
    x, y = images("fashion_probes" if model is MOBILE else "mnist_probes")
    chosen = np.zeros(len(y), bool)
    for label in range(10):
        members = np.flatnonzero(y == label)
        chosen[np.random.default_rng([0, label]).permutation(members)[:18]] = True
    return replace(bench(model), probes=Probes({"x": x[chosen]}, y[chosen], "half"))


@pytest.mark.parametrize(
    ("method", "model", "forget", "cost", "parameters"),
    [
        # What the retain budget affords.
        ("svd", CNN, 8, 0.5, {}),
        ("svd", RESNET, 1, 0.5, {}),
        ("damp", MLP, 7, 0.6, {}),
        ("damp", CNN, 1, 0.5, {}),
        ("damp", RESNET, 1, 0.5, {}),
        ("esc", MLP, 6, 0.6, {}),
        ("esc", CNN, 3, 1.0, {}),
        ("esc", RESNET, 4, 0.5, {}),
        ("esc", MOBILE, 1, 0.5, {}),
        # Published constants, whatever they cost.
        ("svd", MLP, 16, 0.5, {"alpha_r": 100, "alpha_f": 3}),
        ("damp", MOBILE, 1, 1.5, {"strength": 1}),
        ("ssd", MOBILE, 1, 1.5, {"alpha": 1, "dampening": 0.1}),
        ("svd", MOBILE, 88, 0.5, {}),
        # Neurons serve several classes: those of one cannot be closed without the others' loss.
        ("svd", MLP, 35, 0.6, {}),
        ("neuron-mask", MLP, 80, 1.0, {}),
        ("neuron-mask", MOBILE, 93, 0.5, {"penalty": 0.5}),
        ("pxp", CNN, 90, 0.5, {}),
        ("pxp", MOBILE, 84, 0.5, {}),
    ],
    ids=lambda value: value.stem if isinstance(value, Path) else str(value),
)
def test_figures_on_unseen_images(
    method: str, model: Path, forget: float, cost: float, parameters: dict[str, float]
) -> None:
    made = half_bench(model)
    outcome = run_method(method, made, dict(parameters))
    edited = bytes(patch(made.model, outcome.edits.arrays))
    before, after = on_test_set(model.read_bytes(), model), on_test_set(edited, model)
    assert after.forget is not None
    assert before.retain is not None
    assert after.retain is not None
    assert after.forget <= forget
    assert after.retain >= before.retain - cost


@pytest.mark.slow
@pytest.mark.parametrize("model", [MLP, CNN], ids=lambda path: path.stem)
@pytest.mark.parametrize("method", PEERS)
def test_the_budget_holds_on_unseen_images(method: str, model: Path) -> None:
    result = unlearn(model, 3, MNIST_PROBES, method=method)
    before, after = on_test_set(model.read_bytes(), model), on_test_set(result.model_bytes, model)
    assert before.retain is not None
    assert after.retain is not None
    assert after.forget is not None
    assert before.forget is not None
    assert after.retain >= before.retain - 1
    assert after.forget <= before.forget


@pytest.mark.parametrize("network", [convolutional, tokens_first])
@pytest.mark.parametrize("method", PEERS)
def test_every_peer_edits_every_kind_of_layer(method: str, network: object) -> None:
    made = tiny_bench(network())  # type: ignore[operator]
    outcome = run_method(method, made, PEERS[method])
    assert outcome.edits.arrays
    assert all(np.isfinite(array).all() for array in outcome.edits.arrays.values())
    assert not np.allclose(made.scores(outcome.edits), made.scores(outcome.edits.__class__(made.model)))


@pytest.mark.parametrize("method", PEERS)
def test_probes_of_the_class_alone_are_enough_to_run(method: str) -> None:
    made = bench(only=[3])
    outcome = run_method(method, made, {})
    trial = made.trial(outcome.edits)
    assert trial.figures.retain is None
    assert trial.reach <= made.original.reach
    if method not in ("ssd", "pxp"):  # which compare with the others
        assert outcome.edits.arrays


@pytest.mark.parametrize("method", PEERS)
def test_several_classes_at_once_from_few_probes(method: str) -> None:
    given = probes(5)
    result = unlearn(MLP, [3, 5], given, method=method, parameters=PEERS[method])
    assert result.report["forget"]["classes"] == [3, 5]
    assert result.report["changes"]["bytes"] > 0


@pytest.mark.parametrize(
    ("method", "parameter", "value"),
    [
        ("svd", "alpha_r", -1),
        ("svd", "alpha_f", "much"),
        ("damp", "strength", -0.5),
        ("esc", "p", 101),
        ("ssd", "alpha", True),
        ("ssd", "dampening", -1),
        ("neuron-mask", "rounds", 1.5),
        ("neuron-mask", "penalty", 2),
        ("pxp", "share", float("nan")),
    ],
)
def test_bad_parameters_are_refused(method: str, parameter: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{method}: {parameter}={value!r}; expected a"):
        run_method(method, bench(), {parameter: value})


@pytest.mark.parametrize("method", PEERS)
def test_weights_that_serve_two_nodes_are_left_alone(method: str) -> None:
    proto = mlp()
    twin = onnx.helper.make_node("Gemm", ["/2/Relu_output_0", "3.weight", "3.bias"], ["twin"], name="twin")
    twin.attribute.append(onnx.helper.make_attribute("transB", 1))
    proto.graph.node.append(twin)
    made = bench(load(proto.SerializeToString()))
    assert "3.weight" not in run_method(method, made, PEERS[method]).edits.arrays


def test_a_model_without_weights_of_its_own_is_refused() -> None:
    proto = mlp()
    for node in proto.graph.node:
        if node.op_type == "Gemm":
            node.input[1] = f"{node.input[1]} computed"
    doubled = [
        onnx.helper.make_node("Add", [name, name], [f"{name} computed"])
        for name in ("1.weight", "3.weight", "5.weight")
    ]
    for node in reversed(doubled):
        proto.graph.node.insert(0, node)
    with pytest.raises(UnsupportedError, match="nothing can be edited"):
        run_method("svd", bench(load(proto.SerializeToString())), {})
