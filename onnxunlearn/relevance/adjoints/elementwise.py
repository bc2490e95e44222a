"""Elementwise nodes: activation functions, sums of activations, scale and shift by constants."""

from collections.abc import Callable

import numpy as np

from onnxunlearn.relevance.adjoints.site import Site, adjoint, unbroadcast
from onnxunlearn.relevance.expression import Value
from onnxunlearn.relevance.local_map import LocalMap


def activation(site: Site, slope: Callable[[], Value]) -> LocalMap:
    """y = f(x) elementwise; `slope` is f' at the recorded activations, written only where it is used."""
    return site.map("activation", lambda signal: signal * slope())


def _x(site: Site) -> Value:
    return site.value(site.node.inputs[0])


def _ones_where(condition: Value, number: float = 1.0) -> Value:
    return condition.emitter.constant(number).where(condition)


@adjoint("Relu")
def relu(site: Site) -> LocalMap:
    return site.map("activation", lambda signal: signal.where(site.y > 0.0))


@adjoint("LeakyRelu")
def leaky_relu(site: Site) -> LocalMap:
    alpha = float(site.node.attribute("alpha", 0.01))
    return activation(site, lambda: _ones_where(_x(site) > 0.0, 1 - alpha) + alpha)


@adjoint("Clip")
def clip(site: Site) -> LocalMap:
    low, high = clip_bounds(site)

    def inside(signal: Value) -> Value:
        x = _x(site)
        signal = signal if low is None else signal.where(x > low)
        return signal if high is None else signal.where(x < high)

    return site.map("activation", inside)


def clip_bounds(site: Site) -> tuple[float | None, float | None]:
    """Lower and upper bound: attributes before opset 11, inputs since."""
    low, high = site.constant(1), site.constant(2)
    given = (
        site.node.attribute("min") if low is None else low.item(),
        site.node.attribute("max") if high is None else high.item(),
    )
    return given[0], given[1]


@adjoint("Sigmoid")
def sigmoid(site: Site) -> LocalMap:
    return activation(site, lambda: site.y * (1.0 - site.y))


@adjoint("Tanh")
def tanh(site: Site) -> LocalMap:
    return activation(site, lambda: 1.0 - site.y * site.y)


@adjoint("HardSigmoid")
def hard_sigmoid(site: Site) -> LocalMap:
    alpha = float(site.node.attribute("alpha", 0.2))

    def slope(signal: Value) -> Value:
        return signal.where(site.y > 0.0).where(site.y < 1.0) * alpha

    return site.map("activation", slope)


@adjoint("HardSwish")
def hard_swish(site: Site) -> LocalMap:
    """x·clip(x/6 + ½, 0, 1): slope 0 below −3, 1 above 3, x/3 + ½ between."""

    def slope() -> Value:
        x = _x(site)
        between = (x * (1 / 3) + 0.5).where(x > -3.0).where(x < 3.0)
        return between + _ones_where(x.emitter.op("GreaterOrEqual", x, np.asarray(3, x.emitter.dtype)))

    return activation(site, slope)


@adjoint("Add", "Sub")
def add(site: Site) -> LocalMap:
    """a ± b: a sum if both are activations, a shift if one is constant."""
    if not (site.is_activation(0) and site.is_activation(1)):
        return affine(site)
    sign = 1.0 if site.node.op == "Add" else -1.0
    out = site.y_shape

    def split(signal: Value) -> list[Value]:
        return [unbroadcast(signal, out, site.shape(0)), unbroadcast(signal * sign, out, site.shape(1))]

    return site.map("sum", split, inputs=(0, 1))


@adjoint("Mul", "Div", "BatchNormalization")
def affine(site: Site) -> LocalMap:
    """y = scale·x + shift with constants."""
    input, scale, _ = scale_and_shift(site)
    factor = site.emitter.constant(np.asarray(scale))

    def back(signal: Value) -> Value:
        return unbroadcast(signal * factor, site.y_shape, site.shape(input))

    return site.map("affine", back, inputs=(input,))


def scale_and_shift(site: Site) -> tuple[int, np.ndarray, np.ndarray]:
    """Which input is the activation, and the constants, broadcastable against the output."""
    node = site.node
    if node.kind == "BatchNormalization":
        scale, shift, mean, var = (np.asarray(site.constant(i), np.float64) for i in range(1, 5))
        scale = scale / np.sqrt(var + node.attribute("epsilon", 1e-5))
        per_channel = (1, -1, *[1] * (len(site.shape()) - 2))
        return 0, scale.reshape(per_channel), (shift - mean * scale).reshape(per_channel)
    input = 0 if site.is_activation(0) else 1
    if site.is_activation(1 - input):
        raise site.unsupported("both operands are activations, which is not covered yet")
    operand = site.constant(1 - input)
    assert operand is not None
    c = np.asarray(operand, np.float64)
    one, zero = np.ones(()), np.zeros(())
    match node.kind, input:
        case "Add", _:
            return input, one, c
        case "Sub", 0:
            return input, one, -c
        case "Sub", _:
            return input, -one, c
        case "Mul", _:
            return input, c, zero
        case "Div", 0:
            return input, 1 / c, zero
    raise site.unsupported("division by an activation is not covered yet")
