"""Nodes with a weight: Conv, ConvTranspose, Gemm, MatMul, Einsum; and products of two activations."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.reverse.adjoints.packed import packed
from onnxunlearn.reverse.adjoints.site import Site, adjoint, unbroadcast
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import Linear, LocalMap

Product = Callable[[Value, Value], Value]
Products = Callable[[Value, Value, Value], tuple[Value, Value]]
SumOfProducts = Callable[[Value, Value, Value, Value], Value]

#: input channels up to which what two weights do is one convolution: ONNX Runtime makes eight at once
_FEW = 4


def linear(
    site: Site,
    kind: str,
    w: np.ndarray,
    b: np.ndarray | None,
    forward: Product,
    adjoint: Product,
    *,
    input: int = 0,
    scale_shape: Sequence[int] = (-1,),
    shift_shape: Sequence[int] = (-1,),
    turned: bool = False,
    gain: float = 1.0,
    weight_vjp: Product | None = None,
    adjoints: Products | None = None,
    forwards: SumOfProducts | None = None,
) -> Linear:
    """A `Linear`, with the scale and shift behind the node merged into w and b.

    scale_shape, shift_shape: how a per-channel vector broadcasts against w, and against the output.
    turned: w is the transposed of what the node reads. gain: of the node: w is `gain` times that.
    weight_vjp: (x, signal) -> gradient with respect to w, in a layer's canonical layout. adjoints, forwards:
    where two are cheaper at once.
    """
    bias = np.zeros((), w.dtype) if b is None else b
    if site.affine is not None:
        scale, shift = site.affine
        w = w * scale.reshape(scale_shape)
        bias = bias * scale.reshape(shift_shape) + shift.reshape(shift_shape)
    emitter = site.emitter
    if 1 in site.fed:
        weight = site.weight(1).transpose([1, 0] if turned else range(w.ndim)) * gain
    else:
        weight = emitter.constant(w)
    if weight.zero:  # an all-zero weight still has a shape
        weight = Value(emitter, array=w.astype(emitter.dtype), sign=1)

    def with_signs(product: Product) -> Product:
        """Nothing is emitted for a zero, and a product of signed factors has a sign."""
        return lambda w, x: emitter.zero if w.zero or x.zero else product(w, x).with_sign(w.sign * x.sign)

    def both(v: Value, w: Value, s: Value) -> tuple[Value, Value]:
        if adjoints is None or v.zero or w.zero or s.zero:
            return adjoint(v, s), adjoint(w, s)
        first, second = adjoints(v, w, s)
        return first.with_sign(v.sign * s.sign), second.with_sign(w.sign * s.sign)

    def sum_of_both(v: Value, a: Value, w: Value, b: Value) -> Value:
        if forwards is None or any(value.zero for value in (v, a, w, b)):
            return forward(v, a) + forward(w, b)
        signs = {v.sign * a.sign, w.sign * b.sign}
        return forwards(v, a, w, b).with_sign(signs.pop() if len(signs) == 1 else 0)

    forward, adjoint = with_signs(forward), with_signs(adjoint)
    name = site.node.inputs[input]
    return Linear(
        kind=kind,
        inputs=(name,),
        xs=(site.value(name),),
        y=site.y,
        rectified=site.rectified,
        vjp=lambda signal: [adjoint(weight, signal)],
        w=weight,
        b=emitter.constant(bias),
        forward=forward,
        adjoint=adjoint,
        adjoints=both,
        forwards=sum_of_both,
        patterns=site.patterns,
        weight_vjps={} if weight_vjp is None else {1: lambda s: weight_vjp(site.value(name), s) * gain},
    )


@adjoint("Conv")
def conv(site: Site) -> Linear:
    """Any spatial rank, groups, strides, dilations, pads. w: [out, in / groups, *kernel]."""
    w = site.constant(1)
    if w is None:
        raise site.unsupported("the weight is missing")
    window, w_shape, x_shape = Window.at(site, w.shape[2:]), w.shape, site.shape()
    group = int(site.node.attribute("group", 1))
    ones = [1] * window.rank
    b = site.constant(2)

    def forward(w: Value, x: Value) -> Value:
        made = site.emitter.op("Conv", x, w, group=group, **window.attributes)
        return replace(made, sum=(made, np.zeros((1, w_shape[0], *ones), site.emitter.dtype)))

    def backward(w: Value, s: Value, inner: int = w_shape[1]) -> Value:
        shape = (w_shape[0], inner, *w_shape[2:])
        made = packed(window, w, s, shape) if group == 1 else None
        return window.adjoint(w, s, group, shape) if made is None else made

    def adjoints(v: Value, w: Value, s: Value) -> tuple[Value, Value]:
        assert v.array is not None
        assert w.array is not None
        stacked = site.emitter.constant(np.concatenate([v.array, w.array], axis=1))
        made = backward(stacked, s, 2 * w_shape[1])
        first, second = (made.channels(i * w_shape[1], (i + 1) * w_shape[1]) for i in (0, 1))
        return first, second

    def forwards(v: Value, a: Value, w: Value, b: Value) -> Value:
        assert v.array is not None
        assert w.array is not None
        stacked = site.emitter.constant(np.concatenate([v.array, w.array], axis=1))
        return forward(stacked, site.emitter.op("Concat", a, b, axis=1))

    few = group == 1 and w_shape[1] <= _FEW and 1 not in site.fed
    return linear(
        site,
        "conv",
        w,
        None if b is None else b.reshape(1, -1, *ones),
        forward,
        backward,
        scale_shape=(-1, 1, *ones),
        shift_shape=(1, -1, *ones),
        weight_vjp=lambda x, s: window.weight_vjp(x, s, group, x_shape),
        adjoints=adjoints if few else None,
        forwards=forwards if few else None,
    )


@adjoint("Gemm")
def gemm(site: Site) -> Linear:
    """y = α·x·B + β·C, x optionally transposed. w: α·B as [in, out]."""
    if site.known(1) is None:
        raise site.unsupported("the second operand must be a constant weight")
    stored, c = site.constant(1), site.constant(2)
    assert stored is not None
    alpha = float(site.node.attribute("alpha", 1.0))
    turned = bool(site.node.attribute("transB", 0))
    w = stored.T if turned else stored
    w = w if alpha == 1 else w * alpha  # which is a copy
    flip = bool(site.node.attribute("transA", 0))

    def forward(w: Value, x: Value) -> Value:
        return site.emitter.op("Gemm", x, w, transA=int(flip))

    def backward(w: Value, s: Value) -> Value:
        signal = site.emitter.op("Gemm", s, w, transB=1)
        return signal.transpose([1, 0]) if flip else signal

    def weight_vjp(x: Value, s: Value) -> Value:
        return site.emitter.op("Gemm", s, x, transA=1, transB=int(flip))

    b = None if c is None else c * site.node.attribute("beta", 1.0)
    return linear(site, "dense", w, b, forward, backward, turned=turned, gain=alpha, weight_vjp=weight_vjp)


@adjoint("MatMul")
def matmul(site: Site) -> LocalMap:
    """y = x·W, or W·x, with a constant W of any rank ≥ 2; or a product of two activations."""
    if site.known(0) is None and site.known(1) is None:
        return product(site)
    left = site.carries(1)  # the weight stands on the left
    w = site.constant(0 if left else 1)
    assert w is not None
    x_shape = site.shape(1 if left else 0)
    if w.ndim < 2 or len(x_shape) < 2:
        raise site.unsupported("operands of rank 1 are not covered")
    swap = [*range(w.ndim - 2), w.ndim - 1, w.ndim - 2]
    signal_shape = np.broadcast_shapes(w.shape[:-2], x_shape[:-2]) + tuple(x_shape[-2:])

    def forward(w: Value, x: Value) -> Value:
        return site.emitter.op("MatMul", *((w, x) if left else (x, w)))

    def backward(w: Value, s: Value) -> Value:
        t = w.transpose(swap)
        return unbroadcast(site.emitter.op("MatMul", *((t, s) if left else (s, t))), signal_shape, x_shape)

    def weight_vjp(x: Value, s: Value) -> Value:
        inputs, outputs = w.shape
        return site.emitter.op("Gemm", s.reshape((-1, outputs)), x.reshape((-1, inputs)), transA=1)

    layer = w.ndim == 2 and not left
    return linear(
        site,
        "dense",
        w,
        None,
        forward,
        backward,
        input=int(left),
        weight_vjp=weight_vjp if layer else None,
    )


def product(site: Site) -> LocalMap:
    """y = A·B over the last two axes, both activations (attention)."""
    a, b = site.operand(0), site.operand(1)
    shapes = site.shape(0), site.shape(1)
    if min(map(len, shapes)) < 2:
        raise site.unsupported("operands of rank 1 are not covered")
    batch = site.y_shape[:-2]

    def turned(value: Value, rank: int) -> Value:
        return value.transpose([*range(rank - 2), rank - 1, rank - 2])

    def back(signal: Value) -> list[Value]:
        to_a = site.emitter.op("MatMul", signal, turned(b, len(shapes[1])))
        to_b = site.emitter.op("MatMul", turned(a, len(shapes[0])), signal)
        fitted = [
            unbroadcast(value, (*batch, *shape[-2:]), shape)
            for value, shape in zip((to_a, to_b), shapes, strict=True)
        ]
        return [fitted[i] for i in which]

    which = [i for i in (0, 1) if site.carries(i)]
    return site.map("product", back, inputs=which)


@adjoint("Einsum")
def einsum(site: Site) -> LocalMap:
    """Two operands, one of them a constant weight or both activations. The adjoint swaps letters."""
    equation = str(site.node.attribute("equation")).replace(" ", "")
    terms, _, result = equation.partition("->")
    operands = terms.split(",")
    odd = "." in equation or not result or any(len(set(t)) != len(t) for t in (*operands, result))
    if len(operands) != 2 or odd:
        raise site.unsupported(f"equation {equation!r} is not of the form ab,bc->ac with distinct letters")
    for term, other in (operands, operands[::-1]):
        if set(term) - set(other) - set(result):
            raise site.unsupported(f"equation {equation!r} sums over an axis of one operand alone")

    def emit(first: str, second: str, out: str, a: Value, b: Value) -> Value:
        return site.emitter.op("Einsum", a, b, equation=f"{first},{second}->{out}")

    known = [site.known(i) for i in (0, 1)]
    if known[0] is None and known[1] is None:
        values = [site.operand(0), site.operand(1)]
        which = [i for i in (0, 1) if site.carries(i)]

        def back(signal: Value) -> list[Value]:
            return [emit(result, operands[1 - i], operands[i], signal, values[1 - i]) for i in which]

        return site.map("product", back, inputs=which)
    x = 0 if known[0] is None else 1
    w, (of_x, of_w) = known[1 - x], (operands[x], operands[1 - x])
    assert w is not None

    def forward(w: Value, value: Value) -> Value:
        return emit(of_x, of_w, result, value, w)

    def backward(w: Value, signal: Value) -> Value:
        return emit(result, of_w, of_x, signal, w)

    return linear(site, "dense", w, None, forward, backward, input=x)


@adjoint("ConvTranspose")
def conv_transpose(site: Site) -> Linear:
    """The adjoint of a Conv, so its own adjoint is that Conv. w: [in, out / groups, *kernel]."""
    w = site.constant(1)
    if w is None:
        raise site.unsupported("the weight is missing")
    window, w_shape = Window.at(site, w.shape[2:]), w.shape
    group, b, ones = int(site.node.attribute("group", 1)), site.constant(2), [1] * window.rank
    b = np.zeros(1, w.dtype) if b is None else b
    if site.affine is not None:  # every group of inputs has outputs of its own
        scale, shift = site.affine
        spread = np.repeat(scale.reshape(group, -1), len(w) // group, axis=0)
        w, b = w * spread.reshape(*spread.shape, *ones), b * scale + shift
        site = replace(site, affine=None)

    def forward(w: Value, x: Value) -> Value:
        return window.adjoint(w, x, group, w_shape)

    def backward(w: Value, s: Value) -> Value:
        return site.emitter.op("Conv", s, w, group=group, **window.attributes)

    def weight_vjp(x: Value, s: Value) -> Value:
        """Of that Conv, for which x is the signal at the output and s the input."""
        return site.fed[1].arrangement.to_canonical(window.weight_vjp(s, x, group, site.y_shape))

    return linear(
        site,
        "conv",
        w,
        b.reshape(1, -1, *ones),
        forward,
        backward,
        weight_vjp=weight_vjp,
    )
