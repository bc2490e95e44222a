"""Ways in which exporters, and people, write what stands behind the logits. In ONNX's own text form.

Each ends in `y`, for a network of six classes whose logits are `z`, [N, 6]. Where the logits are not `z`
itself, `logits` says what they are of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = np.ndarray

_RNG = np.random.default_rng(0)
CLASSES = 6
W1, B1, W2, B2, W3, B3 = (
    _RNG.normal(size=s).astype(np.float32) for s in ((32, 20), (32,), (6, 32), (6,), (6, 32), (6,))
)
#: [240, 20]
X = _RNG.normal(size=(240, 20)).astype(np.float32)
ORDER = [3, 1, 4, 0, 5, 2]

#: what the text may name
CONSTANTS: dict[str, Any] = {
    "one": np.float32(1),
    "minus": np.float32(-1),
    "half": np.float32(0.5),
    "two": np.float32(2),
    "hundred": np.float32(100),
    "minus_half": np.float32(-0.5),
    "ones_of_6": np.ones(6, np.float32),
    "zeros_of_6": np.zeros(6, np.float32),
    "names": np.arange(6) + 100,
    "six": np.int64(6),
    "off_on": np.array([0, 1], np.float32),
    "pixels": np.array([0, 2, 3, 1]),
    "priors": np.linspace(-4, 4, 6).astype(np.float32),
    "mixing": np.random.default_rng(0).dirichlet(np.ones(6), 6).astype(np.float32),
    "tenth": np.float32(0.1),
    "fiftieth": np.float32(0.02),
    "tiny": np.float32(1e-7),
    "nothing": np.float32(0),
    "least": np.float32(-np.inf),
    "floor": np.float32(-20),
    "axis": np.array([1]),
    "last": np.array([-1]),
    "second": np.array([2]),
    "column": np.array([-1, 1]),
    "flat": np.array([0, -1]),
    "image": np.array([0, 6, 1, 1]),
    "inner": np.array([1, 2]),
    "some": np.array([5, 2, 0]),
    "order": np.array(ORDER),
    "three": np.array([3, 3]),
    "k": np.array([3]),
    "start": np.array([0]),
    "end": np.array([4]),
    "weights": np.linspace(0.5, 1.5, 6, dtype=np.float32),
    "sixths": np.full((1, 6), 1 / 6, np.float32),
    "ones": np.ones((1, 6), np.float32),
}


def softmax(z: Array) -> Array:
    e = np.exp(z.astype(np.float64) - z.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def sigmoid(z: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-z.astype(np.float64))))


@dataclass(frozen=True)
class Way:
    """text: nodes, from `z` to `y`. normaliser: what they are. logits: of z and of a second head's z2, the
    logits that must be found, up to a number of each sample's own; None where they are `z` itself."""

    text: str
    normaliser: str | None
    logits: Callable[[Array, Array], Array] | None = None
    opset: int = 17
    attributes: dict[str, Any] = field(default_factory=dict)


