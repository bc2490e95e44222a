"""What may lie between the last layers and the logits: classes in another order, negated, scaled, cut off.

`z` [N, 6] is one layer's output, `z2` a second one's of the same features; each ends in `y`.
"""

from typing import Any

import numpy as np

from .ending.ways import CONSTANTS, Way

CONSTANTS |= {
    "signs": np.array([1, -1, 1, -1, 1, -1], np.float32),
    "scales": np.linspace(0.2, 3, 6).astype(np.float32),
    "mean": np.linspace(-2, 2, 6).astype(np.float32),
    "variance": np.linspace(0.5, 4, 6).astype(np.float32),
    "reverse": np.array([-1]),
    "far": np.array([-100]),
    "row": np.array([1, -1]),
    "sample": np.array([0, 0]),
    "allowed": np.array([True, True, True, True, False, True]),
    "never": np.float32(-1e9),
    "first": np.array([0]),
}

#: logits that are scaled and shifted rows of layers
STRAIGHT: dict[str, Way] = {
    "nothing": Way("y = Identity(z)", None),
    "permuted": Way("y = Gather <axis = 1> (z, order)", None),
    "negated": Way("y = Neg(z)", None),
    "taken from 0": Way("y = Sub(nothing, z)", None),
    "times −1": Way("y = Mul(minus, z)", None),
    "some negated": Way("y = Mul(z, signs)", None),
    "each times its own": Way("y = Mul(z, scales)", None),
    "divided, each by its own": Way("y = Div(z, scales)", None),
    "priors": Way("y = Add(priors, z)", None),
    "less priors": Way("y = Sub(z, priors)", None),
    "backwards": Way("y = Slice(z, reverse, far, axis, reverse)", None),
    "the first four": Way("y = Slice(z, start, end, axis)", None),
    "some": Way("y = Gather <axis = 1> (z, some)", None),
    "halves exchanged": Way("l, r = Split <axis = 1> (z, three); y = Concat <axis = 1> (r, l)", None),
    "transposed twice": Way(
        """t = Transpose <perm = [1, 0]> (z); g = Gather <axis = 0> (t, order);
        y = Transpose <perm = [1, 0]> (g)""",
        None,
    ),
    "BatchNormalization": Way("y = BatchNormalization(z, signs, priors, mean, variance)", None),
    "permuted before Softmax": Way("g = Gather <axis = 1> (z, order); y = Softmax <axis = 1> (g)", "Softmax"),
    "permuted behind Softmax": Way("p = Softmax <axis = 1> (z); y = Gather <axis = 1> (p, order)", "Softmax"),
    "negated, temperature, Softmax": Way(
        "n = Neg(z); t = Div(n, two); y = Softmax <axis = 1> (t)", "Softmax"
    ),
    "one class never": Way("y = Where(allowed, z, never)", None),
    "the sum of two": Way("y = Add(z, z2)", None),
    "the difference of two": Way("y = Sub(z, z2)", None),
    "the mean of two": Way("s = Mean(z, z2); y = Softmax <axis = 1> (s)", "Softmax"),
    "half of one, half of another": Way(
        """l, r = Split <axis = 1> (z, three); l2, r2 = Split <axis = 1> (z2, three);
        y = Concat <axis = 1> (l2, r)""",
        None,
    ),
    "a product of two": Way(
        """p = LogSoftmax <axis = 1> (z); q = LogSoftmax <axis = 1> (z2); l = Add(p, q);
        y = Softmax <axis = 1> (l)""",
        "Softmax",
    ),
}
#: a function that rises lies between, the same for all classes
CURVED: dict[str, Way] = {
    "soft cap": Way("d = Mul(z, fiftieth); t = Tanh(d); y = Mul(t, hundred)", None),
    "softplus over its sum": Way("g = Softplus(z); s = ReduceSum(g, axis); y = Div(g, s)", "Softmax"),
    "twice": Way("p = Softmax <axis = 1> (z); y = Softmax <axis = 1> (p)", "Softmax"),
    "standardised": Way(
        """m = ReduceMean <axes = [1]> (z); d = Sub(z, m); q = Mul(d, d); v = ReduceMean <axes = [1]> (q);
        e = Add(v, tiny); s = Sqrt(e); y = Div(d, s)""",
        None,
    ),
}
#: each class by itself
SINGLE: dict[str, Way] = {
    "Sigmoid": Way("y = Sigmoid(z)", "Sigmoid"),
    "permuted behind Sigmoid": Way("p = Sigmoid(z); y = Gather <axis = 1> (p, order)", "Sigmoid"),
    "1/(1+eᶻ) of negated rows": Way("e = Exp(z); s = Add(one, e); y = Reciprocal(s)", "Sigmoid"),
    "thresholds of their own": Way("s = Add(z, priors); y = Sigmoid(s)", "Sigmoid"),
    "tanh": Way("h = Mul(z, half); t = Tanh(h); s = Add(t, one); y = Mul(s, half)", "Sigmoid"),
    "two heads, joined": Way(
        """l, r = Split <axis = 1> (z, three); l2, r2 = Split <axis = 1> (z2, three); p = Sigmoid(l);
        q = Sigmoid(r2); y = Concat <axis = 1> (q, p)""",
        "Sigmoid",
    ),
    "LogSigmoid": Way("p = Sigmoid(z); y = Log(p)", "LogSigmoid"),
}
#: nobody can tell which row makes which class, or whether a class falls where its row rises
UNTOLD: dict[str, Way] = {
    "LayerNormalization": Way("y = LayerNormalization(z, scales, priors)", None),
    "1 − p": Way("p = Softmax <axis = 1> (z); y = Sub(one, p)", None),
    "−p": Way("p = Softmax <axis = 1> (z); y = Neg(p)", None),
    "the mean of two Softmax": Way(
        "p = Softmax <axis = 1> (z); q = Softmax <axis = 1> (z2); y = Mean(p, q)", "Softmax"
    ),
    "a product": Way("y = Mul(z, z2)", None),
    "bounds of their own": Way("y = Max(z, priors)", None),
    "a slope below 0": Way("y = LeakyRelu <alpha = -0.1> (z)", None),
    "over the samples": Way("p = Softmax <axis = 0> (z); y = Identity(p)", None),
}


def decisions(way: Way, y: Any) -> Any:
    """What a file says: the largest score, or of each whether it is above the threshold."""
    if way.normaliser == "Sigmoid":
        return y > 0.5
    return y > np.log(0.5) if way.normaliser == "LogSigmoid" else y.argmax(axis=1)
