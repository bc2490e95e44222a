"""AttnLRP and CP-LRP of a whole encoder block, against the formulas of the paper (and of LXT) in loops.

x → LayerNorm → heads of attention → projection, + x → LayerNorm → Gemm, GELU, Gemm, + → mean → head
"""

from math import sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper

from onnxunlearn.engines import create_engine
from onnxunlearn.graph import Logits, Model, as_float64
from onnxunlearn.relevance import Propagator, parse_composite
from tests.relevance.dense_rules import stab
from tests.relevance.layers import model_of

Array = np.ndarray


class Block:
    """Random weights; forward and AttnLRP of one sample, [tokens, width], head by head."""

    def __init__(self, seed: int, tokens: int, heads: int, size: int) -> None:
        rng = np.random.default_rng(seed)
        width = heads * size
        self.tokens, self.heads, self.size, self.width = tokens, heads, size, width
        shapes = {**dict.fromkeys("qkvo", (width, width)), "u": (width, 2 * width), "d": (2 * width, width)}
        shapes["h"] = (width, 3)
        self.w = {n: (rng.normal(size=s) / sqrt(s[0])).astype(np.float32) for n, s in shapes.items()}
        self.b = {n: rng.normal(0, 0.3, s[1]).astype(np.float32) for n, s in shapes.items()}
        self.norms = {n: rng.uniform(0.5, 1.5, width).astype(np.float32) for n in ("g1", "g2")}
        self.norms |= {n: rng.normal(0, 0.3, width).astype(np.float32) for n in ("b1", "b2")}
        self.x = rng.normal(size=(2, tokens, width)).astype(np.float32)

    def model(self, fused: bool) -> Model:
        """Attention as one node (opset 23), or as MatMul, Softmax, MatMul."""
        nodes: list[Any] = []

        def op(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
            nodes.append(helper.make_node(kind, inputs, [output], **attributes))
            return output

        def dense(x: str, name: str) -> str:
            return op("Add", [op("MatMul", [x, f"w{name}"], f"{name} p"), f"c{name}"], f"{name} y")

        norm = op("LayerNormalization", ["x", "g1", "b1"], "n1", axis=-1, epsilon=1e-5)
        parts = [dense(norm, name) for name in "qkv"]
        if fused:
            op("Attention", parts, "mixed", q_num_heads=self.heads, kv_num_heads=self.heads)
        else:
            orders = ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3])
            split = [
                op("Transpose", [op("Reshape", [p, "split"], f"{p} s")], f"{p} t", perm=order)
                for p, order in zip(parts, orders, strict=True)
            ]
            scaled = op("Mul", [op("MatMul", split[:2], "scores"), "scale"], "scaled")
            weighed = op("MatMul", [op("Softmax", [scaled], "weights", axis=-1), split[2]], "weighed")
            op("Reshape", [op("Transpose", [weighed], "turned", perm=[0, 2, 1, 3]), "merge"], "mixed")
        r = op("Add", ["x", dense("mixed", "o")], "r")
        inner = dense(op("LayerNormalization", [r, "g2", "b2"], "n2", axis=-1, epsilon=1e-5), "u")
        last = op("Add", [r, dense(op("Gelu", [inner], "gelu"), "d")], "last")
        pooled = op("ReduceMean", [last, "tokens"], "pooled", keepdims=0)
        op("Gemm", [pooled, "wh", "ch"], "logits")
        constants: dict[str, Array] = {f"w{n}": v for n, v in self.w.items()}
        constants |= {f"c{n}": v for n, v in self.b.items()} | self.norms | {"tokens": np.array([1])}
        if not fused:
            constants |= {
                "split": np.array([0, 0, self.heads, self.size]),
                "merge": np.array([0, 0, self.width]),
                "scale": np.array(1 / sqrt(self.size), np.float32),
            }
        opset = 23 if fused else 20
        return model_of(nodes, {"x": ["n", *self.x.shape[1:]]}, constants, "logits", ["n", 3], opset)

    def relevance(self, x: Array, target: int, constant_weights: bool) -> Array:
        w = {n: v.astype(float) for n, v in self.w.items()}
        b = {n: v.astype(float) for n, v in self.b.items()}
        g = {n: v.astype(float) for n, v in self.norms.items()}
        scale = 1 / sqrt(self.size)

        def dense(v: Array, name: str) -> Array:
            return np.asarray(v @ w[name] + b[name])

        def dense_R(v: Array, name: str, R: Array) -> Array:
            return np.asarray(v * ((R / stab(dense(v, name))) @ w[name].T))

        def norm(v: Array, n: str) -> Array:
            d = v - v.mean(-1, keepdims=True)
            return np.asarray(d / np.sqrt((d * d).mean(-1, keepdims=True) + 1e-5) * g[f"g{n}"] + g[f"b{n}"])

        def norm_R(v: Array, n: str, R: Array) -> Array:
            std = np.sqrt(v.var(-1, keepdims=True) + 1e-5)
            u = g[f"g{n}"] / std * R / stab(norm(v, n))
            return np.asarray(v * (u - u.mean(-1, keepdims=True)))

        # forward
        n1 = norm(x, "1")
        q, k, v = (dense(n1, name).reshape(self.tokens, self.heads, self.size) for name in "qkv")
        weights, mixed = [], np.zeros((self.tokens, self.heads, self.size))
        for h in range(self.heads):
            scores = scale * q[:, h] @ k[:, h].T
            e = np.exp(scores - scores.max(-1, keepdims=True))
            weights.append(e / e.sum(-1, keepdims=True))
            mixed[:, h] = weights[h] @ v[:, h]
        flat = mixed.reshape(self.tokens, -1)
        r = x + dense(flat, "o")
        n2 = norm(r, "2")
        inner = dense(n2, "u")
        gelu = 0.5 * inner * (1 + np.vectorize(erf)(inner / sqrt(2)))
        last = r + dense(gelu, "d")
        pooled = last.mean(0)
        # and back
        R = np.zeros(3)
        R[target] = dense(pooled, "h")[target]
        R_last = last / self.tokens * (dense_R(pooled, "h", R) / stab(pooled))
        R_gelu = dense_R(gelu, "d", dense(gelu, "d") * R_last / stab(last))  # which passes GELU
        R_r = r * R_last / stab(last) + norm_R(r, "2", dense_R(n2, "u", R_gelu))
        R_mixed = dense_R(flat, "o", dense(flat, "o") * R_r / stab(r)).reshape(mixed.shape)
        R_q, R_k, R_v = (np.zeros(mixed.shape) for _ in range(3))
        for h in range(self.heads):
            s = R_mixed[:, h] / stab(mixed[:, h] * (1 if constant_weights else 2))
            R_v[:, h] = v[:, h] * (weights[h].T @ s)
            if constant_weights:
                continue
            R_weights = weights[h] * (s @ v[:, h].T)
            scores = scale * q[:, h] @ k[:, h].T
            R_scores = scores * (R_weights - weights[h] * R_weights.sum(-1, keepdims=True))
            t = R_scores / stab(2 * scores) * scale
            R_q[:, h], R_k[:, h] = q[:, h] * (t @ k[:, h]), k[:, h] * (t.T @ q[:, h])
        shares = [dense_R(n1, n, p.reshape(n1.shape)) for n, p in zip("qkv", (R_q, R_k, R_v), strict=True)]
        return np.asarray(x * R_r / stab(r) + norm_R(x, "1", np.sum(shares, axis=0)))


