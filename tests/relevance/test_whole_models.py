"""Whole networks: gradients against torch autograd, float32 against float64."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, as_float64, expose, find_layers, find_logits, load
from onnxunlearn.graph.flow import sources
from onnxunlearn.neurons import neuron_relevance
from onnxunlearn.relevance import START, Propagator, parse_composite, starts
from tests.relevance.networks import networks
from tests.sample_paths import SAMPLES

torch = pytest.importorskip("torch")
nn = torch.nn

from onnxunlearn.engines.torch import import_model  # noqa: E402


def exported(network: nn.Module, x: torch.Tensor, folder: Path, dynamo: bool) -> Model:  # type: ignore[name-defined]
    path = folder / "model.onnx"
    options = {"dynamo": True, "external_data": False, "verbose": False} if dynamo else {"dynamo": False}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (x,),
            str(path),
            opset_version=18 if dynamo else 17,
            input_names=["x"],
            output_names=["logits"],
            **options,
        )
    return load(path)


@pytest.mark.parametrize("dynamo", [False, True])
@pytest.mark.parametrize("name", networks())
def test_gradient_is_torch_autograd(name: str, dynamo: bool, tmp_path: Path) -> None:
    network, x = networks()[name]
    model = exported(network, x, tmp_path, dynamo)
    (source,) = sources(model)
    if name == "text":  # relevance ends at the embedding
        leaf = network.tokens(x).detach().requires_grad_()
        network.tokens = nn.Identity()
    else:
        leaf = x.clone().requires_grad_()
    logits = network(leaf)
    (logits[:, 3] * logits[:, 3].detach()).sum().backward()
    propagator = Propagator(
        model, find_logits(model), create_engine("onnxruntime"), parse_composite("gradient"), [source]
    )
    (batch,) = propagator.run({"x": x.numpy()}, np.array([3, 3]), 2)
    expected = leaf.grad.numpy()
    np.testing.assert_allclose(batch.relevance[source], expected, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_mlp", "mnist_resnet", "fashion_mobile"])
def test_gradient_of_the_sample_models_is_torch_autograd(name: str) -> None:
    """Of the file imported into torch, in float64; and ONNX Runtime's float32 beside it."""
    model = load(SAMPLES / f"{name}.onnx")
    x = np.load(SAMPLES / f"{name.split('_')[0]}_probes.npz")["x"][:6]
    leaf = torch.tensor(x.astype(np.float64), requires_grad=True)
    scores = import_model(as_float64(model).proto)(leaf)
    chosen = scores[torch.arange(6), torch.arange(6)]
    (chosen * chosen.detach()).sum().backward()
    expected = leaf.grad.numpy()
    for engine, dtype, tolerance in (
        ("numpy", np.float64, 1e-7),  # takes HardSwish's 1/6 as an attribute, which is float32
        ("torch", np.float64, 1e-9),
        ("onnxruntime", np.float32, 1e-4),
    ):
        seen = as_float64(model) if dtype is np.float64 else model
        rules = parse_composite("gradient")
        propagator = Propagator(seen, find_logits(seen), create_engine(engine), rules, ["x"], dtype)
        (batch,) = propagator.run({"x": x.astype(dtype)}, np.arange(6), 6)
        close = np.abs(batch.relevance["x"] - expected) < tolerance * np.abs(expected).max()
        # a ReLU or a maximum at a tie to float32's precision takes another side there
        assert close.all() if dtype is np.float64 else close.mean() > 0.999, engine


@pytest.mark.parametrize(("name", "composite"), [("ResNet-18", "epsilon_plus"), ("ViT", "attnlrp")])
def test_float32_is_near_float64(name: str, composite: str, tmp_path: Path) -> None:
    """Per-channel sums within 1e-4 of the layer's largest; single elements can differ more where a
    denominator is near 0."""
    network, x = networks()[name]
    model = exported(network, x, tmp_path, dynamo=False)
    layers = find_layers(model)
    tensors = ["x", *(layer.node.outputs[0] for layer in layers)]
    axes = [1, *(layer.axis for layer in layers)]
    found = []
    for engine, dtype in (("onnxruntime", np.float32), ("torch", np.float64)):
        seen = as_float64(model) if dtype is np.float64 else model
        propagator = Propagator(
            seen, find_logits(seen), create_engine(engine), parse_composite(composite), tensors, dtype
        )
        (batch,) = propagator.run({"x": x.numpy().astype(dtype)}, np.array([3, 3]), 2)
        found.append(batch.relevance)
    for tensor, axis in zip(tensors, axes, strict=True):
        sums = [neuron_relevance(f[tensor], axis) for f in found]
        assert np.abs(sums[0] - sums[1]).max() < 1e-4 * np.abs(sums[1]).max(), tensor


@pytest.mark.parametrize("composite", ["epsilon_plus", "lra_npp"])
@pytest.mark.parametrize("name", ["mnist_cnn", "mnist_mlp", "mnist_resnet", "fashion_mobile"])
def test_engines_agree_on_the_sample_models(name: str, composite: str) -> None:
    """On the forward graph, and on the relevance graph given the same activations."""
    model = load(SAMPLES / f"{name}.onnx")
    logits, x = find_logits(model), np.load(SAMPLES / f"{name.split('_')[0]}_probes.npz")["x"][:8]
    tensors = ["x", *(layer.output for layer in find_layers(model))]
    propagator = Propagator(model, logits, create_engine("onnxruntime"), parse_composite(composite), tensors)
    graph = propagator.compiled({"x": x})
    inner = [n for n in graph.records if n not in {"x", START}]
    activations: list[dict[str, np.ndarray]] = []
    relevances: list[dict[str, np.ndarray]] = []
    for engine in ("onnxruntime", "numpy", "torch"):
        runner = create_engine(engine)
        activations.append(runner.session(expose(model, [*inner, logits.tensor])).run({"x": x}))
        seen = {**activations[0], "x": x}
        feeds = {n: seen[n] for n in graph.records if n != START}
        start = starts.logit(seen[logits.tensor], np.arange(8))
        relevances.append(runner.session(graph.model).run({**feeds, START: start}))
    for found in (activations, relevances):
        for other in found[1:]:
            for tensor, values in found[0].items():
                assert np.abs(other[tensor] - values).max() < 1e-4 * np.abs(values).max(), tensor
