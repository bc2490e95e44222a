"""ONNX Runtime's fused nodes (domain com.microsoft) as the standard ops they were fused from.

FusedConv                       act(Conv(x, w, b) + z)
FusedGemm                       act(Gemm(a, b, c))
FusedMatMul                     alpha · a' @ b', a' and b' with the last two axes swapped if asked
SkipLayerNormalization          LayerNormalization(x + bias + skip), Simplified: RMS instead
EmbedLayerNormalization         LayerNormalization(words[ids] + positions[0…] + segments[ids])
BiasAdd                         x + bias + skip
Gelu, BiasGelu, FastGelu, QuickGelu     x·Φ(x), its tanh approximation, x·sigmoid(alpha·x)
Attention, MultiHeadAttention   see `lowering.fused_attention`

And the standard's Gemm where it has no constant weight: alpha · a' @ b' + beta · c.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from onnxunlearn.graph import Model
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import Draft, Lowering, rewrite
from onnxunlearn.lowering.fused_attention import attention, multi_head_attention
from onnxunlearn.lowering.half import single
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.sparse import dense


@lowering_pass("lower_contrib", requires=[unlisted, dense, single])
def lower_contrib(model: Model) -> Model:
    """The model without fused nodes; the model itself if it has none.

    Ensures: outputs of replaced nodes keep their names and values. Declines variants it does not cover:
    they stay as they are.
    """
    # What one round makes plain may tell a shape that another node waits for.
    while (plainer := rewrite(model, _table(model))) is not model:
        model = plainer
    return model


def _table(model: Model) -> dict[str, Lowering]:
    # ONNX Runtime writes LayerNormalization into models of any opset; the standard has it since 17.
    return LOWERINGS if model.opsets.get("", 1) >= 17 else {**LOWERINGS, "LayerNormalization": _layer_norm}


#: what `activation_params` are called on the activation's own node
_PARAMETERS: dict[str, tuple[str, ...]] = {
    "Relu": (),
    "Sigmoid": (),
    "Tanh": (),
    "LeakyRelu": ("alpha",),
    "Elu": ("alpha",),
    "HardSigmoid": ("alpha", "beta"),
}


def _activated(draft: Draft, y: str) -> None:
    """The fused activation of `y`, as the node's output."""
    node, to = draft.node, draft.node.outputs[0]
    named = [node.attribute(f"activation_{name}") for name in ("alpha", "beta")]
    given = [float(v) for v in node.attribute("activation_params", [v for v in named if v is not None])]
    kind = node.attribute("activation", "")
    if kind == "Clip":
        low, high = given or (float(np.finfo(np.float32).min), float(np.finfo(np.float32).max))
        draft.clip(y, low, high, to=to)
        return
    draft.require(kind in _PARAMETERS, f"activation {kind}")
    parameters: dict[str, Any] = dict(zip(_PARAMETERS[kind], given, strict=False))
    draft.op(kind, y, to=to, **parameters)


def fused_conv(draft: Draft) -> None:
    attributes = {k: v for k, v in draft.node.attributes.items() if not k.startswith("activation")}
    y = draft.op("Conv", *[draft.input(i) for i in range(3 if draft.has(2) else 2)], **attributes)
    _activated(draft, draft.op("Add", y, draft.input(3)) if draft.has(3) else y)


def fused_gemm(draft: Draft) -> None:
    attributes = {k: v for k, v in draft.node.attributes.items() if not k.startswith("activation")}
    _activated(draft, draft.op("Gemm", *draft.node.inputs, **attributes))


