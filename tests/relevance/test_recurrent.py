"""LSTM, GRU and RNN: gradients against torch, signal-take-all against loops over single numbers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import FileBytes, Logits, Model, as_float64, find_logits, load
from onnxunlearn.relevance import Composite, Propagator, RuleSpec, parse_composite
from onnxunlearn.relevance.composites import BASE
from tests.relevance.recurrent_nodes import FUNCTIONS, GATES, PARAMETERS, Array, Case, restated

torch = pytest.importorskip("torch")

from onnxunlearn.engines.torch import import_model  # noqa: E402

DIRECTIONS = ("forward", "reverse", "bidirectional")


def relevance(
    case: Case, composite: Composite, engine: str = "numpy", dtype: type[Any] = np.float64
) -> Array:
    model = case.model() if dtype is np.float32 else as_float64(case.model())
    logits = Logits("logits", "logits", case.R.shape[1], None)
    propagator = Propagator(model, logits, create_engine(engine), composite, ["x"], dtype)
    (batch,) = propagator.run({"x": case.x.astype(dtype)}, case.R.astype(dtype), len(case.x))
    return batch.relevance["x"]


def take_all(epsilon: float = 1e-6) -> Composite:
    spec = RuleSpec("signal_take_all", {"epsilon": epsilon})
    return Composite("signal", (("recurrent", spec), *BASE))


def assert_close(found: Array, expected: Array, tolerance: float) -> None:
    scale = max(float(np.abs(expected).max()), 1e-9)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * scale)


def activations(names: list[str]) -> dict[str, Any]:
    """The attributes, with other parameters than the defaults for those that have any."""
    found: dict[str, Any] = {"activations": names}
    for key, letter in (("alpha", "a"), ("beta", "b")):
        numbers = [0.3 + 0.1 * i for i, name in enumerate(names) if letter in PARAMETERS.get(name, "")]
        found |= {f"activation_{key}": numbers} if numbers else {}
    return found


EVERYTHING = ("bias", "initial", "lengths")
CASES = [
    *(Case(op, direction, given=EVERYTHING) for op in GATES for direction in DIRECTIONS),
    *(
        Case(op, direction, 14, given=EVERYTHING, attributes={"layout": 1})
        for op in GATES
        for direction in DIRECTIONS
    ),
    *(Case(op, opset=opset) for op in GATES for opset in (7, 11, 13, 14, 22)),
    *(Case(op, "bidirectional", outputs=(o,)) for op in GATES for o in ("Y", "Y_h")),
    *(Case(op, given=(), sizes=(1, 1, 2, 1)) for op in GATES),
    Case("LSTM", "reverse", outputs=("Y_c",)),
    Case("LSTM", outputs=("Y_h", "Y_c"), given=()),
    Case("LSTM", "bidirectional", given=("bias", "initial", "peepholes")),
    *(
        Case("GRU", "bidirectional", given=given, attributes={"linear_before_reset": 1})
        for given in ((), ("bias",), ("bias", "initial"))
    ),
    # what exporters rarely write
    *(Case(op, direction, given=(*EVERYTHING, "short")) for op in GATES for direction in DIRECTIONS),
    *(
        Case(op, direction, 14, given=("initial", "short"), attributes={"layout": 1})
        for op in GATES
        for direction in DIRECTIONS
    ),
    *(Case(op, direction, attributes={"clip": 0.7}) for op in GATES for direction in DIRECTIONS),
    *(
        Case("LSTM", direction, given=given, attributes={"input_forget": 1})
        for direction in DIRECTIONS
        for given in (("bias", "initial"), ("bias", "peepholes"))
    ),
    Case("GRU", given=("bias", "initial", "short"), attributes={"clip": 0.5, "linear_before_reset": 1}),
    Case("LSTM", given=("initial", "peepholes", "short"), attributes={"clip": 0.5, "input_forget": 1}),
    *(Case("RNN", attributes=activations([name])) for name in FUNCTIONS),
    *(Case("GRU", attributes=activations(["HardSigmoid", name])) for name in FUNCTIONS),
    *(Case("LSTM", attributes=activations(["HardSigmoid", name, "Tanh"])) for name in FUNCTIONS),
    *(Case("LSTM", attributes=activations(["Sigmoid", "Tanh", name])) for name in FUNCTIONS),
    Case("RNN", "bidirectional", attributes=activations(["Relu", "LeakyRelu"])),
    Case(
        "LSTM",
        "bidirectional",
        attributes={**activations(["HardSigmoid", "Softsign", "ScaledTanh"] * 2), "clip": 0.8},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_engines_agree(case: Case) -> None:
    """The forward pass; ONNX Runtime has no layout 1."""
    model = case.model()
    first, *others = ("numpy", "torch") if "layout" in case.attributes else ("onnxruntime", "numpy", "torch")
    expected = create_engine(first).session(model.proto).run({"x": case.x})["logits"]
    for engine in others:
        found = create_engine(engine).session(model.proto).run({"x": case.x})["logits"]
        assert_close(found, expected, 1e-5)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_torch_autograd(case: Case) -> None:
    module = import_model(as_float64(case.model()).proto)
    leaf = torch.tensor(case.x.astype(np.float64), requires_grad=True)
    (module(leaf) * torch.tensor(case.R)).sum().backward()
    gradient = parse_composite("gradient")
    for engine in ("numpy", "torch"):
        assert_close(relevance(case, gradient, engine), leaf.grad.numpy(), 1e-9)
    if "layout" not in case.attributes:  # ONNX Runtime has no layout 1
        assert_close(relevance(case, gradient, "onnxruntime", np.float32), leaf.grad.numpy(), 1e-4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_is_the_slope(case: Case) -> None:
    """Finite differences in float64 along a random direction."""
    session = create_engine("numpy").session(as_float64(case.model()).proto)
    x, step = case.x.astype(np.float64), 1e-6
    direction = np.random.default_rng(5).normal(size=x.shape)
    up, down = (session.run({"x": x + sign * step * direction})["logits"] for sign in (1, -1))
    slope = ((up - down) * case.R).sum() / (2 * step)
    gradient = relevance(case, parse_composite("gradient"))
    assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_signal_take_all(case: Case) -> None:
    expected = restated(case)
    for engine in ("numpy", "torch"):
        assert_close(relevance(case, parse_composite("epsilon"), engine), expected, 1e-9)
    if "layout" not in case.attributes:
        expected = restated(case, 0.01)  # far from cancelling denominators, where float32 is no match
        assert_close(relevance(case, take_all(0.01), "onnxruntime", np.float32), expected, 1e-3)


@settings(derandomize=True, max_examples=40)
@given(data=st.data())
def test_signal_take_all_on_any_shape(data: st.DataObject) -> None:
    size = st.integers(1, 4)
    op = data.draw(st.sampled_from(list(GATES)))
    optional = [*EVERYTHING, "peepholes"] if op == "LSTM" else [*EVERYTHING]
    outputs = ["Y", "Y_h", "Y_c"] if op == "LSTM" else ["Y", "Y_h"]
    case = Case(
        op,
        data.draw(st.sampled_from(DIRECTIONS)),
        14,
        tuple(data.draw(st.lists(st.sampled_from(optional), unique=True))),
        tuple(o for o in outputs if data.draw(st.booleans())) or ("Y",),
        data.draw(st.tuples(size, size, size, size)),
        {"layout": 1} if data.draw(st.booleans()) else {},
        data.draw(st.integers(0, 1000)),
    )
    if op == "GRU" and data.draw(st.booleans()):
        case = replace(case, attributes={**case.attributes, "linear_before_reset": 1})
    assert_close(relevance(case, take_all(0.001)), restated(case, 0.001), 1e-9)


@pytest.mark.parametrize("op", GATES)
def test_a_gate_of_zeros(op: str) -> None:
    """Nothing goes through weights of 0, but they still have a shape."""
    case = Case(op, given=("initial",))
    for weight in ("w", "r"):
        case.constants[weight][:, -case.sizes[-1] :] = 0  # the signal of all three
    assert_close(relevance(case, take_all()), restated(case), 1e-9)
    assert relevance(case, parse_composite("gradient")).any() == (op != "RNN")


@pytest.mark.parametrize("lbr", [0, 1])
@pytest.mark.parametrize("op", GATES)
def test_conserves_without_biases(op: str, lbr: int) -> None:
    """Gates take nothing and tanh passes: what arrives is what leaves, up to ε."""
    attributes = {"linear_before_reset": lbr} if op == "GRU" else {}
    case = Case(op, "bidirectional", given=(), attributes=attributes)
    found = relevance(case, take_all(1e-12)).sum(axis=(1, 2))
    np.testing.assert_allclose(found, case.R.sum(axis=1), rtol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        ({"activations": ["Mish"]}, "'Mish' is unknown"),
        ({"activations": ["Affine"]}, "Affine without activation_alpha"),
    ],
)
@pytest.mark.parametrize("engine", ["numpy", "torch"])
def test_refuses_activations_that_nobody_defines(attributes: dict[str, Any], what: str, engine: str) -> None:
    with pytest.raises(OnnxUnlearnError, match=what):
        relevance(Case("RNN", attributes=attributes), take_all(), engine)


@pytest.mark.parametrize("engine", ["onnxruntime", "numpy", "torch"])
@pytest.mark.parametrize("op", GATES)
def test_lengths_are_fed(op: str, engine: str) -> None:
    """sequence_lens as an input of the model (packed sequences): as if it were the constant."""
    case = Case(op, "bidirectional", given=("bias", "short"))
    proto = case.model().proto
    (lengths,) = [t for t in proto.graph.initializer if t.name == "lengths"]
    proto.graph.initializer.remove(lengths)
    proto.graph.input.append(helper.make_tensor_value_info("lengths", TensorProto.INT32, ["n"]))
    model = Model(FileBytes(proto.SerializeToString()), proto)
    logits = Logits("logits", "logits", case.R.shape[1], None)
    propagator = Propagator(model, logits, create_engine(engine), take_all(0.01), ["x"])
    feeds = {"x": case.x, "lengths": case.constants["lengths"]}
    (batch,) = propagator.run(feeds, case.R.astype(np.float32), len(case.x))
    assert_close(batch.relevance["x"], restated(case, 0.01), 1e-3)


def exported(network: Any, x: Any, path: Path) -> Model:
    free = {"x": {0: "n"}, "logits": {0: "n"}}
    names = {"input_names": ["x"], "output_names": ["logits"], "dynamic_axes": free}
    torch.onnx.export(network, (x,), str(path), opset_version=17, dynamo=False, **names)
    return load(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", GATES)
def test_exported_classifier(kind: str, tmp_path: Path) -> None:
    """Two bidirectional layers; the logits see the last step of the sequence and the last hidden state."""

    class Classifier(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = getattr(torch.nn, kind)(5, 6, 2, batch_first=True, bidirectional=True)
            self.head = torch.nn.Linear(18, 4)

        def forward(self, x):  # type: ignore[no-untyped-def]
            y, last = self.recurrent(x)
            last = last[0] if kind == "LSTM" else last
            return self.head(torch.cat([y[:, -1], last[-1]], 1))

    torch.manual_seed(0)
    network, x = Classifier().eval(), torch.randn(3, 5, 5, requires_grad=True)
    model = exported(network, x.detach(), tmp_path / "model.onnx")
    scores = network(x)
    targets = np.array([0, 3, 1])
    chosen = scores[torch.arange(3), torch.as_tensor(targets)]
    (chosen * chosen.detach()).sum().backward()
    for engine in ("onnxruntime", "numpy", "torch"):
        for composite in ("gradient", "epsilon"):
            propagator = Propagator(
                model, find_logits(model), create_engine(engine), parse_composite(composite), ["x"]
            )
            (batch,) = propagator.run({"x": x.detach().numpy()}, targets, 3)
            assert_close(batch.logits, scores.detach().numpy(), 1e-5)
            assert np.isfinite(batch.relevance["x"]).all()
            if composite == "gradient":
                assert_close(batch.relevance["x"], x.grad.numpy(), 1e-4)
