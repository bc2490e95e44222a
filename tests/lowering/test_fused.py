"""What ONNX Runtime fused computes the same once lowered, and relevance passes it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from onnxunlearn.graph import Logits, load
from onnxunlearn.lowering import lower, lower_contrib
from tests.lowering.fused_networks import (
    PICTURES,
    TEXT,
    Bert,
    Rms,
    Vit,
    exported,
    fused_by_optimizer,
    fused_by_session,
    torch,
)
from tests.lowering.lowered import (
    ENGINES,
    MASK,
    RNG,
    ROWS,
    Case,
    Feeds,
    assert_same,
    named,
    normal,
    one_node,
    relevance,
)

X, W, B = normal(2, 3, 6, 6), normal(4, 3, 3, 3), normal(4)
TOKENS, NEXT, WIDE = normal(2, 5, 8), normal(2, 5, 8), normal(8)
IDS = RNG.integers(0, 11, (2, 5)).astype(np.int32)
TABLES = [normal(11, 8), normal(7, 8), normal(2, 8), WIDE, normal(8)]
EMBEDDINGS: list[Any] = [IDS, np.minimum(IDS, 1), *TABLES, MASK]
EMBEDDED: dict[str, Any] = {"fed": (0, 1, 7), "outputs": 2, "returned": [1]}
QKV: list[Any] = [TOKENS, normal(8, 24), normal(24)]
SEPARATE: list[Any] = [TOKENS, normal(2, 4, 8), normal(2, 4, 8)]
HEADS: dict[str, Any] = {"num_heads": 2, "fed": (0, 3, 4, 5)}
CROSS: dict[str, Any] = {"num_heads": 2, "fed": (0, 1, 2, 4, 5)}
SELF: list[Any] = [TOKENS, NEXT, normal(2, 5, 8)]
PAST = [normal(2, 2, 3, 4), normal(2, 2, 3, 4)]
LONGER: dict[str, Any] = {"num_heads": 2, "outputs": 3, "returned": [1, 2]}
TWO = (0, 1)
FUSED: list[Case] = [
    ("FusedConv", "Relu", [X, W, B], {"activation": "Relu", "pads": [1, 1, 1, 1]}),
    ("FusedConv", "LeakyRelu", [X, W, B], {"activation": "LeakyRelu", "activation_params": [0.2]}),
    ("FusedConv", "Clip", [X, W, B], {"activation": "Clip", "activation_params": [-0.5, 0.75]}),
    ("FusedConv", "Sigmoid", [X, W], {"activation": "Sigmoid"}),
    ("FusedConv", "Tanh", [X, W, B], {"activation": "Tanh", "strides": [2, 2]}),
    ("FusedConv", "HardSigmoid", [X, W, B], {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}),
    ("FusedConv", "sum", [X, W, B, normal(2, 4, 4, 4)], {"fed": (0, 3), "activation": "Relu"}),
    ("FusedGemm", "", [ROWS, normal(5, 4), normal(5)], {"transB": 1, "alpha": 0.5, "activation": "Relu"}),
    ("FusedGemm", "leaky", [ROWS, normal(4, 5)], {"activation": "LeakyRelu", "activation_alpha": 0.3}),
    ("FusedMatMul", "", [normal(2, 4, 3), normal(2, 5, 4)], {"fed": TWO, "transA": 1, "transB": 1}),
    ("FusedMatMul", "alpha", [normal(2, 3, 4), normal(4, 5)], {"alpha": 0.5}),
    ("Gemm", "of activations", [ROWS, normal(4, 5)], {"fed": TWO, "domain": ""}),
    (
        "Gemm",
        "of activations, turned",
        [normal(4, 3), normal(5, 4), normal(3, 5)],
        {"fed": (0, 1, 2), "domain": "", "transA": 1, "transB": 1, "alpha": 0.5, "beta": 2.0},
    ),
    ("Gemm", "plus an activation", [ROWS, normal(4, 5), normal(3, 5)], {"fed": (0, 2), "domain": ""}),
    ("SkipLayerNormalization", "", [TOKENS, NEXT, WIDE], {"fed": TWO}),
    (
        "SkipLayerNormalization",
        "sum",
        [TOKENS, NEXT, *[WIDE] * 3],
        {"fed": TWO, "outputs": 4, "returned": [3]},
    ),
    ("SkipLayerNormalization", "opset 13", [TOKENS, NEXT, WIDE, WIDE], {"fed": TWO, "version": 13}),
    ("SkipSimplifiedLayerNormalization", "", [TOKENS, NEXT, WIDE], {"fed": TWO, "epsilon": 1e-5}),
    ("LayerNormalization", "opset 12", [TOKENS, WIDE], {"version": 12, "domain": ""}),
    ("SimplifiedLayerNormalization", "", [TOKENS, WIDE], {"domain": ""}),
    ("EmbedLayerNormalization", "", EMBEDDINGS, EMBEDDED),
    ("EmbedLayerNormalization", "opset 12", EMBEDDINGS, {**EMBEDDED, "version": 12}),
    ("BiasGelu", "", [TOKENS, WIDE], {}),
    ("FastGelu", "", [TOKENS, WIDE], {}),
    ("Gelu", "", [TOKENS], {}),
    ("QuickGelu", "", [TOKENS], {}),
    ("Attention", "", QKV, HEADS),
    ("Attention", "scale", QKV, {**HEADS, "scale": 0.3}),
    ("Attention", "causal", QKV, {**HEADS, "unidirectional": 1}),
    ("Attention", "mask", [*QKV, MASK], HEADS),
    ("Attention", "mask, causal", [*QKV, MASK], {**HEADS, "unidirectional": 1}),
    ("Attention", "lengths", [*QKV, MASK.sum(1).astype(np.int32)], HEADS),
    ("Attention", "mask per query", [*QKV, np.repeat(MASK[:, None], 5, 1)], HEADS),
    ("Attention", "bias", [*QKV, None, None, normal(2, 2, 5, 5)], HEADS),
    ("Attention", "sizes", [TOKENS, normal(8, 20), normal(20)], {**HEADS, "qkv_hidden_sizes": [8, 8, 4]}),
    ("MultiHeadAttention", "", SEPARATE, CROSS),
    ("MultiHeadAttention", "opset 13", [*SEPARATE, normal(24)], {**CROSS, "version": 13}),
    ("MultiHeadAttention", "mask", [*SEPARATE, None, MASK[:, :4]], CROSS),
    ("MultiHeadAttention", "bias", [*SEPARATE, None, None, normal(2, 2, 5, 4)], CROSS),
    ("MultiHeadAttention", "split", [TOKENS, normal(2, 2, 4, 4), normal(2, 2, 4, 4)], CROSS),
    ("MultiHeadAttention", "past", [*SELF, None, None, None, *PAST], {**LONGER, "fed": (0, 1, 2, 6, 7)}),
    (
        "MultiHeadAttention",
        "past, bias, causal",
        [*SELF, normal(24), None, None, *PAST],
        {**LONGER, "fed": (0, 1, 2, 6, 7), "unidirectional": 1},
    ),
    (
        "Attention",
        "past",
        [*QKV, None, np.stack(PAST)],
        {**LONGER, "fed": (0, 4), "returned": [1], "outputs": 2},
    ),
    (
        "Attention",
        "past, causal",
        [*QKV, None, np.stack(PAST)],
        {**LONGER, "fed": (0, 4), "unidirectional": 1, "returned": [1], "outputs": 2},
    ),
    ("Attention", "present", QKV, {**HEADS, "outputs": 2, "returned": [1]}),
]


@pytest.mark.parametrize("case", FUSED, ids=named)
def test_fused_node(case: Case) -> None:
    op, _, operands, settings = case
    model, feeds = one_node(op, operands, **settings)
    assert_same(model, lower_contrib(model), feeds, 1e-4)


def test_a_variant_that_is_not_covered_stays() -> None:
    model, _ = one_node(
        "FusedMatMul", [normal(2, 3, 4), normal(3, 4, 5)], fed=(0, 1), transBatchA=1, transBatchB=0
    )
    assert lower(model) is model


@pytest.mark.parametrize(
    ("network", "feeds", "fuse", "ops", "opset"),
    [
        pytest.param(
            Vit,
            PICTURES,
            fused_by_session,
            {"FusedConv", "FusedGemm", "FusedMatMul", "BiasGelu"},
            17,
            id="ViT, session",
        ),
        pytest.param(
            Rms, PICTURES, fused_by_session, {"SimplifiedLayerNormalization"}, 17, id="RMS, session"
        ),
        pytest.param(
            Bert,
            TEXT,
            fused_by_session,
            {"LayerNormalization", "BiasGelu"},
            13,
            id="BERT, session, opset 13",
        ),
        pytest.param(
            Bert,
            TEXT,
            fused_by_session,
            {"FusedMatMul", "SkipLayerNormalization", "BiasGelu"},
            17,
            id="BERT, session",
        ),
        pytest.param(
            Bert,
            TEXT,
            fused_by_optimizer,
            {"Attention", "SkipLayerNormalization", "BiasGelu"},
            17,
            id="BERT, optimizer",
        ),
    ],
)
def test_fused_network(
    network: Any, feeds: Feeds, fuse: Any, ops: set[str], opset: int, tmp_path: Path
) -> None:
    """Relevance does not depend on whether ONNX Runtime has fused the model."""
    torch.manual_seed(0)
    exported(network(), feeds, tmp_path / "plain.onnx", opset)
    fuse(tmp_path / "plain.onnx", tmp_path / "fused.onnx")
    plain, fused = load(tmp_path / "plain.onnx"), load(tmp_path / "fused.onnx")
    assert ops <= {node.op for node in fused.nodes}
    assert_same(fused, lower(fused), feeds, 1e-4, [*ENGINES, "torch"])
    normed = [n.outputs[0] for n in fused.nodes if n.op.endswith("LayerNormalization")]
    tensors = [n for n in ("x", *normed) if n in plain.activations and n in fused.activations]
    assert tensors
    logits = Logits("logits", "logits", 5, None)
    for composite in ("epsilon_plus", "gradient"):
        expected = relevance(plain, feeds, tensors, composite, logits)
        for name, value in relevance(fused, feeds, tensors, composite, logits).items():
            np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-4 * abs(expected[name]).max())
