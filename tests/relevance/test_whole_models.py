"""Whole networks: gradients against torch autograd, float32 against float64."""

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Model, as_float64, expose, find_layers, find_logits, load
from onnxunlearn.neurons import neuron_relevance
from onnxunlearn.relevance import SEED, Propagator, parse_composite, seeds
from onnxunlearn.relevance.flow import sources

torch = pytest.importorskip("torch")
nn = torch.nn
SAMPLES = Path(__file__).parents[2] / "sample_models"
sys.path.insert(0, str(SAMPLES))

from architectures import ResidualBlock  # noqa: E402


def resnet18() -> nn.Module:  # type: ignore[name-defined]
    blocks, inputs = [], 64
    for index, width in enumerate((64, 128, 256, 512)):
        blocks += [ResidualBlock(inputs, width, 1 if index == 0 else 2), ResidualBlock(width, width, 1)]
        inputs = width
    stem = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Transformer(nn.Module):  # type: ignore[misc, name-defined]
    """Tokens (of patches, or embedded ids) → two encoder layers → mean → head."""

    def __init__(self, tokens: nn.Module, length: int, width: int = 32) -> None:  # type: ignore[name-defined]
        super().__init__()
        self.tokens = tokens
        self.position = nn.Parameter(torch.randn(1, length, width) * 0.1)
        layer = nn.TransformerEncoderLayer(width, 4, 64, 0.0, "gelu", batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.head(self.norm(self.encoder(self.tokens(x) + self.position)).mean(1))


class Patches(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 32, 8, 8)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.project(x).flatten(2).transpose(1, 2)


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


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:  # type: ignore[name-defined]
    torch.manual_seed(0)
    return {
        "ResNet-18": (resnet18(), torch.randn(2, 3, 96, 96)),
        "ViT": (Transformer(Patches(), 16), torch.randn(2, 3, 32, 32)),
        "text": (Transformer(nn.Embedding(50, 32), 9), torch.randint(50, (2, 9))),
    }


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
    inner = [n for n in graph.records if n not in {"x", SEED}]
    activations: list[dict[str, np.ndarray]] = []
    relevances: list[dict[str, np.ndarray]] = []
    for engine in ("onnxruntime", "numpy", "torch"):
        runner = create_engine(engine)
        activations.append(runner.session(expose(model, [*inner, logits.tensor])).run({"x": x}))
        seen = {**activations[0], "x": x}
        feeds = {n: seen[n] for n in graph.records if n != SEED}
        seed = seeds.logit(seen[logits.tensor], np.arange(8))
        relevances.append(runner.session(graph.model).run({**feeds, SEED: seed}))
    for found in (activations, relevances):
        for other in found[1:]:
            for tensor, values in found[0].items():
                assert np.abs(other[tensor] - values).max() < 1e-4 * np.abs(values).max(), tensor
