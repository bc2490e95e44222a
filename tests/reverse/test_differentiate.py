"""Gradients are slopes: of chains of layers that are all fed, at other weights than those of the file."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from onnxunlearn.edits import Edits
from onnxunlearn.engines import create_engine
from onnxunlearn.graph import FileBytes, Model, as_float64, find_layers
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.graph.layers import EVERY_KIND
from onnxunlearn.graph.tail import tail_of
from onnxunlearn.reverse import Differentiator

ENGINES = ("onnxruntime", "torch", "numpy")
TOKENS = """<ir_version: 8, opset_import: ["": 17]>
    tokens (int64[N, 3] x) => (float[N, 4] y)
    <float[7, 6] table, float[6] g, float[6] s, float[1, 20, 6] w, float[1, 20, 5] r, float[1, 40] b,
     int64[1] last = {0}, float[5, 4] v, float[4] c, float[4] f>
    { e = Gather(table, x)  n = LayerNormalization(e, g, s)  t = Transpose<perm = [1, 0, 2]>(n)
      o, h = LSTM<hidden_size = 5>(t, w, r, b)  q = Squeeze(h, last)  m = MatMul(q, v)  a = Add(m, c)
      y = Mul(a, f) }"""
PIXELS = """<ir_version: 10, opset_import: ["": 21]>
    pixels (float[N, 2, 4, 4] x) => (float[N, 4] y)
    <float[2, 3, 2, 2] w, float[3] b, float[3] g, float[3] s, float[3] m, float[3] q = {1, 2, 3},
     float[4, 3, 3, 3] k, float[4] i, float[4] j, float[4] l, float[4] n>
    { a = ConvTranspose<strides = [2, 2]>(x, w, b)  c = BatchNormalization(a, g, s, m, q)  r = Sigmoid(c)
      d = Conv(r, k)  e = InstanceNormalization(d, i, j)  t = Tanh(e)
      o = GroupNormalization<num_groups = 2>(t, l, n)  p = Mul(o, o)  u = GlobalAveragePool(p)
      y = Flatten(u) }"""


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("text", [TOKENS, PIXELS], ids=["tokens", "pixels"])
def test_gradients_at_other_weights_are_slopes(text: str, engine: str) -> None:
    rng = np.random.default_rng(3)
    proto = onnx.parser.parse_model(text)
    for info in proto.graph.value_info:  # what has no values
        shape = [d.dim_value for d in info.type.tensor_type.shape.dim]
        values = rng.normal(size=shape).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(values, info.name))
    del proto.graph.value_info[:]
    model = Model(FileBytes(proto.SerializeToString()), proto)
    x = rng.integers(0, 7, (5, 3)) if text is TOKENS else rng.normal(size=(5, 2, 4, 4)).astype(np.float32)
    layers, edits = find_layers(model, EVERY_KIND), Edits(model)
    assert {layer.kind for layer in layers} == (
        {"embedding", "scale", "recurrent", "dense"} if text is TOKENS else {"conv", "scale"}
    )
    weights = {}
    for layer in layers:
        bias = edits.bias(layer)
        moved = edits.weight(layer) + rng.normal(size=layer.weight.shape).astype(np.float32) / 2
        weights[layer.name] = moved, None if bias is None else bias + 0.5
    network = Differentiator(
        tail_of(model, layers, ["y"], shape_arithmetic(model)), ["y"], create_engine(engine)
    )
    signal = rng.normal(size=(5, 4)).astype(np.float32)
    recorded = network.record({"x": x}, weights)
    found = network.gradients({"x": x}, recorded, {"y": signal})
    exact = as_float64(model)
    network = Differentiator(
        tail_of(exact, find_layers(exact, EVERY_KIND), ["y"], shape_arithmetic(exact)),
        ["y"],
        create_engine("numpy"),
    )

    def loss(changed: Any) -> float:
        fed = x if text is TOKENS else x.astype(np.float64)
        return float((network.values({"x": fed}, changed)["y"] * signal).sum())

    step = 1e-6
    for name, pair in weights.items():
        for which in (0, 1):
            if (value := pair[which]) is None:
                continue
            gradient = found[name][which]
            assert gradient is not None
            direction = rng.normal(size=value.shape)
            both = []
            for sign in (step, -step):
                shifted = [part if part is None else part.astype(np.float64) for part in pair]
                shifted[which] = value + sign * direction
                both.append(loss({**weights, name: tuple(shifted)}))
            slope = (both[0] - both[1]) / (2 * step)
            scale = np.abs(gradient * direction).sum() + 1e-3
            assert abs((gradient * direction).sum() - slope) < 1e-4 * scale, (name, which)
