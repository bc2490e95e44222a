"""LSTM, GRU and RNN, unrolled over the sequence.

What goes on inside these nodes, gates and cell states, cannot be recorded. So every step is computed again
from the recorded input, and then the steps are walked back, with gradients or with shares of relevance.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.relevance.adjoints.site import Site, adjoint
from onnxunlearn.relevance.expression import Value, stab
from onnxunlearn.relevance.local_map import Recurrent

#: the hidden state and, of an LSTM, the cell state; each [1, N, hidden]
State = tuple[Value, ...]
#: pre-activations, or signals at them, by the letter of their gate
Gates = Mapping[str, Value]


@dataclass(frozen=True)
class _Step:
    """One step in one direction. Both ways back start with what arrives at `state`, which it leaves behind.

    gradient: signals -> signals at the pre-activations, and at the state before.
    share: R, ε -> signals s at the pre-activations, for which R_x = x ⊙ sW, and R of the state before.
    """

    state: State
    gradient: Callable[[State], tuple[Gates, State]]
    share: Callable[[State, float], tuple[Gates, State]]


class _Weights:
    """The weights of one direction, by gate; `gates` in the order in which ONNX stacks them.

    late: gates whose recurrent bias is added by `recall`, not by `see`. w, r: [hidden, inputs], and turned.
    """

    def __init__(self, site: Site, gates: str, direction: int, late: str = "") -> None:
        def matrices(index: int, turned: bool = False) -> Gates:
            stacked = site.constant(index)
            assert stacked is not None
            parts = zip(gates, np.split(stacked[direction].astype(emitter.dtype), len(gates)), strict=True)
            # A tensor at once: looked up once, not at every step, and with a shape even if it is all zero.
            return {g: Value(emitter, variable=emitter.tensor(p.T if turned else p)) for g, p in parts}

        emitter, self.direction = site.emitter, direction
        self.w, self.w_turned = matrices(1), matrices(1, turned=True)
        self.r, self.r_turned = matrices(2), matrices(2, turned=True)
        biases = dict(zip(gates + gates.upper(), _vectors(site, 3, direction, 2 * len(gates)), strict=True))
        self.late = {g: biases[g.upper()] if g in late else emitter.zero for g in gates}
        self.early = {g: biases[g] if g in late else biases[g] + biases[g.upper()] for g in gates}

    def see(self, x: Value, gate: str) -> Value:
        return _matmul(x, self.w_turned[gate]) + self.early[gate]

    def recall(self, h: Value, gate: str) -> Value:
        return _matmul(h, self.r_turned[gate]) + self.late[gate]

    def to_x(self, signal: Value, gate: str) -> Value:
        return _matmul(signal, self.w[gate])

    def to_h(self, signal: Value, gate: str) -> Value:
        return _matmul(signal, self.r[gate])


Cell = Callable[[_Weights, Gates, State], _Step]


def _vectors(site: Site, index: int, direction: int, count: int) -> list[Value]:
    """The `count` vectors that input number `index` holds for a direction; zeros if it is omitted."""
    stacked = site.constant(index)
    if stacked is None:
        return [site.emitter.zero] * count
    return [site.emitter.constant(part) for part in np.split(stacked[direction], count)]


def _matmul(a: Value, b: Value) -> Value:
    return a if a.zero else a.emitter.op("MatMul", a, b)


def _sigmoid(z: Value) -> Value:
    return z.emitter.op("Sigmoid", z)


def _tanh(z: Value) -> Value:
    return z.emitter.op("Tanh", z)


@adjoint("LSTM")
def lstm(site: Site) -> Recurrent:
    """c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c'); i, f and o may look at the cell, too (peepholes)."""
    if site.node.attribute("input_forget", 0):
        raise site.unsupported("input_forget is not covered")

    def cell(weights: _Weights, seen: Gates, before: State) -> _Step:
        h, c = before
        peep = dict(zip("iof", _vectors(site, 7, weights.direction, 3), strict=True))
        z = {gate: seen[gate] + weights.recall(h, gate) for gate in "iofc"}
        i, f = (_sigmoid(z[gate] + peep[gate] * c) for gate in "if")
        g = _tanh(z["c"])
        after = f * c + i * g
        o, t = _sigmoid(z["o"] + peep["o"] * after), _tanh(after)

        def gradient(signal: State) -> tuple[Gates, State]:
            to_o = signal[0] * t * o * (1.0 - o)
            s = signal[1] + signal[0] * o * (1.0 - t * t) + to_o * peep["o"]
            to_i, to_f = s * g * i * (1.0 - i), s * c * f * (1.0 - f)
            gates = {"i": to_i, "o": to_o, "f": to_f, "c": s * i * (1.0 - g * g)}
            to_h = _sum([weights.to_h(s, gate) for gate, s in gates.items()])
            return gates, (to_h, s * f + to_i * peep["i"] + to_f * peep["f"])

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = (R[0] + R[1]) / stab(after, epsilon)
            to_g = i * g * s / stab(z["c"], epsilon)
            return {"c": to_g}, (h * weights.to_h(to_g, "c"), f * c * s)

        return _Step((o * t, after), gradient, share)

    return _recurrent(site, "iofc", cell, ["Sigmoid", "Tanh", "Tanh"], states=2)


