"""ONNX Runtime's attention nodes as MatMul, Softmax, MatMul.

    y = merge(softmax(scale · split(q) @ split(k)ᵀ + mask) @ split(v))

split: [batch, tokens, heads·size] → [batch, heads, tokens, size], merge: back again; scale: 1/√size unless
given. mask: `mask_filter_value` where a token does not count, plus the attention bias, plus a large negative
number on what lies ahead of a query if the node is unidirectional.

    Attention             q, k, v = x @ w + b, cut into the three; past and present are k and v, stacked
    MultiHeadAttention    q, k, v are inputs, b (packed) is added to them; k and v may be split already

Past keys and values [batch, heads, tokens, size] come before the others; all together are the present ones.
"""

import numpy as np
import onnx

from onnxunlearn.graph import Quantised
from onnxunlearn.lowering.blocks import cut, stored_floats
from onnxunlearn.lowering.draft import Draft


def attention(draft: Draft) -> None:
    """Requires: constant weight and bias; no buffer that past and present share."""
    draft.require(not draft.node.attribute("past_present_share_buffer", 0), "a shared buffer")
    draft.require(not draft.node.attribute("do_rotary", 0), "rotary embedding")
    weight = stored_floats(draft, 1)
    bias = stored_floats(draft, 2) if draft.has(2) else None
    attend(draft, draft.input(0), weight, bias, mask=3, extra=5, past=4)


