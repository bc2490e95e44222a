"""Sums, products, scale and shift, choices between tensors."""

from collections.abc import Callable

import numpy as np

from onnxunlearn.reverse.adjoints.site import Site, adjoint, summed_by_channel, unbroadcast
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap


@adjoint("Add", "Sub")
def add(site: Site) -> LocalMap:
    """a ± b: a sum if both are activations, a shift if one is constant."""
    if not (site.carries(0) and site.carries(1)):
        return affine(site)
    sign = 1.0 if site.node.op == "Add" else -1.0
    return site.map("sum", lambda signal: _fitted(site, signal, signal * sign), inputs=(0, 1))


@adjoint("Sum", "Mean")
def total(site: Site) -> LocalMap:
    """Of any number of tensors."""
    share = 1.0 if site.node.op == "Sum" else 1 / len(site.node.inputs)
    which = [i for i in range(len(site.node.inputs)) if site.carries(i)]

    def split(signal: Value) -> list[Value]:
        return [unbroadcast(signal * share, site.y_shape, site.shape(i)) for i in which]

    return site.map("sum", split, inputs=which)


@adjoint("Mul")
def mul(site: Site) -> LocalMap:
    """a·b: a product of two activations, or a scale."""
    if not (site.carries(0) and site.carries(1)):
        return affine(site)
    a, b = site.operand(0), site.operand(1)
    return site.map("product", lambda signal: _fitted(site, signal * b, signal * a), inputs=(0, 1))


@adjoint("Div")
def div(site: Site) -> LocalMap:
    """a/b: a quotient of activations, a scale, or the reciprocal of an activation."""
    if site.carries(0) and not site.carries(1):
        return affine(site)
    b = site.operand(1)

    def to_divisor(signal: Value) -> Value:
        return signal * site.y / b * -1.0

    if site.carries(0):
        return site.map("quotient", lambda s: _fitted(site, s / b, to_divisor(s)), inputs=(0, 1))
    return site.map(
        "activation", lambda s: unbroadcast(to_divisor(s), site.y_shape, site.shape(1)), inputs=(1,)
    )


def _fitted(site: Site, first: Value, second: Value) -> list[Value]:
    """Signals of the two operands, summed over what broadcasting repeated."""
    return [unbroadcast(s, site.y_shape, site.shape(i)) for i, s in enumerate((first, second))]


@adjoint("BatchNormalization")
def affine(site: Site) -> LocalMap:
    """y = scale·x + shift, with constants or with tensors that carry no relevance (masks)."""
    input = 0 if site.carries(0) else 1
    factor = _scale(site, input)

    def back(signal: Value) -> Value:
        return unbroadcast(signal * factor, site.y_shape, site.shape(input))

    return site.map("affine", back, inputs=(input,), weight_vjps=_to_weight(site, input))


def _to_weight(site: Site, input: int) -> dict[int, Callable[[Value], Value]]:
    """Of a BatchNormalization Σ s·x̂, of a product Σ s·x."""
    x = site.value(site.node.inputs[input])
    if site.node.kind == "BatchNormalization":
        mean, inverse = (site.emitter.constant(part) for part in _statistics(site))
        rank = len(site.shape())
        return {1: lambda s: summed_by_channel(s * ((x - mean) * inverse), rank, 1).reshape((-1, 1))}
    if site.node.kind != "Mul" or (other := 1 - input) not in site.fed:
        return {}
    shape, arrangement = site.shape(other), site.fed[other].arrangement
    return {other: lambda s: arrangement.to_canonical(unbroadcast(s * x, site.y_shape, shape))}


def _statistics(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """Mean and 1/std of a BatchNormalization, broadcastable against its output."""
    mean, var = (np.asarray(site.constant(i), np.float64) for i in (3, 4))
    per_channel = (1, -1, *[1] * (len(site.shape()) - 2))
    inverse = 1 / np.sqrt(var + site.node.attribute("epsilon", 1e-5))
    return mean.reshape(per_channel), inverse.reshape(per_channel)


def _scale(site: Site, input: int) -> Value:
    """The factor of the activation; a recorded value where it is not constant."""
    match site.node.kind, input:
        case "BatchNormalization", _ if 1 in site.fed:
            inverse = _statistics(site)[1]
            return site.weight(1).reshape((1, -1, *[1] * (inverse.ndim - 2))) * site.emitter.constant(inverse)
        case "BatchNormalization", _:
            return site.emitter.constant(scale_and_shift(site)[0])
        case "Mul", _:
            return site.operand(1 - input)
        case "Div", _:
            known = site.known(1)
            if known is None:
                return site.emitter.constant(1.0) / site.operand(1)
            return site.emitter.constant(1 / np.asarray(known, np.float64))
        case "Sub", 1:
            return site.emitter.constant(-1.0)
    return site.emitter.constant(1.0)


def scale_and_shift(site: Site) -> tuple[np.ndarray, np.ndarray]:
    """The constants of an affine node, broadcastable against its output.

    Raises UnsupportedError if they are not constant.
    """
    node = site.node
    if node.kind == "BatchNormalization":
        scale, shift, mean, var = (np.asarray(site.constant(i), np.float64) for i in range(1, 5))
        scale = scale / np.sqrt(var + node.attribute("epsilon", 1e-5))
        per_channel = (1, -1, *[1] * (len(site.shape()) - 2))
        return scale.reshape(per_channel), (shift - mean * scale).reshape(per_channel)
    input = 0 if site.carries(0) else 1
    c = np.asarray(site.constant(1 - input), np.float64)
    one, zero = np.ones(()), np.zeros(())
    match node.kind, input:
        case "Add", _:
            return one, c
        case "Sub", 0:
            return one, -c
        case "Sub", _:
            return -one, c
        case "Mul", _:
            return c, zero
        case "Div", 0:
            return 1 / c, zero
    raise site.unsupported("it is not a scale and shift")


@adjoint("Min", "Max")
def extremum(site: Site) -> LocalMap:
    """Elementwise winner of several tensors; equal ones share."""
    which = [i for i in range(len(site.node.inputs)) if site.carries(i)]
    emitter = site.emitter

    def wins(index: int) -> Value:
        equal = emitter.op("Equal", site.compared(index), site.y)
        return emitter.constant(1.0).where(equal)

    def back(signal: Value) -> list[Value]:
        winners = {i: wins(i) for i in range(len(site.node.inputs))}
        count = sum(winners.values(), emitter.zero)
        return [unbroadcast(signal * winners[i] / count, site.y_shape, site.shape(i)) for i in which]

    return site.map("route", back, inputs=which)


@adjoint("Where")
def where(site: Site) -> LocalMap:
    """Each element comes from one of the two; the condition takes nothing."""
    which = [i for i in (1, 2) if site.carries(i)]

    def back(signal: Value) -> list[Value]:
        chosen = site.compared(0) > 0.5
        zero = np.asarray(0, site.emitter.dtype)
        shares = {1: signal.where(chosen), 2: site.emitter.op("Where", chosen, zero, signal)}
        return [unbroadcast(shares[i], site.y_shape, site.shape(i)) for i in which]

    return site.map("route", back, inputs=which)
