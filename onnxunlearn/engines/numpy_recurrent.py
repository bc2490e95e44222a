"""LSTM, GRU and RNN in numpy: all activations, clip, shorter sequences, coupled gates, which ONNX's reference
evaluator leaves out without a word."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from onnx.reference.op_run import OpRun
from scipy.special import expit

from onnxunlearn.graph.cells import CellActivation, cell_activations, runs_backwards

Array = np.ndarray
State = tuple[Array, ...]
Function = Callable[[Array], Array]
#: (projected input, recurrent weight, its bias, peepholes, state) -> the next state, hidden state first
Cell = Callable[[Array, Array, Array, Array, State], State]


def _sigmoid(z: Array) -> Array:
    return np.asarray(expit(z))


def _function(activation: CellActivation, clip: float) -> Function:
    a, b = activation.alpha, activation.beta
    functions: dict[str, Function] = {
        "Sigmoid": _sigmoid,
        "Tanh": np.tanh,
        "Relu": lambda z: np.maximum(z, 0),
        "Softsign": lambda z: z / (1 + np.abs(z)),
        "Softplus": lambda z: np.logaddexp(z, 0),
        "Affine": lambda z: a * z + b,
        "LeakyRelu": lambda z: np.where(z < 0, a * z, z),
        "ThresholdedRelu": lambda z: np.where(z > a, z, 0),
        "ScaledTanh": lambda z: a * np.tanh(b * z),
        "HardSigmoid": lambda z: np.clip(a * z + b, 0, 1),
        "Elu": lambda z: np.where(z < 0, a * np.expm1(z), z),
    }
    function = functions[activation.name]
    return (lambda z: function(np.clip(z, -clip, clip))) if clip else function


class _Recurrent(OpRun):
    states = 1

    def cell(self, functions: Sequence[Function], attributes: dict[str, Any]) -> Cell:
        """The step of one direction. functions: its activations, behind the clip but for the LSTM's last."""
        raise NotImplementedError

    def _run(
        self,
        x: Array,
        w: Array,
        r: Array,
        b: Array | None = None,
        lengths: Array | None = None,
        h: Array | None = None,
        c: Array | None = None,
        p: Array | None = None,
        **attributes: Any,
    ) -> tuple[Array, ...]:
        directions, hidden = len(w), r.shape[-1]
        by_batch = bool(attributes.get("layout"))
        x = x.swapaxes(0, 1) if by_batch else x
        b = np.zeros((directions, 2 * w.shape[1]), x.dtype) if b is None else b
        p = np.zeros((directions, 3 * hidden), x.dtype) if p is None else p
        zeros = np.zeros((directions, x.shape[1], hidden), x.dtype)
        given = [h, c][: self.states]
        starts = [zeros if s is None else s.swapaxes(0, 1) if by_batch else s for s in given]
        if lengths is not None:  # a sample without steps ends with 0
            starts = [s * (lengths > 0)[:, None] for s in starts]
        chosen = cell_activations(
            self.onnx_node.op_type,
            directions,
            attributes.get("activations") or [],
            attributes.get("activation_alpha") or [],
            attributes.get("activation_beta") or [],
        )
        clip = float(attributes.get("clip") or 0)
        outputs, finals = [], []
        for d, backwards in enumerate(runs_backwards(attributes.get("direction") or "forward")):
            functions = [_function(a, clip if i < 2 else 0.0) for i, a in enumerate(chosen[d])]
            cell = self.cell(functions, attributes)
            wb, rb = np.split(b[d], 2)
            projected, y = x @ w[d].T + wb, np.zeros((len(x), *zeros.shape[1:]), x.dtype)
            state: State = tuple(s[d] for s in starts)
            for t in range(len(x))[:: -1 if backwards else 1]:
                after = cell(projected[t], r[d], rb, p[d], state)
                if lengths is None:
                    y[t], state = after[0], after
                    continue
                inside = (t < lengths)[:, None]  # beyond its end a sample keeps its state and gives 0
                state = tuple(np.where(inside, a, s) for a, s in zip(after, state, strict=True))
                y[t] = np.where(inside, after[0], 0)
            outputs.append(y)
            finals.append(state)
        last = [np.stack(s).astype(x.dtype) for s in zip(*finals, strict=True)]
        stacked = np.stack(outputs, 1)
        if by_batch:
            stacked, last = stacked.transpose(2, 0, 1, 3), [s.swapaxes(0, 1) for s in last]
        return (stacked, *last)[: len(self.onnx_node.output)]


class LSTM(_Recurrent):
    states = 2

    def cell(self, functions: Sequence[Function], attributes: dict[str, Any]) -> Cell:
        gate, signal, last = functions

        def step(a: Array, r: Array, rb: Array, p: Array, state: State) -> State:
            h, c = state
            i, o, f, g = np.split(a + h @ r.T + rb, 4, -1)
            pi, po, pf = np.split(p, 3)
            i = gate(i + pi * c)
            f = 1 - i if attributes.get("input_forget") else gate(f + pf * c)
            c = f * c + i * signal(g)
            return gate(o + po * c) * last(c), c

        return step


class GRU(_Recurrent):
    def cell(self, functions: Sequence[Function], attributes: dict[str, Any]) -> Cell:
        gate, signal = functions

        def step(a: Array, r: Array, rb: Array, p: Array, state: State) -> State:
            (h,) = state
            (az, ar, an), (rz, rr, rn), (bz, br, bn) = (
                np.split(v, 3, k) for v, k in ((a, -1), (r, 0), (rb, 0))
            )
            z, reset = gate(az + h @ rz.T + bz), gate(ar + h @ rr.T + br)
            late = attributes.get("linear_before_reset")
            recalled = reset * (h @ rn.T + bn) if late else (reset * h) @ rn.T + bn
            return ((1 - z) * signal(an + recalled) + z * h,)

        return step


class RNN(_Recurrent):
    def cell(self, functions: Sequence[Function], attributes: dict[str, Any]) -> Cell:
        (signal,) = functions
        return lambda a, r, rb, p, state: (signal(a + state[0] @ r.T + rb),)
