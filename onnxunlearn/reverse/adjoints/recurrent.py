"""LSTM, GRU and RNN, unrolled over the sequence.

What goes on inside these nodes, gates and cell states, cannot be recorded. So every step is computed again
from the recorded input, and then the steps are walked back, with gradients or with shares of relevance.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from onnxunlearn.graph.cells import cell_activations, runs_backwards
from onnxunlearn.reverse.adjoints.gate_gradients import Recalled, Way, joined, weight_gradient
from onnxunlearn.reverse.adjoints.gate_weights import Gates, Weights, vectors
from onnxunlearn.reverse.adjoints.gates import Gate, gate_of
from onnxunlearn.reverse.adjoints.site import Site, adjoint
from onnxunlearn.reverse.expression import Value, stab
from onnxunlearn.reverse.local_map import Recurrent

#: the hidden state and, of an LSTM, the cell state; each [1, N, hidden]
State = tuple[Value, ...]


@dataclass(frozen=True)
class _Step:
    """One step in one direction. Both ways back start with what arrives at `state`, which it leaves behind.

    gradient: signals -> signals at the pre-activations, and at the state before.
    share: R, ε -> signals s at the pre-activations, for which R_x = x ⊙ sW, and R of the state before.
    recalled: signals at the pre-activations -> by gate the signal at what the gate recalls, and of what.
    """

    state: State
    gradient: Callable[[State], tuple[Gates, State]]
    share: Callable[[State, float], tuple[Gates, State]]
    recalled: Callable[[Gates], Recalled]


#: the activations of the direction, what its gates see of x, the state before
Cell = Callable[[Weights, Sequence[Gate], Gates, State], _Step]


@adjoint("LSTM")
def lstm(site: Site) -> Recurrent:
    """c' = f ⊙ c + i ⊙ g, h' = o ⊙ tanh(c'); i, f and o may look at the cell, too (peepholes); f may be
    1 − i (input_forget)."""
    coupled = bool(site.node.attribute("input_forget", 0))

    def cell(weights: Weights, activations: Sequence[Gate], seen: Gates, before: State) -> _Step:
        sigmoid, tanh, last = activations
        h, c = before
        peep = dict(zip("iof", vectors(site, 7, weights.direction, 3), strict=True))
        z = {gate: seen[gate] + weights.recall(h, gate) for gate in "iofc"}
        z |= {gate: z[gate] + peep[gate] * c for gate in "if"}
        i, g = sigmoid.of(z["i"]), tanh.of(z["c"])
        f = 1.0 - i if coupled else sigmoid.of(z["f"])
        after = f * c + i * g
        z["o"] = z["o"] + peep["o"] * after
        o, t = sigmoid.of(z["o"]), last.of(after)

        def gradient(signal: State) -> tuple[Gates, State]:
            to_o = signal[0] * t * sigmoid.slope(z["o"], o)
            s = signal[1] + signal[0] * o * last.slope(after, t) + to_o * peep["o"]
            to_i, to_f = s * (g - c if coupled else g) * sigmoid.slope(z["i"], i), site.emitter.zero
            if not coupled:
                to_f = s * c * sigmoid.slope(z["f"], f)
            gates = {"i": to_i, "o": to_o, "f": to_f, "c": s * i * tanh.slope(z["c"], g)}
            to_h = _sum([weights.to_h(s, gate) for gate, s in gates.items()])
            return gates, (to_h, s * f + to_i * peep["i"] + to_f * peep["f"])

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = (R[0] + R[1]) / stab(after, epsilon)
            to_g = i * g * s / stab(z["c"], epsilon)
            return {"c": to_g}, (h * weights.to_h(to_g, "c"), f * c * s)

        return _Step((o * t, after), gradient, share, lambda at: {g: (s, h) for g, s in at.items()})

    return _recurrent(site, "iofc", cell, states=2)


@adjoint("GRU")
def gru(site: Site) -> Recurrent:
    """h' = (1 − z) ⊙ n + z ⊙ h; the reset gate r acts on h, or on what n recalls of it."""
    late = "h" if site.node.attribute("linear_before_reset", 0) else ""

    def cell(weights: Weights, activations: Sequence[Gate], seen: Gates, before: State) -> _Step:
        sigmoid, tanh = activations
        (h,) = before
        at = {gate: seen[gate] + weights.recall(h, gate) for gate in "zr"}
        z, r = (sigmoid.of(at[gate]) for gate in "zr")
        recalled = weights.recall(h if late else r * h, "h")
        pre = seen["h"] + (r * recalled if late else recalled)
        n = tanh.of(pre)
        after = (1.0 - z) * n + z * h

        def through_reset(signal: Value) -> Value:
            """From n's pre-activation to h, with r held constant."""
            return weights.to_h(signal * r, "h") if late else weights.to_h(signal, "h") * r

        def gradient(signal: State) -> tuple[Gates, State]:
            (s,) = signal
            to_n = s * (1.0 - z) * tanh.slope(pre, n)
            at_r = to_n * recalled if late else weights.to_h(to_n, "h") * h
            gates = {
                "z": s * (h - n) * sigmoid.slope(at["z"], z),
                "r": at_r * sigmoid.slope(at["r"], r),
                "h": to_n,
            }
            to_h = _sum([weights.to_h(gates[gate], gate) for gate in "zr"])
            return gates, (s * z + to_h + through_reset(to_n),)

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = R[0] / stab(after, epsilon)
            to_n = (1.0 - z) * n * s / stab(pre, epsilon)
            return {"h": to_n}, (h * (z * s + through_reset(to_n)),)

        def recalls(at: Gates) -> Recalled:
            found = {gate: (signal, h) for gate, signal in at.items()}
            return {**found, "h": (at["h"] * r, h) if late else (at["h"], r * h)}

        return _Step((after,), gradient, share, recalls)

    return _recurrent(site, "zrh", cell, late=late)


@adjoint("RNN")
def rnn(site: Site) -> Recurrent:
    """h' = tanh(z)."""

    def cell(weights: Weights, activations: Sequence[Gate], seen: Gates, before: State) -> _Step:
        (tanh,) = activations
        (h,) = before
        z = seen["h"] + weights.recall(h, "h")
        after = tanh.of(z)

        def gradient(signal: State) -> tuple[Gates, State]:
            s = signal[0] * tanh.slope(z, after)
            return {"h": s}, (weights.to_h(s, "h"),)

        def share(R: State, epsilon: float) -> tuple[Gates, State]:
            s = R[0] / stab(z, epsilon)
            return {"h": s}, (h * weights.to_h(s, "h"),)

        return _Step((after,), gradient, share, lambda at: {"h": (at["h"], h)})

    return _recurrent(site, "h", cell)


def _within(step: _Step, before: State, inside: Value) -> _Step:
    """The step for samples that are not at their end yet (inside: 1, else 0); the others keep their state."""
    outside = 1.0 - inside

    def kept(state: State) -> State:
        return tuple(s * outside for s in state)

    def added(made: tuple[Gates, State], passed: State) -> tuple[Gates, State]:
        return made[0], tuple(a + b for a, b in zip(made[1], passed, strict=True))

    def within(state: State) -> State:
        return tuple(s * inside for s in state)

    return _Step(
        tuple(a * inside + b for a, b in zip(step.state, kept(before), strict=True)),
        lambda signal: added(step.gradient(within(signal)), kept(signal)),
        lambda R, epsilon: added(step.share(within(R), epsilon), kept(R)),
        step.recalled,
    )


def _recurrent(site: Site, gates: str, cell: Cell, *, states: int = 1, late: str = "") -> Recurrent:
    """What all three have in common: the walk over directions and time."""
    emitter, name = site.emitter, site.node.inputs[0]
    by_batch = bool(site.node.attribute("layout", 0))
    swap = [1, 0, 2] if by_batch else [0, 1, 2]
    steps, batch, _ = (site.shape()[axis] for axis in swap)
    hidden = site.shape(2)[-1]
    nothing = np.zeros((1, batch, hidden), emitter.dtype)
    backwards = runs_backwards(site.node.attribute("direction", "forward"))
    activations = _activations(site, len(backwards))

    def initial(direction: int) -> State:
        given = (site.constant(5 + i) for i in range(states))
        return tuple(
            emitter.constant(None if a is None else a.transpose(swap)[direction : direction + 1])
            for a in given
        )

    def ways(arriving: Sequence[Value], back: Callable[[_Step, State], tuple[Gates, State]]) -> list[Way]:
        """There and back again; arriving: at Y, Y_h and Y_c, as many as the node has."""
        y, *last = [*arriving, *[emitter.zero] * (1 + states - len(arriving))]
        y = y.transpose([1, 2, 0, 3]) if by_batch else y
        x = site.value(name).transpose(swap)
        inside = _inside(site, steps, batch)
        found = []
        for direction, reverse in enumerate(backwards):
            weights = Weights(site, gates, direction, late)
            seen = {gate: weights.see(x, gate) for gate in gates}
            order = range(steps)[::-1] if reverse else range(steps)
            made: list[_Step] = []
            state = initial(direction)
            for t in order:
                step = cell(weights, activations[direction], {g: _at(t, s) for g, s in seen.items()}, state)
                made.append(step if inside is None else _within(step, state, inside[t]))
                state = made[-1].state
            signal = tuple(_at(direction, s.transpose(swap)) for s in last)
            at_y = _at(direction, y, axis=1).reshape([steps, batch, hidden])
            at_gates: dict[int, Gates] = {}
            for t, step in zip(reversed(order), reversed(made), strict=True):
                arrived = _at(t, at_y) if inside is None else _at(t, at_y) * inside[t]
                at_gates[t], signal = back(step, (signal[0] + arrived, *signal[1:]))
            by_time = [at_gates[t] for t in range(steps)]
            in_order = made[::-1] if reverse else made
            recalled = [step.recalled(at) for step, at in zip(in_order, by_time, strict=True)]
            found.append(Way(weights, by_time, recalled))
        return found

    def to_x(found: Sequence[Way]) -> Value:
        parts = [
            way.weights.to_x(joined([at.get(gate, emitter.zero) for at in way.at], nothing), gate)
            for way in found
            for gate in gates
        ]
        return _sum(parts).transpose(swap)

    @cache  # the steps are the same, whichever weight or input is asked for
    def gradients(*arriving: Value) -> list[Way]:
        return ways(arriving, lambda step, s: step.gradient(s))

    def to_weight(index: int, arriving: Sequence[Value]) -> Value:
        seen, shape = x.transpose(swap), site.shape(index)
        stacked = weight_gradient(gradients(*arriving), gates, index, shape, seen, nothing)
        return site.fed[index].arrangement.to_canonical(stacked)

    x = site.value(name)
    return Recurrent(
        kind="recurrent",
        inputs=(name,),
        xs=(x,),
        y=site.y if site.node.outputs[0] else emitter.zero,
        outputs=tuple(range(1 + states)),
        vjp=lambda *signals: [to_x(gradients(*signals))],
        weight_vjps={i: lambda *signals, i=i: to_weight(i, signals) for i in site.fed},
        share=lambda R, epsilon: [x * to_x(ways(R, lambda step, r: step.share(r, epsilon)))],
    )


def _activations(site: Site, directions: int) -> list[list[Gate]]:
    """Of each direction its activations; the clip stands before all but the LSTM's last, at the cell."""
    node, clip = site.node, float(site.node.attribute("clip", 0.0))
    named = [kind.decode() for kind in node.attribute("activations", [])]
    numbers = [node.attribute(f"activation_{name}", []) for name in ("alpha", "beta")]
    try:
        chosen = cell_activations(node.op, directions, named, *numbers)
    except ValueError as error:
        raise site.unsupported(str(error)) from None
    return [[gate_of(a, clip if i < 2 else 0.0) for i, a in enumerate(each)] for each in chosen]


def _inside(site: Site, steps: int, batch: int) -> list[Value] | None:
    """Of every step 1 for the samples that are not at their end yet, [1, N, 1]; None if all are as long."""
    lengths = site.known(4)
    if lengths is not None and (lengths >= steps).all():
        return None
    if lengths is not None:
        counts = [np.asarray(t < lengths, site.emitter.dtype).reshape(1, batch, 1) for t in range(steps)]
        # A tensor at once: a step at which all or none has ended has a shape, too.
        return [Value(site.emitter, variable=site.emitter.tensor(c), sign=1) for c in counts]
    if len(site.node.inputs) <= 4 or not site.node.inputs[4]:
        return None
    given = site.value(site.node.inputs[4]).reshape([1, batch, 1])
    return [site.emitter.constant(1.0).where(given > float(t)) for t in range(steps)]


def _at(index: int, value: Value, axis: int = 0) -> Value:
    """value[index : index + 1] along `axis`."""
    if value.zero:
        return value
    return value.emitter.op("Gather", value, np.asarray([index], np.int64), axis=axis)


def _sum(values: Sequence[Value]) -> Value:
    return sum(values[1:], values[0])
