"""Gradients with respect to the stacked weights W, R and B of a recurrent node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from onnxunlearn.reverse.adjoints.gate_weights import Gates, Weights
from onnxunlearn.reverse.adjoints.site import summed_by_channel
from onnxunlearn.reverse.expression import Value

#: by gate, the signal at what is recalled, R·h, and what it was recalled of, h
Recalled = Mapping[str, tuple[Value, Value]]


@dataclass(frozen=True)
class Way:
    """One direction, there and back. By time, at: signals at the pre-activations, [1, N, hidden]; recalled:
    what became of them at the recurrent weights."""

    weights: Weights
    at: Sequence[Gates]
    recalled: Sequence[Recalled]


def weight_gradient(
    ways: Sequence[Way], gates: str, index: int, shape: Sequence[int], x: Value, nothing: np.ndarray
) -> Value:
    """The gradient with respect to input number `index` (1: W, 2: R, 3: B) of `shape`, as the node reads it:
    sums over steps and samples of signal times what was read.

    x: [T, N, inputs]. nothing: zeros [1, N, hidden].
    """
    emitter, hidden = x.emitter, nothing.shape[2]

    def signals(way: Way, gate: str) -> Value:
        return joined([at.get(gate, emitter.zero) for at in way.at], nothing)

    def recalled(way: Way, gate: str, which: int) -> Value:
        return joined([at[gate][which] if gate in at else emitter.zero for at in way.recalled], nothing)

    def block(way: Way, gate: str) -> Value:
        read = x if index == 1 else recalled(way, gate, 1)
        signal = signals(way, gate) if index == 1 else recalled(way, gate, 0)
        if signal.zero or read.zero:
            return emitter.zero
        rows = (value.reshape((-1, size)) for value, size in ((signal, hidden), (read, shape[2])))
        return emitter.op("Gemm", *rows, transA=1)

    def sums(way: Way) -> list[Value]:
        both = [signals(way, gate) for gate in gates] + [recalled(way, gate, 0) for gate in gates]
        return [summed_by_channel(signal, 3, 2) for signal in both]

    zeros = np.zeros((hidden, *shape[2:]), emitter.dtype)
    stacks = [sums(way) if index == 3 else [block(way, gate) for gate in gates] for way in ways]
    parts = [zeros if part.zero else part for stack in stacks for part in stack]
    return emitter.op("Concat", *parts, axis=0).reshape(shape)


def joined(steps: Sequence[Value], nothing: np.ndarray) -> Value:
    """[1, N, hidden] each, as [T, N, hidden]; `nothing` takes the place of a zero, unless all are."""
    if all(step.zero for step in steps):
        return steps[0]
    emitter = steps[0].emitter
    return emitter.op("Concat", *(nothing if step.zero else step for step in steps), axis=0)
