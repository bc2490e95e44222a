"""The Attention op gives what its parts give: MatMul, Softmax, MatMul."""

from typing import Any

import numpy as np
import pytest
from onnx import NodeProto, helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model
from onnxunlearn.relevance import Propagator, parse_composite
from tests.relevance.layers import flattened

B, HEADS, T, D = 2, 4, 3, 5
PAST = 2
LOWEST = np.finfo(np.float32).min
CAUSAL = np.triu(np.full((T, T), LOWEST, np.float32), 1)
CAUSAL_AFTER_PAST = np.triu(np.full((T, PAST + T), LOWEST, np.float32), 1 + PAST)
BIAS = np.random.default_rng(1).normal(size=(T, T)).astype(np.float32)


class Projections:
    """q, k, v from x [B, T, 6], as [B, T, heads·D]; then, for `four`, as [B, heads, T, D]."""

    def __init__(self, kv_heads: int, four: bool) -> None:
        rng = np.random.default_rng(9)
        heads = {"q": HEADS, "k": kv_heads, "v": kv_heads}
        self.weights: dict[str, np.ndarray] = {
            f"w{n}": rng.normal(size=(6, h * D)).astype(np.float32) for n, h in heads.items()
        }
        self.nodes = [helper.make_node("MatMul", ["x", f"w{n}"], [n]) for n in heads]
        if four:
            for name, count in heads.items():
                self.weights[f"{name} shape"] = np.array([0, 0, count, D])
                self.add("Reshape", [name, f"{name} shape"], f"{name} split")
                self.add("Transpose", [f"{name} split"], f"{name}4", perm=[0, 2, 1, 3])

    def add(self, op: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(helper.make_node(op, inputs, [output], **attributes))

    def remember(self, kv_heads: int) -> None:
        """past_k, past_v [B, kv_heads, PAST, D], from x, too."""
        rng = np.random.default_rng(10)
        self.weights |= {"past": np.array([0, 0, kv_heads, D]), "some": np.arange(PAST)}
        for name in ("past_k", "past_v"):
            self.weights[f"w{name}"] = rng.normal(size=(6, kv_heads * D)).astype(np.float32)
            self.add("Gather", ["x", "some"], f"{name} x", axis=1)
            self.add("MatMul", [f"{name} x", f"w{name}"], f"{name} flat")
            self.add("Reshape", [f"{name} flat", "past"], f"{name} split")
            self.add("Transpose", [f"{name} split"], name, perm=[0, 2, 1, 3])

    def model(self) -> Model:
        nodes: list[NodeProto] = self.nodes
        return flattened(nodes, np.zeros((B, T, 6), np.float32), self.weights, opset=23)


def whole(kv_heads: int, four: bool, mask: np.ndarray | None, past: bool, **attributes: Any) -> Model:
    made = Projections(kv_heads, four)
    names = ["q4", "k4", "v4"] if four else ["q", "k", "v"]
    if not four:
        attributes |= {"q_num_heads": HEADS, "kv_num_heads": kv_heads}
    if mask is not None:
        made.weights["mask"] = mask
        names.append("mask")
    if past:
        made.remember(kv_heads)
        names += [*([""] if mask is None else []), "past_k", "past_v"]
        made.nodes.append(helper.make_node("Attention", names, ["y", "present_k", "present_v"], **attributes))
        return made.model()
    made.add("Attention", names, "y", **attributes)
    return made.model()


def parts(kv_heads: int, four: bool, added: np.ndarray | None, scale: float, past: bool) -> Model:
    made = Projections(kv_heads, four=True)
    made.weights |= {"scale": np.array(scale, np.float32), "flat": np.array([0, 0, HEADS * D])}
    k, v, scores = "k4", "v4", "scaled"
    if past:
        made.remember(kv_heads)
        made.add("Concat", ["past_k", "k4"], "k4 both", axis=2)
        made.add("Concat", ["past_v", "v4"], "v4 both", axis=2)
        k, v = "k4 both", "v4 both"
    if kv_heads != HEADS:  # each key head serves several query heads
        made.weights["which"] = np.arange(HEADS) // (HEADS // kv_heads)
        for name in (k, v):
            made.add("Gather", [name, "which"], f"{name} all", axis=1)
        k, v = f"{k} all", f"{v} all"
    made.add("Transpose", [k], "kt", perm=[0, 1, 3, 2])
    made.add("MatMul", ["q4", "kt"], "product")
    made.add("Mul", ["product", "scale"], "scaled")
    if added is not None:
        made.weights["mask"] = added
        made.add("Add", ["scaled", "mask"], "masked")
        scores = "masked"
    made.add("Softmax", [scores], "weights", axis=-1)
    made.add("MatMul", ["weights", v], "y" if four else "y4")
    if not four:
        made.add("Transpose", ["y4"], "yt", perm=[0, 2, 1, 3])
        made.add("Reshape", ["yt", "flat"], "y")
    return made.model()


@pytest.mark.parametrize("composite", ["gradient", "attnlrp", "cp_lrp"])
@pytest.mark.parametrize("four", [True, False])
@pytest.mark.parametrize(
    ("kv_heads", "mask", "added", "attributes", "past"),
    [
        (HEADS, None, None, {}, False),
        (2, None, None, {"scale": 0.3}, False),
        (HEADS, None, CAUSAL, {"is_causal": 1}, False),
        (HEADS, BIAS, BIAS, {}, False),
        (HEADS, CAUSAL == 0, CAUSAL, {}, False),
        (HEADS, None, None, {}, True),
        (2, CAUSAL_AFTER_PAST, CAUSAL_AFTER_PAST, {}, True),
        (2, None, CAUSAL_AFTER_PAST, {"is_causal": 1}, True),
    ],
)
def test_attention(
    composite: str,
    four: bool,
    kv_heads: int,
    mask: np.ndarray | None,
    added: np.ndarray | None,
    attributes: dict[str, Any],
    past: bool,
) -> None:
    one = whole(kv_heads, four, mask, past, **attributes)
    many = parts(kv_heads, four, added, attributes.get("scale", 1 / np.sqrt(D)), past)
    x = np.random.default_rng(4).normal(size=(B, T, 6)).astype(np.float32)
    found = []
    for model in (one, many):
        logits = Logits("logits", "logits", 0, None)
        rules = parse_composite(composite)
        propagator = Propagator(model, logits, create_engine("onnxruntime"), rules, ["x"])
        (batch,) = propagator.run({"x": x}, np.array([7, 21]), B)
        found.append((batch.logits, batch.relevance["x"]))
    (logits_1, relevance_1), (logits_2, relevance_2) = found
    np.testing.assert_allclose(logits_1, logits_2, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(relevance_1, relevance_2, atol=2e-4 * np.abs(relevance_2).max())
