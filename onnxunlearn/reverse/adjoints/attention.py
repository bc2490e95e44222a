"""Attention as one node: Y = softmax(scale·Q·Kᵀ + mask)·V. Its inner tensors are computed again here."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
import onnx

from onnxunlearn.reverse.adjoints.site import Site, adjoint, unbroadcast
from onnxunlearn.reverse.expression import Value, stab
from onnxunlearn.reverse.local_map import Attention


@adjoint("Attention")
def attention(site: Site) -> Attention:
    """The op of opset 23: [B, heads, T, D] or [B, T, heads·D], optional mask and causality, grouped keys,
    keys and values of the past [B, heads, P, D] before the others."""
    node = site.node
    _refuse_what_is_not_covered(site)
    heads = [int(node.attribute("q_num_heads", 0)), *[int(node.attribute("kv_num_heads", 0))] * 2]
    layouts = [_Layout(site.shape(i), heads[i]) for i in range(3)]
    groups = layouts[0].heads // layouts[1].heads
    scale = float(node.attribute("scale") or 1 / sqrt(layouts[0].size))
    past = site.shape(4)[2] if _given(site, 4) else 0
    mask = _mask(site, layouts[0].tokens, past + layouts[1].tokens, past)
    emitter = site.emitter

    def matmul(a: Value, b: Value) -> Value:
        return emitter.op("MatMul", a, b)

    def turned(value: Value) -> Value:
        return value.transpose([0, 1, 3, 2])

    def inner() -> tuple[Value, Value, Value, Value, Value]:
        """q, k, v as [B, heads, T, D], the scores before the softmax and the attention weights."""
        q, k, v = (layout.split(site.operand(i), groups if i else 1) for i, layout in enumerate(layouts))
        if past:
            before = (_Layout(site.shape(i), 0).split(site.operand(i), groups) for i in (4, 5))
            k, v = (emitter.op("Concat", a, b, axis=2) for a, b in zip(before, (k, v), strict=True))
        scores = matmul(q, turned(k)) * scale + mask
        return q, k, v, scores, emitter.op("Softmax", scores, axis=-1)

    def joined(signals: Sequence[Value]) -> list[Value]:
        """Signals at q, k and v, as they are at the inputs that take relevance."""
        merged = {}
        for i, (layout, s) in enumerate(zip(layouts, signals, strict=True)):
            if i and past:
                merged[3 + i] = _Layout(site.shape(3 + i), 0).join(_tokens(s, 0, past), groups)
                s = _tokens(s, past, past + layout.tokens)
            merged[i] = layout.join(s, groups if i else 1)
        return [merged[i] for i in which]

    def row_sum(value: Value) -> Value:
        return emitter.op("ReduceSum", value, np.asarray([3], np.int64), keepdims=1)

    out = _Layout(site.y_shape, layouts[0].heads if len(site.y_shape) == 3 else 0)

    def back(signal: Value) -> list[Value]:
        q, k, v, _, weights = inner()
        s = out.split(signal, 1)
        to_weights = matmul(s, turned(v))
        to_scores = weights * (to_weights - row_sum(to_weights * weights)) * scale
        return joined([matmul(to_scores, k), matmul(turned(to_scores), q), matmul(turned(weights), s)])

    def share(R: Value, epsilon: float, constant_weights: bool) -> list[Value]:
        q, k, v, scores, weights = inner()
        y = out.split(site.y, 1)
        s = out.split(R, 1) / stab(y * (1.0 if constant_weights else 2.0), epsilon)
        to_v = v * matmul(turned(weights), s)
        if constant_weights:
            return joined([emitter.zero, emitter.zero, to_v])
        R_weights = weights * matmul(s, turned(v))
        finite = scores.where(scores > float(np.finfo(emitter.dtype).min))
        R_scores = finite * (R_weights - weights * row_sum(R_weights))
        product = matmul(q, turned(k)) * scale
        # the mask's share of the scores is absorbed, as that of any constant summand
        R_product = product * (R_scores / stab(scores, epsilon)) if not mask.zero else R_scores
        t = R_product / stab(product * 2.0, epsilon) * scale
        return joined([q * matmul(t, k), k * matmul(turned(t), q), to_v])

    which = [i for i in (0, 1, 2, *((4, 5) if past else ())) if site.carries(i)]
    return site.map_as(Attention, "attention", back, which, share=share)


class _Layout:
    """How heads lie in a tensor: [B, heads, T, D], or [B, T, heads·D] if `heads` is given."""

    def __init__(self, shape: tuple[int, ...], heads: int) -> None:
        self.shape, self.flat = shape, len(shape) == 3
        self.heads = heads if self.flat else shape[1]
        self.batch, self.tokens = shape[0], shape[1 if self.flat else 2]
        self.size = shape[-1] // self.heads if self.flat else shape[-1]

    def split(self, value: Value, repeat: int) -> Value:
        """As [B, heads·repeat, T, D]; each head repeated for the queries that share it."""
        if self.flat:
            value = value.reshape([self.batch, self.tokens, self.heads, self.size]).transpose([0, 2, 1, 3])
        if repeat == 1:
            return value
        repeated = value.reshape([self.batch, self.heads, 1, self.tokens, self.size]).expand(
            [self.batch, self.heads, repeat, self.tokens, self.size]
        )
        return repeated.reshape([self.batch, self.heads * repeat, self.tokens, self.size])

    def join(self, signal: Value, repeat: int) -> Value:
        """The adjoint of `split`."""
        if repeat > 1:
            spread = [self.batch, self.heads, repeat, self.tokens, self.size]
            once = [self.batch, self.heads, 1, self.tokens, self.size]
            signal = unbroadcast(signal.reshape(spread), spread, once)
            signal = signal.reshape([self.batch, self.heads, self.tokens, self.size])
        return signal.transpose([0, 2, 1, 3]).reshape(self.shape) if self.flat else signal


def _given(site: Site, index: int) -> bool:
    return len(site.node.inputs) > index and bool(site.node.inputs[index])


def _refuse_what_is_not_covered(site: Site) -> None:
    if _given(site, 4) != _given(site, 5):
        raise site.unsupported("past keys without past values are not covered")
    if _given(site, 6):
        raise site.unsupported("nonpad lengths are not covered")
    if site.node.attribute("softcap", 0.0):
        raise site.unsupported("softcap is not covered")
    if any(site.node.attribute(f"{side}_window_size", -1) >= 0 for side in ("left", "right")):
        raise site.unsupported("windows are not covered")


def _tokens(value: Value, start: int, end: int) -> Value:
    """value[:, :, start:end]."""
    if value.zero:
        return value
    bounds = (np.asarray([number], np.int64) for number in (start, end, 2))
    return value.emitter.op("Slice", value, *bounds)


def _mask(site: Site, queries: int, keys: int, past: int) -> Value:
    """What is added to the scores: 0 where attention is allowed, −∞ where it is not."""
    added = site.emitter.zero
    lowest = np.asarray(np.finfo(site.emitter.dtype).min, site.emitter.dtype)
    if len(site.node.inputs) > 3 and site.node.inputs[3]:
        if site.model.element_types.get(site.node.inputs[3]) == onnx.TensorProto.BOOL:
            allowed = site.compared(3) > 0.5
            added = site.emitter.op("Where", allowed, np.asarray(0, site.emitter.dtype), lowest)
        else:
            added = site.operand(3)
    if site.node.attribute("is_causal", 0):
        future = np.triu(np.ones((queries, keys)), 1 + past) * lowest
        added = added + site.emitter.constant(future)
    return added
