"""Activation functions: elementwise, one activation in. LRP passes them by, gradients take their slope."""

import math
from collections.abc import Callable

import numpy as np

from onnxunlearn.reverse.adjoints.site import Site, adjoint
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap


def activation(site: Site, slope: Callable[[], Value]) -> LocalMap:
    """y = f(x) elementwise; `slope` is f' at the recorded activations, written only where it is used."""
    return site.map("activation", lambda signal: signal * slope())


def _x(site: Site) -> Value:
    return site.value(site.node.inputs[0])


def _ones_where(condition: Value, number: float = 1.0) -> Value:
    return condition.emitter.constant(number).where(condition)


@adjoint("Relu")
def relu(site: Site) -> LocalMap:
    return site.map("activation", lambda signal: signal.masked(site.y > 0.0))


@adjoint("LeakyRelu")
def leaky_relu(site: Site) -> LocalMap:
    alpha = float(site.node.attribute("alpha", 0.01))
    return activation(site, lambda: _ones_where(_x(site) > 0.0, 1 - alpha) + alpha)


@adjoint("Clip")
def clip(site: Site) -> LocalMap:
    low, high = clip_bounds(site)

    def inside(signal: Value) -> Value:
        x = _x(site)
        signal = signal if low is None else signal.masked(x > low)
        return signal if high is None else signal.masked(x < high)

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
        return signal.masked(site.y > 0.0).masked(site.y < 1.0) * alpha

    return site.map("activation", slope)


@adjoint("HardSwish")
def hard_swish(site: Site) -> LocalMap:
    """x·clip(x/6 + ½, 0, 1): slope 0 below −3, 1 above 3, x/3 + ½ between."""

    def slope() -> Value:
        x = _x(site)
        clipped = x.emitter.op("Clip", x, _number(x, -3), _number(x, 3))
        inside = x.emitter.op("Equal", x, clipped)
        return (clipped + clipped.masked(inside)) * (1 / 6) + 0.5

    return activation(site, slope)


@adjoint("Elu", "Celu", "Selu")
def elu(site: Site) -> LocalMap:
    """γ·x above 0, γα(e^(x/α') − 1) below: there the slope is (y + γα)/α'."""
    kind = site.node.kind
    alpha = float(site.node.attribute("alpha", 1.67326319217681884765625 if kind == "Selu" else 1.0))
    gamma = float(site.node.attribute("gamma", 1.05070102214813232421875)) if kind == "Selu" else 1.0
    stretch = alpha if kind == "Celu" else 1.0

    def slope() -> Value:
        x = _x(site)
        below = (site.y + gamma * alpha) * (1 / stretch)
        return below.where(x < 0.0) + _ones_where(x.emitter.op("GreaterOrEqual", x, _number(x, 0)), gamma)

    return activation(site, slope)


@adjoint("PRelu")
def prelu(site: Site) -> LocalMap:
    """Leaky ReLU with a constant slope below 0 for each channel."""
    below = site.operand(1)
    return site.map("activation", lambda s: s.where(_x(site) > 0.0) + (s * below).where(_x(site) < 0.0))


@adjoint("ThresholdedRelu")
def thresholded_relu(site: Site) -> LocalMap:
    alpha = float(site.node.attribute("alpha", 1.0))
    return site.map("activation", lambda signal: signal.where(_x(site) > alpha))


@adjoint("Softplus")
def softplus(site: Site) -> LocalMap:
    return activation(site, lambda: _sigmoid(_x(site)))


@adjoint("Softsign")
def softsign(site: Site) -> LocalMap:
    def slope() -> Value:
        one = 1.0 + _x(site).emitter.op("Abs", _x(site))
        return site.emitter.constant(1.0) / (one * one)

    return activation(site, slope)


@adjoint("Mish")
def mish(site: Site) -> LocalMap:
    """x·tanh(softplus(x))."""

    def slope() -> Value:
        x = _x(site)
        t = x.emitter.op("Tanh", x.emitter.op("Softplus", x))
        return t + x * (1.0 - t * t) * _sigmoid(x)

    return activation(site, slope)


@adjoint("Swish")
def swish(site: Site) -> LocalMap:
    """x·σ(αx)."""
    alpha = float(site.node.attribute("alpha", 1.0))

    def slope() -> Value:
        x = _x(site)
        s = _sigmoid(x * alpha)
        return s + x * s * (1.0 - s) * alpha

    return activation(site, slope)


@adjoint("Gelu")
def gelu(site: Site) -> LocalMap:
    """x·Φ(x), exact or with the tanh approximation."""
    fast = site.node.attribute("approximate", "none") == "tanh"
    return activation(site, lambda: _gelu_slope(_x(site), fast))


def _gelu_slope(x: Value, fast: bool) -> Value:
    emitter = x.emitter
    if fast:
        c = math.sqrt(2 / math.pi)
        t = emitter.op("Tanh", (x + x * x * x * 0.044715) * c)
        return (1.0 + t) * 0.5 + x * (1.0 - t * t) * (1.0 + x * x * (3 * 0.044715)) * (0.5 * c)
    cdf = (1.0 + emitter.op("Erf", x * math.sqrt(0.5))) * 0.5
    return cdf + x * emitter.op("Exp", x * x * -0.5) * (1 / math.sqrt(2 * math.pi))


@adjoint("Erf")
def erf(site: Site) -> LocalMap:
    return activation(site, lambda: _exp(_x(site) * _x(site) * -1.0) * (2 / math.sqrt(math.pi)))


@adjoint("Exp")
def exp(site: Site) -> LocalMap:
    return activation(site, lambda: site.y)


@adjoint("Log")
def log(site: Site) -> LocalMap:
    return site.map("activation", lambda signal: signal / _x(site))


@adjoint("Sqrt")
def sqrt(site: Site) -> LocalMap:
    return site.map("activation", lambda signal: signal * 0.5 / site.y)


@adjoint("Reciprocal")
def reciprocal(site: Site) -> LocalMap:
    return activation(site, lambda: site.y * site.y * -1.0)


@adjoint("Neg")
def neg(site: Site) -> LocalMap:
    return site.map("activation", lambda signal: signal * -1.0)


@adjoint("Abs")
def absolute(site: Site) -> LocalMap:
    return activation(site, lambda: site.emitter.op("Sign", _x(site)))


@adjoint("Sin")
def sin(site: Site) -> LocalMap:
    return activation(site, lambda: site.emitter.op("Cos", _x(site)))


@adjoint("Cos")
def cos(site: Site) -> LocalMap:
    return activation(site, lambda: site.emitter.op("Sin", _x(site)) * -1.0)


@adjoint("Pow")
def power(site: Site) -> LocalMap:
    """x^p with a constant p."""
    if site.carries(1) or not site.carries(0):
        raise site.unsupported("the exponent must be constant")
    exponent = site.constant(1)
    assert exponent is not None
    p = site.emitter.constant(exponent)
    less = np.asarray(np.asarray(exponent) - 1, site.emitter.dtype)
    return activation(site, lambda: site.emitter.op("Pow", _x(site), less) * p)


def _sigmoid(x: Value) -> Value:
    return x.emitter.op("Sigmoid", x).with_sign(1)


def _exp(x: Value) -> Value:
    return x.emitter.op("Exp", x).with_sign(1)


def _number(x: Value, value: float) -> np.ndarray:
    return np.asarray(value, x.emitter.dtype)
