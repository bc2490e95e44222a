"""Quantised nodes and networks compute the same once lowered, and relevance passes them."""

from pathlib import Path

import numpy as np
import pytest

from onnxunlearn.graph import Logits, load
from onnxunlearn.graph.flow import sources
from onnxunlearn.lowering import dequantise, lower
from tests.exact_integers import needs_exact_integers
from tests.lowering.fused_networks import TEXT, Bert, exported, fused_by_session, ort, torch
from tests.lowering.lowered import (
    ENGINES,
    MASK,
    RNG,
    ROWS,
    SAMPLES,
    Case,
    Feeds,
    assert_same,
    correlation,
    digits,
    named,
    normal,
    one_node,
    relevance,
    values,
)


def u8(*shape: int) -> np.ndarray:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape: int) -> np.ndarray:
    return RNG.integers(-127, 128, shape).astype(np.int8)


S, Z, ZI = np.array(0.02, np.float32), np.array(120, np.uint8), np.array(3, np.int8)
ONE, LOW = np.array(0.004, np.float32), np.array(0, np.uint8)
CHANNELS = np.array([0.01, 0.02, 0.03, 0.015], np.float32)
BIASES = np.array([100, -200, 300, 0], np.int32)
PAIR = [u8(2, 3, 4), S, Z, u8(3, 4), ONE, LOW, S * 2, Z]
SINGLE = [u8(2, 3, 4, 4), S, Z, ONE, LOW]
CONV = [u8(2, 3, 6, 6), S, Z, i8(4, 3, 3, 3), CHANNELS, np.zeros(4, np.int8), S * 20, Z, BIASES]
LAST = [u8(2, 6, 5, 3), *CONV[1:]]
BITS = {"K": 40, "N": 5, "block_size": 16}
STEP, START = np.array([0.0005], np.float32), np.array([3], np.int8)
WEIGHTS: list[np.ndarray | None] = [i8(1, 6, 20), i8(1, 5, 20), normal(1, 40), None, None, None, None]
QUANTISED_LSTM = [normal(4, 2, 6), *WEIGHTS, STEP, START, STEP, START]
STANDARD = {"domain": ""}
INTEGER: list[Case] = [
    ("QLinearConv", "", CONV, {**STANDARD, "pads": [1, 1, 1, 1]}),
    ("QLinearMatMul", "", [u8(2, 3, 4), S, Z, i8(4, 5), S, ZI, S * 10, LOW], STANDARD),
    ("QGemm", "", [u8(3, 4), S, Z, i8(4, 4), S, ZI, BIASES, S * 10, Z], {"transB": 1}),
    ("QGemm", "to float", [u8(3, 4), S, Z, i8(4, 5), S, ZI], {"alpha": 0.5}),
    ("QLinearAdd", "", PAIR, {"fed": (0, 3)}),
    ("QLinearMul", "", PAIR, {"fed": (0, 3)}),
    ("QLinearGlobalAveragePool", "", SINGLE, {"channels_last": 0}),
    ("QLinearAveragePool", "", SINGLE, {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("QLinearConv", "channels last", LAST, {"channels_last": 1, "pads": [1, 1, 1, 1], "strides": [2, 1]}),
    ("QLinearGlobalAveragePool", "channels last", SINGLE, {"channels_last": 1}),
    ("QLinearAveragePool", "channels last", SINGLE, {"kernel_shape": [2, 2], "channels_last": 1}),
    ("NhwcMaxPool", "", [u8(2, 5, 6, 3)], {"kernel_shape": [2, 3], "pads": [1, 0, 0, 1], "strides": [2, 1]}),
    ("QLinearSigmoid", "", SINGLE, {}),
    ("QLinearLeakyRelu", "", SINGLE, {"alpha": 0.2}),
    ("QLinearSoftmax", "", SINGLE, {"opset": 17, "axis": -1}),
    ("QLinearConcat", "", [S, Z, u8(2, 3), S, Z, u8(2, 4), ONE, LOW], {"fed": (2, 5), "axis": 1}),
    ("QuantizeLinear", "saturates", [3 * normal(4, 5), S, LOW], STANDARD),
    ("DynamicQuantizeLinear", "", [ROWS], {**STANDARD, "outputs": 3, "returned": [1, 2]}),
    ("DynamicQuantizeMatMul", "", [ROWS, i8(4, 5), S, ZI, normal(5)], {}),
    ("MatMulIntegerToFloat", "", [u8(3, 4), i8(4, 5), S, S, Z, ZI, normal(5)], {}),
    (
        "DynamicQuantizeLSTM",
        "",
        QUANTISED_LSTM,
        {"hidden_size": 5, "outputs": 3, "returned": [1, 2]},
    ),
    ("MatMulNBits", "4 bits", [normal(3, 40), u8(5, 3, 8), abs(normal(15))], {**BITS, "bits": 4}),
    ("MatMulNBits", "zeros", [normal(3, 40), u8(5, 3, 8), abs(normal(15)), u8(10)], {**BITS, "bits": 4}),
    ("MatMulNBits", "8 bits", [normal(3, 40), u8(5, 3, 16), abs(normal(15))], {**BITS, "bits": 8}),
    (
        "QAttention",
        "",
        [u8(2, 5, 8), i8(8, 24), normal(24), S, ONE, MASK, Z, ZI],
        {"num_heads": 2, "fed": (0, 5)},
    ),
]


@needs_exact_integers
@pytest.mark.parametrize("case", INTEGER, ids=named)
def test_quantised_node(case: Case) -> None:
    """Integers within one step; floats within what rounding the activations leaves open."""
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, **settings)
    integers = values(model, feeds)["y0"].dtype.kind in "iu"
    assert_same(model, dequantise(model), feeds, 1 if integers else 1e-3)


class Calibration:
    def __init__(self, x: np.ndarray) -> None:
        self.batches = iter([{"x": x[i : i + 16]} for i in range(0, len(x), 16)])

    def get_next(self) -> Feeds | None:
        return next(self.batches, None)


KINDS = ["QDQ", "QDQ per channel", "QOperator", "QOperator per channel", "QOperator channels last", "dynamic"]


@needs_exact_integers
@pytest.mark.parametrize("kind", KINDS)
def test_quantised_network(kind: str, tmp_path: Path) -> None:
    """Relevance of a quantised file is nearly that of the float model it was made from."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    source, target, feeds = SAMPLES / "mnist_cnn.onnx", tmp_path / "quantised.onnx", digits()
    if kind == "dynamic":
        quantization.quantize_dynamic(str(source), str(target))
    else:
        form, *rest = kind.split(" ", 1)
        quantization.quantize_static(
            str(source),
            str(target),
            Calibration(feeds["x"]),
            quant_format=quantization.QuantFormat[form],
            per_channel=rest == ["per channel"],
        )
    if "last" in kind:
        fused_by_session(target, tmp_path / "last.onnx", ort.GraphOptimizationLevel.ORT_ENABLE_ALL)
        target = tmp_path / "last.onnx"
        assert {"QLinearConv", "NhwcMaxPool"} <= {n.op for n in load(target).nodes if n.domain}
    plain, model = load(source), load(target)
    lowered = lower(model)
    (output,) = values(model, feeds).values()
    steps = 0.0 if kind == "dynamic" else float(np.ptp(output)) / 100
    assert_same(model, lowered, feeds, 1e-4 + steps, [*ENGINES, "torch"])
    targets = values(plain, feeds)["logits"].argmax(1)
    for composite in ("epsilon_plus", "gradient"):
        expected, found = (relevance(m, feeds, ["x"], composite, None, targets)["x"] for m in (plain, model))
        assert correlation(found, expected) > 0.95


def test_relevance_ends_at_an_embedding_of_bytes(tmp_path: Path) -> None:
    """quantize_dynamic leaves the table as bytes, and looks them up before it makes floats of them."""
    quantization = pytest.importorskip("onnxruntime.quantization")
    torch.manual_seed(0)
    exported(Bert(), TEXT, tmp_path / "plain.onnx")
    quantization.quantize_dynamic(str(tmp_path / "plain.onnx"), str(tmp_path / "quantised.onnx"))
    found = {}
    for name in ("plain", "quantised"):
        model = lower(load(tmp_path / f"{name}.onnx"))
        words = sources(model)[0]
        targets = np.zeros(3, int)
        logits = Logits("logits", "logits", 5, None)
        found[name] = relevance(model, TEXT, [words], "gradient", logits, targets)[words]
    assert correlation(found["quantised"], found["plain"]) > 0.9