def erf(z: float) -> float:
    from math import erf as exact

    return exact(z)


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("composite", ["attnlrp", "cp_lrp"])
@settings(max_examples=4, derandomize=True)
@given(seed=st.integers(0, 1000), tokens=st.integers(1, 5), heads=st.integers(1, 3), size=st.integers(2, 4))
def test_encoder_block(composite: str, fused: bool, seed: int, tokens: int, heads: int, size: int) -> None:
    block = Block(seed, tokens, heads, size)
    model = block.model(fused)
    expected = np.stack(
        [
            block.relevance(x.astype(float), t, composite == "cp_lrp")
            for x, t in zip(block.x, (0, 2), strict=True)
        ]
    )
    for engine, dtype in (("numpy", np.float64), ("torch", np.float64), ("onnxruntime", np.float32)):
        seen = as_float64(model) if dtype is np.float64 else model
        rules, logits = parse_composite(composite), Logits("logits", "logits", 3, None)
        propagator = Propagator(seen, logits, create_engine(engine), rules, ["x"], dtype)
        (batch,) = propagator.run({"x": block.x.astype(dtype)}, np.array([0, 2]), 2)
        scale = np.abs(expected).max()
        tolerance = 1e-6 if dtype is np.float64 else 2e-2  # near a denominator of 0 float32 is no match
        np.testing.assert_allclose(batch.relevance["x"], expected, atol=tolerance * scale, err_msg=engine)