@adjoint("GRU")
def gru(site: Site) -> Recurrent:
    """h' = (1 − z) ⊙ n + z ⊙ h; the reset gate r acts on h, or on what n recalls of it."""
    late = "h" if site.node.attribute("linear_before_reset", 0) else ""

    def cell(weights: _Weights, seen: Gates, before: State) -> _Step:
        (h,) = before
        z, r = (_sigmoid(seen[gate] + weights.recall(h, gate)) for gate in "zr")
        recalled = weights.recall(h if late else r * h, "h")
        pre = seen["h"] + (r * recalled if late else recalled)
        n = _tanh(pre)
        after = (1.0 - z) * n + z * h

        def through_reset(signal: Value) -> Value:
            """From n's pre-activation to h, with r held constant."""
            return weights.to_h(signal * r, "h") if late else weights.to_h(signal, "h") * r

        def gradient(signal: State) -> tuple[Gates, State]:
            (s,) = signal
            to_n = s * (1.0 - z) * (1.0 - n * n)
            at_r = to_n * recalled if late else weights.to_h(to_n, "h") * h
            gates = {"z": s * (h - n) * z * (1.0 - z), "r": at_r * r * (1.0 - r), "h": to_n}
            to_h = _sum([weights.to_h(gates[gate], gate) for gate in "zr"])
            return gates, (s * z + to_h + through_reset(to_n),)

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = R[0] / stab(after, epsilon)
            to_n = (1.0 - z) * n * s / stab(pre, epsilon)
            return {"h": to_n}, (h * (z * s + through_reset(to_n)),)

        return _Step((after,), gradient, share)

    return _recurrent(site, "zrh", cell, ["Sigmoid", "Tanh"], late=late)


@adjoint("RNN")
def rnn(site: Site) -> Recurrent:
    """h' = tanh(z)."""

    def cell(weights: _Weights, seen: Gates, before: State) -> _Step:
        (h,) = before
        z = seen["h"] + weights.recall(h, "h")
        after = _tanh(z)

        def gradient(signal: State) -> tuple[Gates, State]:
            s = signal[0] * (1.0 - after * after)
            return {"h": s}, (weights.to_h(s, "h"),)

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = R[0] / stab(z, epsilon)
            return {"h": s}, (h * weights.to_h(s, "h"),)

        return _Step((after,), gradient, share)

    return _recurrent(site, "h", cell, ["Tanh"])


