"""LSTM, GRU and RNN nodes to test with, and signal-take-all in loops over their single numbers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import numpy as np
from onnx import NodeProto, helper

from onnxunlearn.graph import Model
from tests.relevance.layers import model_of

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
Array = np.ndarray


@dataclass(frozen=True)
class Case:
    """One node between x [N, T, I] and the logits: all its outputs side by side, flattened.

    given: which optional inputs it has. outputs: which outputs are read. sizes: N, T, I, hidden.
    """

    op: str
    direction: str = "forward"
    opset: int = 17
    given: tuple[str, ...] = ("bias",)
    outputs: tuple[str, ...] = ("Y", "Y_h", "Y_c")
    sizes: tuple[int, int, int, int] = (2, 3, 4, 3)
    attributes: dict[str, Any] = field(default_factory=dict)
    seed: int = 0

    def __str__(self) -> str:
        said = ",".join(f"{k}={v}" for k, v in self.attributes.items())
        return "-".join([self.op, self.direction, str(self.opset), *self.given, *self.outputs, said])

    @property
    def reversals(self) -> list[bool]:
        return {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[self.direction]

    @property
    def states(self) -> list[str]:
        return ["h", "c"] if self.op == "LSTM" else ["h"]

    @property
    def results(self) -> list[str]:
        """The outputs that are read, without those the op lacks."""
        return [o for o in self.outputs if o != "Y_c" or self.op == "LSTM"]

    @cached_property
    def constants(self) -> dict[str, Array]:
        (n, t, i, h), gates, d = self.sizes, GATES[self.op], len(self.reversals)
        shapes: dict[str, tuple[int, ...]] = {"w": (d, gates * h, i), "r": (d, gates * h, h)}
        shapes |= {"b": (d, 2 * gates * h)} if "bias" in self.given else {}
        if "initial" in self.given:
            shapes |= {s: (n, d, h) if self.attributes.get("layout") else (d, n, h) for s in self.states}
        shapes |= {"p": (d, 3 * h)} if "peepholes" in self.given else {}
        rng = np.random.default_rng(self.seed)
        arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        if "short" in self.given:  # every other sample ends earlier
            return arrays | {"lengths": np.array([max(1, t - i % 2 * (1 + i)) for i in range(n)], np.int32)}
        return arrays | ({"lengths": np.full(n, t, np.int32)} if "lengths" in self.given else {})

    @cached_property
    def x(self) -> Array:
        return np.random.default_rng(self.seed + 1).normal(size=self.sizes[:3]).astype(np.float32)

    @cached_property
    def R(self) -> Array:
        """What arrives at the logits."""
        _, t, _, h = self.sizes
        columns = sum(t if o == "Y" else 1 for o in self.results) * len(self.reversals) * h
        return np.random.default_rng(self.seed + 2).normal(size=(self.sizes[0], columns))

    def model(self) -> Model:
        by_batch = self.attributes.get("layout", 0)
        optional = ["b", "lengths", *self.states, "p"]
        inputs = ["x" if by_batch else "xt", "w", "r", *(n if n in self.constants else "" for n in optional)]
        last = [f"Y_{s}" for s in self.states]
        outputs = [o if o in self.results else "" for o in ("Y", *last)]
        while not outputs[-1]:
            del outputs[-1]
        while not inputs[-1]:
            del inputs[-1]
        attributes = {"hidden_size": self.sizes[3], "direction": self.direction, **self.attributes}
        nodes: list[NodeProto] = [helper.make_node(self.op, inputs, outputs, name="node", **attributes)]
        if not by_batch:
            nodes.insert(0, helper.make_node("Transpose", ["x"], ["xt"], perm=[1, 0, 2]))
        for o in self.results:
            perm = [2, 0, 1, 3] if o == "Y" else [1, 0, 2]
            turn = helper.make_node("Transpose", [o], [o + "t"], perm=perm)
            nodes += [] if by_batch else [turn]
            nodes.append(helper.make_node("Flatten", [o if by_batch else o + "t"], [o + "f"]))
        nodes.append(helper.make_node("Concat", [o + "f" for o in self.results], ["logits"], axis=1))
        shape = ["n", *self.x.shape[1:]]
        return model_of(nodes, {"x": shape}, self.constants, "logits", ["n", "c"], self.opset)

    def arriving(self) -> dict[str, Array]:
        """R as it arrives at Y [N, T, D, H], Y_h and Y_c [N, D, H]."""
        n, t, _, h = self.sizes
        d = len(self.reversals)
        shapes = {"Y": (n, t, d, h), "Y_h": (n, d, h), "Y_c": (n, d, h)}
        found, start = {o: np.zeros(shape) for o, shape in shapes.items()}, 0
        for o in self.results:
            end = start + found[o][0].size
            found[o], start = self.R[:, start:end].reshape(shapes[o]), end
        return found


#: the standard's activation functions, of z, alpha and beta
FUNCTIONS: dict[str, Callable[[Array, float, float], Array]] = {
    "Sigmoid": lambda z, a, b: 1 / (1 + np.exp(-z)),
    "Tanh": lambda z, a, b: np.tanh(z),
    "Relu": lambda z, a, b: np.maximum(z, 0),
    "Softsign": lambda z, a, b: z / (1 + np.abs(z)),
    "Softplus": lambda z, a, b: np.log(1 + np.exp(z)),
    "Affine": lambda z, a, b: a * z + b,
    "LeakyRelu": lambda z, a, b: np.where(z < 0, a * z, z),
    "ThresholdedRelu": lambda z, a, b: np.where(z > a, z, 0),
    "ScaledTanh": lambda z, a, b: a * np.tanh(b * z),
    "HardSigmoid": lambda z, a, b: np.clip(a * z + b, 0, 1),
    "Elu": lambda z, a, b: np.where(z < 0, a * (np.exp(z) - 1), z),
}
#: those with parameters; the others must leave alpha and beta to the next
PARAMETERS = {
    **dict.fromkeys(("Affine", "ScaledTanh", "HardSigmoid"), "ab"),
    **dict.fromkeys(("LeakyRelu", "ThresholdedRelu", "Elu"), "a"),
}


def functions(case: "Case", d: int) -> list[Callable[[Array], Array]]:
    """The activations of direction `d`, behind the clip but for an LSTM's last."""
    default = {"LSTM": ["Sigmoid", "Tanh", "Tanh"], "GRU": ["Sigmoid", "Tanh"], "RNN": ["Tanh"]}[case.op]
    names = case.attributes.get("activations", default * 2)
    numbers = {k: list(case.attributes.get(f"activation_{k}", [])) for k in ("alpha", "beta")}
    clip = case.attributes.get("clip", np.inf)
    found: list[Callable[[Array], Array]] = []
    for i, name in enumerate(names):
        a, b = (
            float(np.float32(numbers[k].pop(0))) if k[0] in PARAMETERS.get(name, "") else 0.0 for k in numbers
        )
        bound = np.inf if i % len(default) == 2 else float(np.float32(clip))
        found.append(partial(_clipped, FUNCTIONS[name], bound, a, b))
    return found[d * len(default) : (d + 1) * len(default)]