def proto(way: Way, *, kind: int = TensorProto.FLOAT, heads: int = 1) -> onnx.ModelProto:
    """x [N, 20] → Gemm, Relu → f → Gemm → z [N, 6] (and, where it is read, another Gemm → z2) → `y`."""
    tail = [onnx.parser.parse_node(line.strip()) for line in way.text.strip().split(";") if line.strip()]
    names = {name for node in tail for name in node.input}
    nodes = [
        helper.make_node("Gemm", ["x", "W1", "b1"], ["a"], name="hidden", transB=1),
        helper.make_node("Relu", ["a"], ["f"]),
        helper.make_node("Gemm", ["f", "W2", "b2"], ["z"], name="head", transB=1),
    ]
    stored: dict[str, Any] = {"W1": W1, "b1": B1, "W2": W2, "b2": B2}
    if "z2" in names:
        nodes.append(helper.make_node("Gemm", ["f", "W3", "b3"], ["z2"], name="second", transB=1))
        stored |= {"W3": W3, "b3": B3}
    stored |= {name: value for name, value in CONSTANTS.items() if name in names}
    graph = helper.make_graph(
        [*nodes, *tail],
        "way",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 20])],
        [helper.make_tensor_value_info("y", kind, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    opsets = [helper.make_opsetid("", way.opset), helper.make_opsetid("ai.onnx.ml", 3)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    inferred = onnx.shape_inference.infer_shapes(made).graph.output[0]
    made.graph.output[0].CopyFrom(inferred)
    return made


_EXP_SUM = "e = Exp(z); s = ReduceSum(e, axis);"
_BELOW = "m = ReduceMax <axes = [1]> (z); d = Sub(z, m); e = Exp(d); s = ReduceSum(e, axis);"

#: softmax, in whatever form; the scores are probabilities that add up to 1
SOFTMAX: dict[str, Way] = {
    "torch": Way("y = Softmax <axis = 1> (z)", "Softmax"),
    "torch, dynamo": Way("y = Softmax <axis = -1> (z)", "Softmax", opset=18),
    "before opset 13": Way("y = Softmax (z)", "Softmax", opset=11),
    "e over its sum": Way(f"{_EXP_SUM} y = Div(e, s)", "Softmax"),
    "below the maximum": Way(f"{_BELOW} y = Div(e, s)", "Softmax"),
    "times one over the sum": Way(f"{_BELOW} r = Reciprocal(s); y = Mul(r, e)", "Softmax"),
    "times one divided by the sum": Way(f"{_BELOW} r = Div(one, s); y = Mul(e, r)", "Softmax"),
    "sum to the power −1": Way(f"{_BELOW} r = Pow(s, minus); y = Mul(e, r)", "Softmax"),
    "JAX": Way(
        """m = ReduceMax <axes = [1], keepdims = 0> (z); mm = Max(least, m); mc = Reshape(mm, column);
        n = Shape(z); me = Expand(mc, n); d = Sub(z, me); e = Exp(d);
        t = ReduceSum <keepdims = 0> (e, axis); tc = Reshape(t, column); te = Expand(tc, n);
        y = Div(e, te)""",
        "Softmax",
    ),
    "JAX, guarded": Way(
        """m = ReduceMax <axes = [1], keepdims = 1> (z); i = IsInf(m); mm = Where(i, nothing, m);
        d = Sub(z, mm); e = Exp(d); t = ReduceSum(e, axis); g = Greater(t, nothing); tt = Where(g, t, one);
        p = Div(e, tt); n = IsNaN(p); y = Where(n, nothing, p)""",
        "Softmax",
    ),
    "tf2onnx, channels last": Way(
        """i = Reshape(z, image); h = Transpose <perm = [0, 2, 3, 1]> (i); p = Softmax <axis = 3> (h);
        y = Squeeze(p, inner)""",
        "Softmax",
        lambda z, _: z,
    ),
    "Paddle": Way(
        "r = Reshape(z, flat); p = Softmax <axis = -1> (r); y = Identity(p)", "Softmax", lambda z, _: z
    ),
    "shapes in between": Way(
        """e = Exp(z); u = Unsqueeze(e, second); s = ReduceSum <keepdims = 0> (e, axis);
        v = Unsqueeze(s, axis); w = Unsqueeze(v, second); q = Div(u, w); f2 = Flatten(q);
        c = Cast <to = 11> (f2); y = Cast <to = 1> (c)""",
        "Softmax",
    ),
    "a Clip behind": Way("p = Softmax <axis = 1> (z); y = Clip(p, tiny, one)", "Softmax"),
    "a Clip of old": Way("p = Softmax (z); y = Clip <min = 1e-7, max = 1.0> (p)", "Softmax", opset=9),
    "Max and Min behind": Way("p = Softmax <axis = 1> (z); q = Max(p, tiny); y = Min(one, q)", "Softmax"),
    "a small number added": Way("p = Softmax <axis = 1> (z); y = Add(p, tiny)", "Softmax"),
    "ReLU behind": Way("p = Softmax <axis = 1> (z); y = Relu(p)", "Softmax"),
    "a small number under it": Way(f"{_BELOW} t = Add(s, tiny); y = Div(e, t)", "Softmax"),
    "a sum that is clipped": Way(f"{_BELOW} t = Clip(s, tiny); y = Div(e, t)", "Softmax"),
    "LpNormalization": Way("e = Exp(z); y = LpNormalization <axis = 1, p = 1> (e)", "Softmax"),
    "ReduceL1": Way("e = Exp(z); s = ReduceL1 <axes = [1]> (e); y = Div(e, s)", "Softmax"),
    "exp of the log": Way("l = LogSoftmax <axis = 1> (z); y = Exp(l)", "Softmax"),
    "exp of what is below its logarithm": Way(
        "l = ReduceLogSumExp <axes = [1]> (z); d = Sub(z, l); y = Exp(d)", "Softmax"
    ),
    "log and exp": Way("p = Softmax <axis = 1> (z); l = Log(p); y = Exp(l)", "Softmax"),
    "softmax of its logarithm": Way(
        "p = Softmax <axis = 1> (z); l = Log(p); y = Softmax <axis = 1> (l)", "Softmax"
    ),
    "temperature before": Way("t = Div(z, two); y = Softmax <axis = 1> (t)", "Softmax", lambda z, _: z / 2),
    "temperature, taken apart": Way(
        """m = ReduceMax <axes = [1]> (z); d = Sub(z, m); t = Mul(d, half); e = Exp(t);
        s = ReduceSum(e, axis); y = Div(e, s)""",
        "Softmax",
        lambda z, _: z / 2,
    ),
    "temperature behind": Way(
        "p = Softmax <axis = 1> (z); q = Pow(p, half); s = ReduceSum(q, axis); y = Div(q, s)",
        "Softmax",
        lambda z, _: z / 2,
    ),
    "a root behind": Way(
        "p = Softmax <axis = 1> (z); q = Sqrt(p); s = ReduceSum(q, axis); y = Div(q, s)",
        "Softmax",
        lambda z, _: z / 2,
    ),
    "sharpened": Way(
        "p = Softmax <axis = 1> (z); q = Mul(p, p); s = ReduceSum(q, axis); y = Div(q, s)",
        "Softmax",
        lambda z, _: 2 * z,
    ),
    "weights by class": Way(
        "p = Softmax <axis = 1> (z); q = Mul(p, weights); s = ReduceSum(q, axis); y = Div(q, s)",
        "Softmax",
        lambda z, _: z + np.log(CONSTANTS["weights"]),
    ),
    "permuted behind": Way(
        "p = Softmax <axis = 1> (z); y = Gather <axis = 1> (p, order)", "Softmax", lambda z, _: z[:, ORDER]
    ),
    "cut in two and joined": Way(
        "p = Softmax <axis = 1> (z); l, r = Split <axis = 1> (p, three); y = Concat <axis = 1> (r, l)",
        "Softmax",
        lambda z, _: np.roll(z, 3, axis=1),
    ),
    "the mean of two": Way(
        "p = Softmax <axis = 1> (z); q = Softmax <axis = 1> (z2); s = Add(p, q); y = Mul(s, half)",
        "Softmax",
        lambda z, z2: np.log((softmax(z) + softmax(z2)) / 2),
    ),
    "Mean of two": Way(
        "p = Softmax <axis = 1> (z); q = Softmax <axis = 1> (z2); y = Mean(p, q)",
        "Softmax",
        lambda z, z2: np.log((softmax(z) + softmax(z2)) / 2),
    ),
    "crops": Way(
        """a1 = Unsqueeze(z, axis); a2 = Unsqueeze(z2, axis); c = Concat <axis = 1> (a1, a2);
        p = Softmax <axis = 2> (c); y = ReduceMean <axes = [1], keepdims = 0> (p)""",
        "Softmax",
        lambda z, z2: np.log((softmax(z) + softmax(z2)) / 2),
    ),
    "a product of two": Way(
        """p = LogSoftmax <axis = 1> (z); q = LogSoftmax <axis = 1> (z2); l = Add(p, q); e = Exp(l);
        s = ReduceSum(e, axis); y = Div(e, s)""",
        "Softmax",
        lambda z, z2: z + z2,
    ),
    "smoothed": Way(
        "p = Softmax <axis = 1> (z); q = Mul(p, half); h = Mul(sixths, half); y = Add(q, h)",
        "Softmax",
        lambda z, _: np.log((softmax(z) + 1 / 6) / 2),
    ),
    "softplus over its sum": Way(
        "g = Softplus(z); s = ReduceSum(g, axis); y = Div(g, s)",
        "Softmax",
        lambda z, _: np.log(np.log1p(np.exp(z))),
    ),
    "evidence over its sum": Way(
        "g = Relu(z); a1 = Add(g, one); s = ReduceSum(a1, axis); y = Div(a1, s)",
        "Softmax",
        lambda z, _: np.log(np.maximum(z, 0) + 1),
    ),
    "twice": Way(
        "p = Softmax <axis = 1> (z); y = Softmax <axis = 1> (p)", "Softmax", lambda z, _: softmax(z)
    ),
}
#: logarithms of probabilities
LOG_SOFTMAX: dict[str, Way] = {
    "LogSoftmax": Way("y = LogSoftmax <axis = 1> (z)", "LogSoftmax"),
    "log of Softmax": Way("p = Softmax <axis = 1> (z); y = Log(p)", "LogSoftmax"),
    "log of a clipped Softmax": Way(
        "p = Softmax <axis = 1> (z); c = Clip(p, tiny, one); y = Log(c)", "LogSoftmax"
    ),
    "ReduceLogSumExp": Way("l = ReduceLogSumExp <axes = [1]> (z); y = Sub(z, l)", "LogSoftmax"),
    "log of the sum": Way(f"{_BELOW} l = Log(s); y = Sub(d, l)", "LogSoftmax"),
    "ReduceLogSum": Way("e = Exp(z); l = ReduceLogSum <axes = [1]> (e); y = Sub(z, l)", "LogSoftmax"),
    "never below −20": Way("l = LogSoftmax <axis = 1> (z); y = Max(l, floor)", "LogSoftmax"),
}

#: each class by itself
SIGMOID: dict[str, Way] = {
    "Sigmoid": Way("y = Sigmoid(z)", "Sigmoid"),
    "1/(1+e⁻ᶻ)": Way("n = Neg(z); e = Exp(n); s = Add(one, e); y = Reciprocal(s)", "Sigmoid", lambda z, _: z),
    "1÷(1+e⁻ᶻ)": Way(
        "n = Mul(z, minus); e = Exp(n); s = Add(e, ones); y = Div(one, s)", "Sigmoid", lambda z, _: z
    ),
    "eᶻ/(1+eᶻ)": Way("e = Exp(z); s = Add(e, one); y = Div(e, s)", "Sigmoid"),
    "eᶻ·1/(1+eᶻ)": Way("e = Exp(z); s = Add(e, one); r = Reciprocal(s); y = Mul(r, e)", "Sigmoid"),
    "(tanh(z/2)+1)/2": Way(
        "h = Mul(z, half); t = Tanh(h); s = Add(t, one); y = Mul(s, half)", "Sigmoid", lambda z, _: z
    ),
    "½+½tanh(z/2)": Way(
        "h = Div(z, two); t = Tanh(h); s = Mul(half, t); y = Add(half, s)", "Sigmoid", lambda z, _: z
    ),
    "1−σ(−z)": Way("n = Neg(z); p = Sigmoid(n); y = Sub(one, p)", "Sigmoid", lambda z, _: z),
    "e of LogSigmoid": Way("n = Neg(z); s = Softplus(n); l = Neg(s); y = Exp(l)", "Sigmoid", lambda z, _: z),
    "a Clip behind": Way("p = Sigmoid(z); y = Clip(p, tiny, one)", "Sigmoid"),
    "two heads, joined": Way(
        """l, r = Split <axis = 1> (z, three); l2, r2 = Split <axis = 1> (z2, three); p = Sigmoid(l);
        q = Sigmoid(r2); y = Concat <axis = 1> (q, p)""",
        "Sigmoid",
        lambda z, z2: np.concatenate([z2[:, 3:], z[:, :3]], axis=1),
    ),
    "permuted behind": Way(
        "p = Sigmoid(z); y = Gather <axis = 1> (p, order)", "Sigmoid", lambda z, _: z[:, ORDER]
    ),
    "the mean of two": Way(
        "p = Sigmoid(z); q = Sigmoid(z2); y = Mean(p, q)",
        "Sigmoid",
        lambda z, z2: np.log((m := (sigmoid(z) + sigmoid(z2)) / 2) / (1 - m)),
    ),
}
LOG_SIGMOID: dict[str, Way] = {
    "log of Sigmoid": Way("p = Sigmoid(z); y = Log(p)", "LogSigmoid"),
    "−softplus(−z)": Way("n = Neg(z); s = Softplus(n); y = Neg(s)", "LogSigmoid", lambda z, _: z),
}
#: scores that are logits still
RAW: dict[str, Way] = {
    "nothing": Way("y = Identity(z)", None, lambda z, _: z),
    "centred": Way("m = ReduceMean <axes = [1]> (z); y = Sub(z, m)", None),
    "below the maximum": Way("m = ReduceMax <axes = [1]> (z); y = Sub(z, m)", None),
    "permuted": Way("y = Gather <axis = 1> (z, order)", None, lambda z, _: z[:, ORDER]),
    "tanh": Way("y = Tanh(z)", None, lambda z, _: np.tanh(z)),
    "a Clip": Way("y = Clip(z, minus, one)", None, lambda z, _: np.clip(z, -1, 1)),
    "the sum of two": Way("y = Add(z, z2)", None, lambda z, z2: z + z2),
}
#: in proportion to probabilities
EXP: dict[str, Way] = {
    "e alone": Way("y = Exp(z)", "Exp"),
    "a square of probabilities": Way(
        "p = Softmax <axis = 1> (z); y = Pow(p, two)", "Exp", lambda z, _: 2 * z
    ),
    "odds": Way(
        "t = Div(z, hundred); p = Sigmoid(t); r = Sub(one, p); y = Div(p, r)", "Exp", lambda z, _: z / 100
    ),
}
#: what is known is the order of the classes, and that they add up to 1 once divided by a constant
PERCENT: dict[str, Way] = {
    "percent": Way("p = Softmax <axis = 1> (z); y = Mul(p, hundred)", "Softmax"),
    "percent each": Way("p = Sigmoid(z); y = Mul(p, hundred)", "Sigmoid"),
}
WAYS = {
    f"{group}: {name}": way
    for group, ways in (
        ("softmax", SOFTMAX),
        ("log-softmax", LOG_SOFTMAX),
        ("sigmoid", SIGMOID),
        ("log-sigmoid", LOG_SIGMOID),
        ("raw", RAW),
        ("exp", EXP),
        ("percent", PERCENT),
    )
    for name, way in ways.items()
}
