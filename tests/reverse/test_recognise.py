"""Compositions that exporters take apart are seen as one node, and mean the same."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, load
from onnxunlearn.relevance import Propagator, parse_composite
from onnxunlearn.reverse.recognise import recognise
from tests.relevance.layers import model_of

torch = pytest.importorskip("torch")
nn = torch.nn


class RMSNorm(nn.Module):  # type: ignore[misc, name-defined]
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(width) + 0.5)

    def forward(self, x):  # type: ignore[no-untyped-def]
        return self.weight * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def exported(network: nn.Module, folder: Path, opset: int) -> Model:  # type: ignore[name-defined]
    path = folder / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            nn.Sequential(nn.Linear(6, 8), network, nn.Linear(8, 3)).eval(),
            torch.randn(2, 6),
            str(path),
            dynamo=False,
            opset_version=opset,
            input_names=["x"],
            output_names=["logits"],
        )
    return load(path)


CASES = [
    pytest.param(nn.LayerNorm(8), 13, "LayerNormalization", id="LayerNorm"),
    pytest.param(nn.LayerNorm(8, elementwise_affine=False), 13, "LayerNormalization", id="LayerNorm plain"),
    pytest.param(RMSNorm(8), 13, "RMSNormalization", id="RMSNorm"),
    pytest.param(nn.GELU(), 13, "Gelu", id="GELU"),
    pytest.param(nn.GELU(approximate="tanh"), 13, "Gelu", id="GELU tanh"),
    pytest.param(nn.SiLU(), 13, "Swish", id="SiLU"),
    pytest.param(nn.Mish(), 13, "Mish", id="Mish"),
    pytest.param(nn.Hardswish(), 11, "HardSwish", id="Hardswish"),
]


@pytest.mark.parametrize(("network", "opset", "op"), CASES)
def test_recognised(network: nn.Module, opset: int, op: str, tmp_path: Path) -> None:  # type: ignore[name-defined]
    torch.manual_seed(0)
    model = exported(network, tmp_path, opset)
    view = recognise(model)
    assert op not in [n.op for n in model.nodes]
    assert [n.op for n in view.nodes if n.op != "Constant"] == ["Gemm", op, "Gemm"]
    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    logits = Logits("logits", "logits", 3, None)
    engine = create_engine("onnxruntime")
    inside = [
        o for n in model.nodes for o in n.outputs if o in model.activations and o not in view.activations
    ]
    gradients = []
    for tensors in (["x"], ["x", inside[-1]]):  # asking for an inner tensor keeps the parts
        propagator = Propagator(model, logits, engine, parse_composite("gradient"), tensors)
        (batch,) = propagator.run({"x": x}, np.array([0, 2]), 2)
        gradients.append(batch.relevance["x"])
    np.testing.assert_allclose(gradients[0], gradients[1], atol=1e-4 * np.abs(gradients[1]).max())


def test_activations_pass_relevance_as_a_whole(tmp_path: Path) -> None:
    model = exported(nn.GELU(), tmp_path, 13)
    (gemm, gelu) = [n for n in recognise(model).nodes if n.op in {"Gemm", "Gelu"}][:2]
    x = np.random.default_rng(0).normal(size=(2, 6)).astype(np.float32)
    logits = Logits("logits", "logits", 3, None)
    names = [gemm.outputs[0], gelu.outputs[0]]
    propagator = Propagator(model, logits, create_engine("onnxruntime"), parse_composite("epsilon"), names)
    (batch,) = propagator.run({"x": x}, np.array([0, 2]), 2)
    np.testing.assert_array_equal(batch.relevance[names[0]], batch.relevance[names[1]])


def test_nothing_to_recognise_is_the_model_itself(tmp_path: Path) -> None:
    model = exported(nn.ReLU(), tmp_path, 13)
    assert recognise(model) is model


#: name -> opset, what makes b of x, whether x·b/6 is a HardSwish
GATES = {
    "clipped at 0 and 6": (11, [helper.make_node("Clip", ["a", "zero", "six"], ["b"])], True),
    "clipped at 0 alone": (11, [helper.make_node("Clip", ["a", "zero"], ["b"])], False),
    "attributes 0 and 6": (10, [helper.make_node("Clip", ["a"], ["b"], min=0.0, max=6.0)], True),
    "attributes 0 and 4": (10, [helper.make_node("Clip", ["a"], ["b"], min=0.0, max=4.0)], False),
    "attribute 0 alone": (10, [helper.make_node("Clip", ["a"], ["b"], min=0.0)], False),
}


@pytest.mark.parametrize("name", GATES)
def test_only_a_clip_at_both_bounds_is_a_hardswish(name: str) -> None:
    opset, gate, same = GATES[name]
    add, mul = helper.make_node("Add", ["x", "three"], ["a"]), helper.make_node("Mul", ["x", "b"], ["c"])
    nodes = [add, *gate, mul, helper.make_node("Div", ["c", "six"], ["y"])]
    numbers = {name: np.asarray(v, np.float32) for name, v in {"zero": 0, "three": 3, "six": 6}.items()}
    model = model_of(nodes, {"x": ["n", 4]}, numbers, "y", ["n", 4], opset)
    assert ("HardSwish" in [n.op for n in recognise(model).nodes]) is same


@pytest.mark.parametrize(("beta", "same"), [(0.5, True), (0.25, False)])
def test_only_the_hardsigmoid_through_a_half_makes_a_hardswish(beta: float, same: bool) -> None:
    gate = helper.make_node("HardSigmoid", ["x"], ["b"], alpha=1 / 6, beta=beta)
    nodes = [gate, helper.make_node("Mul", ["x", "b"], ["y"])]
    model = model_of(nodes, {"x": ["n", 4]}, {}, "y", ["n", 4])
    assert ("HardSwish" in [n.op for n in recognise(model).nodes]) is same