def _clipped(
    function: Callable[[Array, float, float], Array], bound: float, a: float, b: float, z: Array
) -> Array:
    return function(np.clip(z, -bound, bound), a, b)


def stab(z: float, epsilon: float) -> float:
    return z + (-epsilon if z < 0 else epsilon)


def shared(w: Array, v: Array, z: Array, R: Array, epsilon: float) -> Array:
    """R at z = w·v + …, as far as it goes to v."""
    found = np.zeros(len(v))
    for k in range(len(v)):
        for j in range(len(z)):
            found[k] += w[j, k] * v[k] / stab(z[j], epsilon) * R[j]
    return found


def split(part: Array, whole: Array, R: Array, epsilon: float) -> Array:
    return np.array([part[j] / stab(whole[j], epsilon) * R[j] for j in range(len(R))])


class Restated:
    """signal-take-all for one direction and one sample, one step at a time."""

    def __init__(self, case: Case, d: int, n: int, epsilon: float) -> None:
        c, (_, _, _, self.size) = case.constants, case.sizes
        self.case, self.epsilon = case, epsilon
        self.functions = functions(case, d)
        self.w, self.r = c["w"][d].astype(float), c["r"][d].astype(float)
        b = c["b"][d] if "b" in c else np.zeros(2 * len(self.w))
        self.wb, self.rb = np.split(b.astype(float), 2)
        first = [(c[s][n] if case.attributes.get("layout") else c[s][:, n]) for s in case.states if s in c]
        self.first = [s[d].astype(float) for s in first] or [np.zeros(self.size)] * 2
        self.p = np.split(c["p"][d].astype(float), 3) if "p" in c else [np.zeros(self.size)] * 3

    def gate(self, array: Array, number: int) -> Array:
        return array[number * self.size : (number + 1) * self.size]

    def pre(self, x: Array, h: Array, number: int) -> Array:
        total = self.w @ x + self.r @ h + self.wb + self.rb
        return self.gate(total, number)

    def relevance(self, xs: list[Array], R_Y: list[Array], R_h: Array, R_c: Array) -> list[Array]:
        """All in the order in which the direction goes."""
        states = [self.first]
        for x in xs:
            states.append(self.forward(x, *states[-1]))
        found = []
        for t in reversed(range(len(xs))):
            R_x, R_h, R_c = self.back(xs[t], states[t], states[t + 1], R_h + R_Y[t], R_c)
            found.append(R_x)
        return found[::-1]

    def forward(self, x: Array, h: Array, c: Array | None = None) -> list[Array]:
        if self.case.op == "RNN":
            return [self.functions[0](self.pre(x, h, 0))]
        if self.case.op == "GRU":
            z = self.functions[0](self.pre(x, h, 0))
            return [(1 - z) * self.functions[1](self.candidate(x, h)) + z * h]
        assert c is not None
        i, f, g = self.inner(x, h, c)
        after = f * c + i * g
        o = self.functions[0](self.pre(x, h, 1) + self.p[1] * after)
        return [o * self.functions[2](after), after]

    def inner(self, x: Array, h: Array, c: Array) -> tuple[Array, Array, Array]:
        i = self.functions[0](self.pre(x, h, 0) + self.p[0] * c)
        f = self.functions[0](self.pre(x, h, 2) + self.p[2] * c)
        f = 1 - i if self.case.attributes.get("input_forget") else f
        return i, f, self.functions[1](self.pre(x, h, 3))

    def candidate(self, x: Array, h: Array) -> Array:
        """The GRU's signal before its tanh."""
        reset = self.functions[0](self.pre(x, h, 1))
        w, r, wb, rb = (self.gate(a, 2) for a in (self.w, self.r, self.wb, self.rb))
        if self.case.attributes.get("linear_before_reset"):
            return w @ x + wb + reset * (r @ h + rb)
        return w @ x + wb + r @ (reset * h) + rb

    def back(
        self, x: Array, before: list[Array], after: list[Array], R_h: Array, R_c: Array
    ) -> tuple[Array, Array, Array]:
        h, e = before[0], self.epsilon
        if self.case.op == "RNN":
            z, number, kept, recurrent = self.pre(x, h, 0), 0, np.zeros(self.size), self.r
            R_signal = R_h
        elif self.case.op == "GRU":
            z, number, update = self.candidate(x, h), 2, self.functions[0](self.pre(x, h, 0))
            kept = split(update * h, after[0], R_h, e)
            R_signal = split((1 - update) * self.functions[1](z), after[0], R_h, e)
            reset = self.functions[0](self.pre(x, h, 1))
            by_row = self.case.attributes.get("linear_before_reset")
            recurrent = self.gate(self.r, 2) * (reset[:, None] if by_row else reset[None, :])
        else:
            i, f, g = self.inner(x, *before)
            z, number, kept, recurrent = self.pre(x, h, 3), 3, np.zeros(self.size), self.gate(self.r, 3)
            R_signal = split(i * g, after[1], R_h + R_c, e)
            R_c = split(f * before[1], after[1], R_h + R_c, e)
        R_x = shared(self.gate(self.w, number), x, z, R_signal, e)
        return R_x, kept + shared(recurrent, h, z, R_signal, e), R_c


def restated(case: Case, epsilon: float = 1e-6) -> Array:
    found, R = np.zeros(case.x.shape), case.arriving()
    for n in range(len(found)):
        for d, reverse in enumerate(case.reversals):
            order = slice(None, None, -1 if reverse else 1)
            end = int(case.constants["lengths"][n]) if "lengths" in case.constants else len(case.x[n])
            xs, R_Y = list(case.x[n, :end].astype(float)[order]), list(R["Y"][n, :end, d][order])
            one = Restated(case, d, n, epsilon)
            found[n, :end] += one.relevance(xs, R_Y, R["Y_h"][n, d], R["Y_c"][n, d])[order]
    return found
