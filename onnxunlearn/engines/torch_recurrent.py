"""Ops of the torch engine that walk along a sequence: LSTM, GRU, RNN."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from onnxunlearn.engines.torch_ops import Op, Result, numbers, torch_op

State = tuple[Tensor, ...]
#: (projected input, recurrent weight, its bias, state) -> the next state; the hidden state comes first
Cell = Callable[[Tensor, Tensor, Tensor, State], State]


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
    def cell(p: Tensor, a: Tensor, r: Tensor, rb: Tensor, state: State) -> State:
        h, c = state
        i, o, f, g = (a + h @ r.mT + rb).chunk(4, -1)
        pi, po, pf = p.chunk(3, -1)
        i, f, g = torch.sigmoid(i + pi * c), torch.sigmoid(f + pf * c), torch.tanh(g)
        c = f * c + i * g
        return torch.sigmoid(o + po * c) * torch.tanh(c), c

    if op.get("input_forget", 0):
        raise op.unsupported("input_forget")
    p = w.new_zeros(len(w), 3 * r.shape[-1]) if peepholes is None else peepholes
    cells = [partial(cell, p[d]) for d in range(len(w))]
    return _run(op, cells, ["Sigmoid", "Tanh", "Tanh"], [h, c], x, w, r, b, lengths)


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
    def cell(a: Tensor, r: Tensor, rb: Tensor, state: State) -> State:
        (h,) = state
        size = h.shape[-1]
        gates = a[..., : 2 * size] + h @ r[: 2 * size].mT + rb[: 2 * size]
        z, reset = torch.sigmoid(gates).chunk(2, -1)
        weight, bias = r[2 * size :].mT, rb[2 * size :]
        if op.get("linear_before_reset", 0):
            recalled = reset * (h @ weight + bias)
        else:
            recalled = (reset * h) @ weight + bias
        return ((1 - z) * torch.tanh(a[..., 2 * size :] + recalled) + z * h,)

    return _run(op, [cell] * len(w), ["Sigmoid", "Tanh"], [h], x, w, r, b, lengths)


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
    def cell(a: Tensor, r: Tensor, rb: Tensor, state: State) -> State:
        return (torch.tanh(a + state[0] @ r.mT + rb),)

    return _run(op, [cell] * len(w), ["Tanh"], [h], x, w, r, b, lengths)


def _run(
    op: Op,
    cells: Sequence[Cell],
    activations: Sequence[str],
    initial: Sequence[Tensor | None],
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    lengths: Tensor | None,
) -> Result:
    """All directions over all steps: Y, Y_h and, of an LSTM, Y_c; as many as the node has outputs."""
    if list(op.get("activations", [*activations] * len(w))) != [*activations] * len(w):
        raise op.unsupported("other activations than the default ones")
    if op.get("clip", 0.0):
        raise op.unsupported("clip")
    by_batch = bool(op.get("layout", 0))
    x = x.transpose(0, 1) if by_batch else x
    steps, batch = x.shape[:2]
    if lengths is not None and any(length != steps for length in numbers(lengths)):
        raise op.unsupported("a sequence_lens shorter than the input")
    b = w.new_zeros(len(w), 2 * w.shape[1]) if b is None else b
    zeros = w.new_zeros(len(w), batch, r.shape[-1])
    starts = [zeros if s is None else (s.transpose(0, 1) if by_batch else s) for s in initial]
    reverse = {"forward": [False], "reverse": [True], "bidirectional": [False, True]}[
        op.get("direction", "forward")
    ]
    outputs: list[Tensor] = []
    last: list[State] = []
    for d, (cell, backwards) in enumerate(zip(cells, reverse, strict=True)):
        wb, rb = b[d].chunk(2)
        projected = x @ w[d].mT + wb
        state = tuple(s[d] for s in starts)
        states: list[Tensor] = []
        for a in projected.flip(0) if backwards else projected:
            state = cell(a, r[d], rb, state)
            states.append(state[0])
        outputs.append(torch.stack(states[::-1] if backwards else states))
        last.append(state)
    y = torch.stack(outputs, 1)
    finals = [torch.stack(s) for s in zip(*last, strict=True)]
    if by_batch:
        y, finals = y.permute(2, 0, 1, 3), [s.transpose(0, 1) for s in finals]
    return (y, *finals)[: op.outputs]
