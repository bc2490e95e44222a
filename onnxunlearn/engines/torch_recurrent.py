"""Ops of the torch engine that walk along a sequence: LSTM, GRU, RNN."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from onnxunlearn.engines.torch_ops import Op, Result, torch_op
from onnxunlearn.graph.cells import CellActivation, cell_activations, runs_backwards

State = tuple[Tensor, ...]
Function = Callable[[Tensor], Tensor]
#: (the direction's activations, clipped but for the LSTM's last, projected input, recurrent weight, its bias,
#: state) -> the next state; the hidden state comes first
Cell = Callable[[Sequence[Function], Tensor, Tensor, Tensor, State], State]


@torch_op("LSTM")
def lstm(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None,
    peepholes: Tensor | None = None,
) -> Result:
    def cell(
        p: Tensor, functions: Sequence[Function], a: Tensor, r: Tensor, rb: Tensor, state: State
    ) -> State:
        gate, signal, last = functions
        h, c = state
        i, o, f, g = (a + h @ r.mT + rb).chunk(4, -1)
        pi, po, pf = p.chunk(3, -1)
        i = gate(i + pi * c)
        f = 1 - i if op.get("input_forget", 0) else gate(f + pf * c)
        c = f * c + i * signal(g)
        return gate(o + po * c) * last(c), c

    p = w.new_zeros(len(w), 3 * r.shape[-1]) if peepholes is None else peepholes
    cells = [partial(cell, p[d]) for d in range(len(w))]
    return _run(op, "LSTM", cells, [h, c], x, w, r, b, lengths)


@torch_op("GRU")
def gru(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
) -> Result:
    def cell(functions: Sequence[Function], a: Tensor, r: Tensor, rb: Tensor, state: State) -> State:
        gate, signal = functions
        (h,) = state
        size = h.shape[-1]
        gates = a[..., : 2 * size] + h @ r[: 2 * size].mT + rb[: 2 * size]
        z, reset = gate(gates).chunk(2, -1)
        weight, bias = r[2 * size :].mT, rb[2 * size :]
        if op.get("linear_before_reset", 0):
            recalled = reset * (h @ weight + bias)
        else:
            recalled = (reset * h) @ weight + bias
        return ((1 - z) * signal(a[..., 2 * size :] + recalled) + z * h,)

    return _run(op, "GRU", [cell] * len(w), [h], x, w, r, b, lengths)


@torch_op("RNN")
def rnn(
    op: Op,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None = None,
    lengths: Tensor | None = None,
    h: Tensor | None = None,
) -> Result:
    def cell(functions: Sequence[Function], a: Tensor, r: Tensor, rb: Tensor, state: State) -> State:
        (signal,) = functions
        return (signal(a + state[0] @ r.mT + rb),)

    return _run(op, "RNN", [cell] * len(w), [h], x, w, r, b, lengths)


def _run(
    op: Op,
    kind: str,
    cells: Sequence[Cell],
    initial: Sequence[Tensor | None],
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
) -> Result:
    """All directions over all steps: Y, Y_h and, of an LSTM, Y_c; as many as the node has outputs."""
    functions = _functions(op, kind, len(w))
    by_batch = bool(op.get("layout", 0))
    x = x.transpose(0, 1) if by_batch else x
    b = w.new_zeros(len(w), 2 * w.shape[1]) if b is None else b
    zeros = w.new_zeros(len(w), x.shape[1], r.shape[-1])
    starts = [zeros if s is None else (s.transpose(0, 1) if by_batch else s) for s in initial]
    if lengths is not None:  # a sample without steps ends with 0
        lengths = lengths.to(x.device)
        starts = [s * (lengths > 0)[:, None] for s in starts]
    # beyond its end a sample keeps its state and gives 0
    inside = None if lengths is None else [(t < lengths)[:, None] for t in range(len(x))]
    outputs: list[Tensor] = []
    last: list[State] = []
    for d, (cell, backwards) in enumerate(
        zip(cells, runs_backwards(op.get("direction", "forward")), strict=True)
    ):
        wb, rb = b[d].chunk(2)
        projected = x @ w[d].mT + wb
        state = tuple(s[d] for s in starts)
        hidden: dict[int, Tensor] = {}
        for t in range(len(x))[:: -1 if backwards else 1]:
            after = cell(functions[d], projected[t], r[d], rb, state)
            if inside is None:
                hidden[t], state = after[0], after
                continue
            state = tuple(torch.where(inside[t], a, s) for a, s in zip(after, state, strict=True))
            hidden[t] = torch.where(inside[t], after[0], torch.zeros_like(after[0]))
        outputs.append(torch.stack([hidden[t] for t in range(len(x))]))
        last.append(state)
    y = torch.stack(outputs, 1)
    finals = [torch.stack(s) for s in zip(*last, strict=True)]
    if by_batch:
        y, finals = y.permute(2, 0, 1, 3), [s.transpose(0, 1) for s in finals]
    return (y, *finals)[: op.outputs]


def _functions(op: Op, kind: str, directions: int) -> list[list[Function]]:
    """Of each direction its activations, behind the clip where there is one."""
    clip = op.get("clip", 0.0)
    attributes = [
        op.attributes.get(name, []) for name in ("activations", "activation_alpha", "activation_beta")
    ]
    try:
        chosen = cell_activations(kind, directions, *attributes)
    except ValueError as error:
        raise op.unsupported(str(error)) from None

    def clipped(function: Function) -> Function:
        return lambda z: function(z.clamp(-clip, clip))

    found = []
    for activations in chosen:
        functions = [_function(a) for a in activations]
        behind = 2 if kind == "LSTM" else len(functions)  # the cell state itself is not clipped
        found.append([clipped(f) if clip and i < behind else f for i, f in enumerate(functions)])
    return found


def _function(activation: CellActivation) -> Function:
    a, b = activation.alpha, activation.beta
    functions: dict[str, Function] = {
        "Sigmoid": torch.sigmoid,
        "Tanh": torch.tanh,
        "Relu": torch.relu,
        "Softsign": functional.softsign,
        "Softplus": functional.softplus,
        "Affine": lambda z: a * z + b,
        "LeakyRelu": lambda z: functional.leaky_relu(z, a),
        "ThresholdedRelu": lambda z: functional.threshold(z, a, 0.0),
        "ScaledTanh": lambda z: a * torch.tanh(b * z),
        "HardSigmoid": lambda z: (a * z + b).clamp(0, 1),
        "Elu": lambda z: functional.elu(z, a),
    }
    return functions[activation.name]