def attend(
    draft: Draft,
    x: str,
    weight: Quantised | np.ndarray,
    bias: Quantised | np.ndarray | None,
    mask: int,
    extra: int | None,
    past: int | None = None,
) -> None:
    """Attention of x to itself; weight [in, q + k + v], bias [q + k + v]. The others are input numbers.

    Each third of the weight is a layer of its own, which edits write back to where it lies in the file.
    """
    shape = weight.shape if isinstance(weight, np.ndarray) else weight.integers.shape
    sizes = draft.node.attribute("qkv_hidden_sizes") or [shape[-1] // 3] * 3
    ends = [int(end) for end in np.cumsum(sizes)]
    biases = [None] * 3 if bias is None else cut(bias, ends)
    parts = []
    for name, w, b in zip("qkv", cut(weight, ends), biases, strict=True):
        draft.layer_name = f"{draft.node.name} ({name})"
        part = draft.op("MatMul", x, draft.weight(w))
        parts.append(part if b is None else draft.op("Add", part, draft.weight(b)))
    q, k, v = (_heads(draft, part) for part in parts)
    if past is not None and draft.has(past):
        zero, one = draft.constant(0, np.int64), draft.constant(1, np.int64)
        before = [draft.op("Gather", draft.input(past), i, axis=0) for i in (zero, one)]
        k, v = (draft.op("Concat", old, new, axis=2) for old, new in zip(before, (k, v), strict=True))
    if draft.used(1):
        first = draft.constant([0], np.int64)
        lifted = [
            draft.op("Unsqueeze", part, first) if draft.opset >= 13 else draft.op("Unsqueeze", part, axes=[0])
            for part in (k, v)
        ]
        draft.op("Concat", *lifted, to=draft.node.outputs[1], axis=0)
    _attended(draft, q, k, v, mask, extra)


def multi_head_attention(draft: Draft) -> None:
    """Requires: q [batch, tokens, width]; k and v like it, or split; nothing packed into one tensor."""
    draft.require(not draft.used(3), "its scores are read")
    draft.require(not draft.has(8) and not draft.has(9), "a shared buffer")
    draft.require(draft.has(1) and draft.has(2), "packed")
    split = draft.rank(1) == 4
    draft.require(draft.rank(0) in {3, None}, "packed")
    draft.require(all(draft.rank(i) in ({4} if split else {3, None}) for i in (1, 2)), "packed")
    parts = [draft.input(i) for i in range(3)]
    if draft.has(3):
        bias, known = stored_floats(draft, 3), draft.known(3)
        draft.require(known is not None and not split, "a bias of split keys")
        assert known is not None
        shapes = [draft.model.shapes.get(name) for name in parts]
        values = shapes[2][-1] if shapes[2] is not None else None
        width = (len(known) - values) // 2 if values is not None else len(known) // 3
        biases = cut(bias, [width, 2 * width, len(known)])
        parts = [draft.op("Add", part, draft.weight(b)) for part, b in zip(parts, biases, strict=True)]
    q = _heads(draft, parts[0])
    k, v = parts[1:] if split else (_heads(draft, part) for part in parts[1:])
    made: list[str] = []
    for new, past, present in ((k, 6, 1), (v, 7, 2)):
        to = draft.node.outputs[present] if draft.used(present) else ""
        if draft.has(past):
            made.append(draft.op("Concat", draft.input(past), new, axis=2, to=to))
        else:
            made.append(draft.op("Identity", new, to=to) if to else new)
    k, v = made
    _attended(draft, q, k, v, mask=4, extra=5)


def _heads(draft: Draft, part: str) -> str:
    """[batch, tokens, heads·size] as [batch, heads, tokens, size]."""
    heads = int(draft.node.attribute("num_heads"))
    return draft.op("Transpose", draft.reshape(part, [0, 0, heads, -1]), perm=[0, 2, 1, 3])


def _attended(draft: Draft, q: str, k: str, v: str, mask: int, extra: int | None) -> None:
    """q, k, v: [batch, heads, tokens, size]."""
    scores = draft.op("MatMul", q, draft.op("Transpose", k, perm=[0, 1, 3, 2]))
    scale = float(draft.node.attribute("scale", 0.0))
    if scale:
        scores = draft.op("Mul", scores, draft.constant(scale))
    else:
        size = draft.op("Gather", draft.op("Shape", q), draft.constant(3, np.int64))
        root = draft.op("Sqrt", draft.cast(size, onnx.TensorProto.FLOAT))
        scores = draft.op("Div", scores, root)
    for bias in (
        _filter(draft, mask, k) if draft.has(mask) else "",
        draft.input(extra) if extra is not None else "",
        _ahead(draft, q, k) if draft.node.attribute("unidirectional", 0) else "",
    ):
        if bias:
            scores = draft.op("Add", scores, bias)
    mixed = draft.op("MatMul", draft.op("Softmax", scores, axis=-1), v)
    merged = draft.op("Transpose", mixed, perm=[0, 2, 1, 3])
    draft.reshape(merged, [0, 0, -1], to=draft.node.outputs[0])


def _filter(draft: Draft, index: int, k: str) -> str:
    """The filter value where a token does not count; [batch, 1, 1 or queries, keys].

    The mask is 1 where tokens count, [batch, keys] or [batch, queries, keys], or counts them, [batch].
    """
    rank = draft.rank(index)
    draft.require(rank in {1, 2, 3}, "mask of unknown shape")
    lowest = draft.constant(draft.node.attribute("mask_filter_value", -10000.0))
    name = draft.input(index)
    if rank == 1:
        shape, x = draft.model.shapes.get(name), draft.model.shapes.get(draft.input(0))
        given, batch = shape[0] if shape else None, x[0] if x else None
        draft.require(given is None or batch is None or given == batch, "start and end")
        long = draft.cast(name, onnx.TensorProto.INT64)
        counts = draft.op("Less", _numbers(draft, k), draft.reshape(long, [-1, 1, 1, 1]))
        return draft.op("Where", counts, draft.constant(0), lowest)
    if rank == 2:
        counts = draft.reshape(name, [0, 1, 1, -1])
    elif draft.opset < 13:
        counts = draft.op("Unsqueeze", name, axes=[1])
    else:
        counts = draft.op("Unsqueeze", name, draft.constant([1], np.int64))
    missing = draft.op("Sub", draft.constant(1), draft.cast(counts, onnx.TensorProto.FLOAT))
    return draft.op("Mul", missing, lowest)


def _ahead(draft: Draft, q: str, k: str) -> str:
    """A large negative number where the key is later than the query; [queries, keys]. The last query is as
    late as the last key."""
    queries, keys = _numbers(draft, q), _numbers(draft, k)
    two = draft.constant(2, np.int64)
    longer = draft.op(
        "Sub",
        draft.op("Gather", draft.op("Shape", k), two),
        draft.op("Gather", draft.op("Shape", q), two),
    )
    ahead = draft.op("Less", draft.reshape(draft.op("Add", queries, longer), [-1, 1]), keys)
    return draft.op("Where", ahead, draft.constant(np.finfo(np.float32).min), draft.constant(0))


def _numbers(draft: Draft, tokens: str) -> str:
    """0, 1, … for the tokens of [batch, heads, tokens, size]."""
    draft.require(draft.opset >= 11, "Range")
    zero, one, two = (draft.constant(i, np.int64) for i in range(3))
    return draft.op("Range", zero, draft.op("Gather", draft.op("Shape", tokens), two), one)
