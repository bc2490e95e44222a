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
CAUSAL = np.triu(np.full((T, T), np.finfo(np.float32).min, np.float32), 1)
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

    def model(self) -> Model:
        nodes: list[NodeProto] = self.nodes
        return flattened(nodes, np.zeros((B, T, 6), np.float32), self.weights, opset=23)


def whole(kv_heads: int, four: bool, mask: np.ndarray | None, **attributes: Any) -> Model:
    made = Projections(kv_heads, four)
    names = ["q4", "k4", "v4"] if four else ["q", "k", "v"]
    if not four:
        attributes |= {"q_num_heads": HEADS, "kv_num_heads": kv_heads}
    if mask is not None:
        made.weights["mask"] = mask
        names.append("mask")
    made.add("Attention", names, "y", **attributes)
    return made.model()


def parts(kv_heads: int, four: bool, added: np.ndarray | None, scale: float) -> Model:
    made = Projections(kv_heads, four=True)
    made.weights |= {"scale": np.array(scale, np.float32), "flat": np.array([0, 0, HEADS * D])}
    k, v, scores = "k4", "v4", "scaled"
    if kv_heads != HEADS:  # each key head serves several query heads
        made.weights["which"] = np.arange(HEADS) // (HEADS // kv_heads)
        for name in (k, v):
            made.add("Gather", [name, "which"], f"{name} all", axis=1)
        k, v = "k4 all", "v4 all"
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
    ("kv_heads", "mask", "added", "attributes"),
    [
        (HEADS, None, None, {}),
        (2, None, None, {"scale": 0.3}),
        (HEADS, None, CAUSAL, {"is_causal": 1}),
        (HEADS, BIAS, BIAS, {}),
        (HEADS, CAUSAL == 0, CAUSAL, {}),
    ],
)
def test_attention(
    composite: str,
    four: bool,
    kv_heads: int,
    mask: np.ndarray | None,
    added: np.ndarray | None,
    attributes: dict[str, Any],
) -> None:
    one = whole(kv_heads, four, mask, **attributes)
    many = parts(kv_heads, four, added, attributes.get("scale", 1 / np.sqrt(D)))
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