def _recurrent(
    site: Site, gates: str, cell: Cell, activations: Sequence[str], *, states: int = 1, late: str = ""
) -> Recurrent:
    """What all three have in common: the walk over directions and time."""
    emitter, name = site.emitter, site.node.inputs[0]
    by_batch = bool(site.node.attribute("layout", 0))
    swap = [1, 0, 2] if by_batch else [0, 1, 2]
    steps, batch, _ = (site.shape()[axis] for axis in swap)
    hidden = site.shape(2)[-1]
    nothing = np.zeros((1, batch, hidden), emitter.dtype)
    backwards = _directions(site, activations, steps)

    def initial(direction: int) -> State:
        given = (site.constant(5 + i) for i in range(states))
        return tuple(
            emitter.constant(None if a is None else a.transpose(swap)[direction : direction + 1])
            for a in given
        )

    def walk(arriving: Sequence[Value], back: Callable[[_Step, State], tuple[Gates, State]]) -> Value:
        """There and back again; arriving: at Y, Y_h and Y_c, as many as the node has."""
        y, *last = [*arriving, *[emitter.zero] * (1 + states - len(arriving))]
        y = y.transpose([1, 2, 0, 3]) if by_batch else y
        x = site.value(name).transpose(swap)
        to_x = []
        for direction, reverse in enumerate(backwards):
            weights = _Weights(site, gates, direction, late)
            seen = {gate: weights.see(x, gate) for gate in gates}
            order = range(steps)[::-1] if reverse else range(steps)
            made: list[_Step] = []
            state = initial(direction)
            for t in order:
                made.append(cell(weights, {gate: _at(t, s) for gate, s in seen.items()}, state))
                state = made[-1].state
            signal = tuple(_at(direction, s.transpose(swap)) for s in last)
            at_y = _at(direction, y, axis=1).reshape([steps, batch, hidden])
            at_gates: dict[int, Gates] = {}
            for t, step in zip(reversed(order), reversed(made), strict=True):
                at_gates[t], signal = back(step, (signal[0] + _at(t, at_y), *signal[1:]))
            for gate in gates:
                signals = [at_gates[t].get(gate, emitter.zero) for t in range(steps)]
                to_x.append(weights.to_x(_joined(signals, nothing), gate))
        return _sum(to_x).transpose(swap)

    x = site.value(name)
    return Recurrent(
        kind="recurrent",
        inputs=(name,),
        xs=(x,),
        y=site.y if site.node.outputs[0] else emitter.zero,
        outputs=tuple(range(1 + states)),
        vjp=lambda *signals: [walk(signals, lambda step, s: step.gradient(s))],
        share=lambda R, epsilon: [x * walk(R, lambda step, r: step.share(r, epsilon))],
    )


def _directions(site: Site, activations: Sequence[str], steps: int) -> list[bool]:
    """Of each direction whether it runs backwards. Raises UnsupportedError for what the cells do not do."""
    backwards = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[
        site.node.attribute("direction", "forward")
    ]
    named = [kind.decode().lower() for kind in site.node.attribute("activations", [])]
    if named and named != [kind.lower() for kind in activations] * len(backwards):
        raise site.unsupported(f"activations {', '.join(named)} are not covered, only the default ones")
    if site.node.attribute("clip", 0.0):
        raise site.unsupported("clip is not covered")
    lengths = site.constant(4)
    if lengths is not None and (lengths != steps).any():
        raise site.unsupported(f"sequence_lens must be the length of the input, {steps}, for all samples")
    return backwards


def _at(index: int, value: Value, axis: int = 0) -> Value:
    """value[index : index + 1] along `axis`."""
    if value.zero:
        return value
    return value.emitter.op("Gather", value, np.asarray([index], np.int64), axis=axis)


def _joined(signals: Sequence[Value], nothing: np.ndarray) -> Value:
    """[1, N, hidden] each, as [T, N, hidden]; `nothing` takes the place of a zero, unless all are."""
    if all(s.zero for s in signals):
        return signals[0]
    emitter = signals[0].emitter
    return emitter.op("Concat", *(nothing if s.zero else s for s in signals), axis=0)


def _sum(values: Sequence[Value]) -> Value:
    return sum(values[1:], values[0])