def gemm(draft: Draft) -> None:
    """α·a·b + β·c where b or c is an activation, as MatMul, Mul and Add."""
    node = draft.node
    computed = draft.input(1) in draft.model.activations
    draft.require(computed or draft.input(2) in draft.model.activations, "an ordinary Gemm")
    names = [
        draft.op("Transpose", draft.input(i), perm=[1, 0]) if node.attribute(flag, 0) else draft.input(i)
        for i, flag in enumerate(("transA", "transB"))
    ]
    alpha, beta = (float(node.attribute(name, 1.0)) for name in ("alpha", "beta"))
    to = "" if draft.has(2) else node.outputs[0]
    y = draft.op("MatMul", *names, to=to if alpha == 1 else "")
    y = y if alpha == 1 else draft.op("Mul", y, draft.constant(alpha), to=to)
    if draft.has(2):
        c = draft.input(2) if beta == 1 else draft.op("Mul", draft.input(2), draft.constant(beta))
        draft.op("Add", y, c, to=node.outputs[0])


def fused_matmul(draft: Draft) -> None:
    node, operands = draft.node, []
    draft.require(not node.attribute("transBatchA") and not node.attribute("transBatchB"), "transBatch")
    for index, flag in enumerate(("transA", "transB")):
        name = draft.input(index)
        if node.attribute(flag, 0):
            rank = draft.rank(index)
            draft.require(rank is not None, "unknown rank")
            order = list(range(rank or 0))
            order[-2:] = order[-2:][::-1]
            name = draft.op("Transpose", name, perm=order)
        operands.append(name)
    alpha = float(node.attribute("alpha", 1.0))
    if alpha == 1:
        draft.op("MatMul", *operands, to=node.outputs[0])
    else:
        draft.op("Mul", draft.op("MatMul", *operands), draft.constant(alpha), to=node.outputs[0])


def _normalised(draft: Draft, x: str, gamma: str, beta: str, epsilon: float, *, centred: bool = True) -> None:
    """LayerNormalization (centred) or RMSNormalization over the last axis, as the node's output."""
    to = draft.node.outputs[0]
    if centred and draft.opset >= 17:
        draft.op("LayerNormalization", x, gamma, *([beta] if beta else []), to=to, axis=-1, epsilon=epsilon)
        return
    d = draft.op("Sub", x, draft.reduce("ReduceMean", x)) if centred else x
    variance = draft.reduce("ReduceMean", draft.op("Pow", d, draft.constant(2)))
    deviation = draft.op("Sqrt", draft.op("Add", variance, draft.constant(epsilon)))
    y = draft.op("Div", d, deviation)
    y = draft.op("Mul", y, gamma, to="" if beta else to)
    if beta:
        draft.op("Add", y, beta, to=to)


def _layer_norm(draft: Draft) -> None:
    node = draft.node
    rank = draft.rank(0)
    draft.require(node.attribute("axis", -1) in {-1, (rank or 0) - 1}, "more than the last axis")
    draft.require(not draft.used(1) and not draft.used(2), "its statistics are read")
    _normalised(draft, node.inputs[0], node.inputs[1], draft.input(2), float(node.attribute("epsilon", 1e-5)))


def simplified_layer_norm(draft: Draft) -> None:
    rank = draft.rank(0)
    draft.require(draft.node.attribute("axis", -1) in {-1, (rank or 0) - 1}, "more than the last axis")
    draft.require(not draft.used(1), "its statistics are read")
    epsilon = float(draft.node.attribute("epsilon", 1e-5))
    _normalised(draft, draft.input(0), draft.input(1), "", epsilon, centred=False)


def skip_layer_norm(draft: Draft, *, centred: bool = True) -> None:
    draft.require(not draft.used(1) and not draft.used(2), "its statistics are read")
    beta, bias = (3, 4) if centred else (None, 3)
    first, second = draft.input(0), draft.input(1)
    if draft.has(bias):
        # The bias was that of the layer before, which must not look like a bias of the sum.
        if _product(draft, second) and not _product(draft, first):
            first, second = second, first
        first = draft.op("Add", first, draft.input(bias))
    x = draft.op("Add", first, second, to=draft.node.outputs[3] if draft.used(3) else "")
    epsilon = float(draft.node.attribute("epsilon", 1e-12))
    _normalised(draft, x, draft.input(2), draft.input(beta) if beta else "", epsilon, centred=centred)


def _product(draft: Draft, name: str) -> bool:
    producer = draft.model.producer.get(name)
    return producer is not None and producer.op.endswith("MatMul")


def embed_layer_norm(draft: Draft) -> None:
    """Positions count from 0 unless they are given. The mask index is the number of tokens that count."""
    node = draft.node
    ids, segments, words, positions, kinds, gamma, beta, mask, given = (draft.input(i) for i in range(9))
    x = draft.op("Gather", words, ids)
    if given:
        where = draft.op("Gather", positions, given)
    else:
        draft.require(draft.opset >= 11, "Range")
        zero, one = draft.constant(0, np.int64), draft.constant(1, np.int64)
        length = draft.op("Gather", draft.op("Shape", ids), one)
        where = draft.op("Gather", positions, draft.op("Range", zero, length, one))
    terms = [where, *([draft.op("Gather", kinds, segments)] if segments else [])]
    total = node.outputs[2] if draft.used(2) else ""
    for i, term in enumerate(terms):
        x = draft.op("Add", x, term, to=total if i == len(terms) - 1 else "")
    _normalised(draft, x, gamma, beta, float(node.attribute("epsilon", 1e-12)))
    if draft.used(1):
        draft.require(mask, "a mask index without a mask")
        if draft.opset < 13:
            draft.op("ReduceSum", mask, to=node.outputs[1], axes=[1], keepdims=0)
        else:
            draft.op("ReduceSum", mask, draft.constant([1], np.int64), to=node.outputs[1], keepdims=0)


def bias_add(draft: Draft) -> None:
    x = draft.op("Add", draft.input(0), draft.input(1))
    draft.op("Add", x, draft.input(2), to=draft.node.outputs[0])


def gelu(draft: Draft) -> None:
    """½·x·(1 + erf(x/√2))"""
    _gelu(draft, lambda x: draft.op("Erf", draft.op("Div", x, draft.constant(math.sqrt(2)))))


def fast_gelu(draft: Draft) -> None:
    """½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))"""

    def inner(x: str) -> str:
        cube = draft.op("Mul", draft.op("Pow", x, draft.constant(3)), draft.constant(0.044715))
        total = draft.op("Add", x, cube)
        return draft.op("Tanh", draft.op("Mul", total, draft.constant(math.sqrt(2 / math.pi))))

    _gelu(draft, inner)


def _gelu(draft: Draft, inner: Callable[[str], str]) -> None:
    x = draft.op("Add", draft.input(0), draft.input(1)) if draft.has(1) else draft.input(0)
    one_plus = draft.op("Add", inner(x), draft.constant(1))
    draft.op("Mul", draft.op("Mul", x, one_plus), draft.constant(0.5), to=draft.node.outputs[0])


def quick_gelu(draft: Draft) -> None:
    alpha = float(draft.node.attribute("alpha", 1.702))
    x = draft.input(0)
    gate = draft.op("Sigmoid", draft.op("Mul", x, draft.constant(alpha)))
    draft.op("Mul", x, gate, to=draft.node.outputs[0])


_MICROSOFT: dict[str, Lowering] = {
    "FusedConv": fused_conv,
    "FusedGemm": fused_gemm,
    "FusedMatMul": fused_matmul,
    "TransposeMatMul": fused_matmul,
    "SkipLayerNormalization": skip_layer_norm,
    "SkipSimplifiedLayerNormalization": lambda draft: skip_layer_norm(draft, centred=False),
    "EmbedLayerNormalization": embed_layer_norm,
    "BiasAdd": bias_add,
    "Gelu": gelu,
    "BiasGelu": gelu,
    "FastGelu": fast_gelu,
    "QuickGelu": quick_gelu,
    "Attention": attention,
    "MultiHeadAttention": multi_head_attention,
}
LOWERINGS: dict[str, Lowering] = {
    **{f"com.microsoft::{op}": lowering for op, lowering in _MICROSOFT.items()},
    "SimplifiedLayerNormalization": simplified_layer_norm,
    "Gemm": gemm,
}
