"""Normalisation by statistics of the input itself, and Softmax.

The Jacobian of y = γ·(x − mean)/std + β over a group of n elements, with x̂ = (x − mean)/std:
    Jᵀs = (u − mean(u) − x̂·mean(u·x̂)) / std,   u = γ·s
With the std held constant (AttnLRP) the last term is left out.
"""

from collections.abc import Sequence
from math import prod

import numpy as np

from onnxunlearn.reverse.adjoints.pooling import above_zero
from onnxunlearn.reverse.adjoints.site import Site, adjoint, summed_by_channel
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap, Normalisation, ResponseNormalisation, Softmax


def _mean(x: Value, axes: Sequence[int]) -> Value:
    return x if x.zero else x.emitter.op("ReduceMean", x, np.asarray(axes, np.int64), keepdims=1)


def normalised(
    site: Site,
    shape: Sequence[int],
    axes: Sequence[int],
    epsilon: float,
    gamma: Value,
    center: bool = True,
    channels: int | None = None,
) -> Normalisation:
    """The map for statistics over `axes` of the input seen as `shape`; gamma broadcasts against the input.

    channels: the axis of the input along which gamma, the node's input 1, has a number each."""
    x_shape = site.shape()

    def parts() -> tuple[Value, Value]:
        """x̂ and 1/std, both in `shape`."""
        x = site.value(site.node.inputs[0]).reshape(shape)
        centered = x - _mean(x, axes) if center else x
        variance = _mean(centered * centered, axes) + epsilon
        inverse = site.emitter.constant(1.0) / x.emitter.op("Sqrt", variance)
        return centered * inverse, inverse

    def back(signal: Value, frozen: bool) -> Value:
        u = (signal * gamma).reshape(shape)
        if u.zero:
            return u
        hat, inverse = parts()
        through = u - _mean(u, axes) if center else u
        if not frozen:
            through = through - hat * _mean(u * hat, axes)
        return (through * inverse).reshape(x_shape)

    def to_gamma(signal: Value) -> Value:
        """Σ s·x̂ over all but the channels."""
        assert channels is not None
        hat, _ = parts()
        return summed_by_channel(signal * hat.reshape(x_shape), len(x_shape), channels).reshape((-1, 1))

    return site.map_as(
        Normalisation,
        "normalisation",
        lambda signal: back(signal, frozen=False),
        weight_vjps={} if channels is None else {1: to_gamma},
        frozen=lambda signal: [back(signal, frozen=True)],
    )


@adjoint("LayerNormalization")
def layer_normalization(site: Site) -> Normalisation:
    axes, epsilon = _trailing(site, site.node.attribute("axis", -1)), site.node.attribute("epsilon", 1e-5)
    return normalised(site, site.shape(), axes, epsilon, site.operand(1), channels=_last(site))


@adjoint("RMSNormalization")
def rms_normalization(site: Site) -> Normalisation:
    """x/√(mean x² + ε)·γ: nothing is subtracted, so LRP passes relevance through (but for ε)."""
    axes = _trailing(site, site.node.attribute("axis", -1))
    epsilon = site.node.attribute("epsilon", 1e-5)
    shape, gamma = site.shape(), site.operand(1)
    return normalised(site, shape, axes, epsilon, gamma, center=False, channels=_last(site))


def _last(site: Site) -> int | None:
    """The axis of γ where that has one; over more it has more."""
    return -1 if len(site.shape(1)) == 1 else None


def _trailing(site: Site, axis: int) -> list[int]:
    rank = len(site.shape())
    return list(range(axis % rank, rank))


@adjoint("InstanceNormalization")
def instance_normalization(site: Site) -> Normalisation:
    shape = site.shape()
    gamma = site.operand(1).reshape((1, shape[1], *[1] * (len(shape) - 2)))
    axes = list(range(2, len(shape)))
    return normalised(site, shape, axes, site.node.attribute("epsilon", 1e-5), gamma, channels=1)


@adjoint("GroupNormalization")
def group_normalization(site: Site) -> Normalisation:
    """γ has one entry per group before opset 21, one per channel since."""
    n, channels, *space = site.shape()
    groups = int(site.node.attribute("num_groups"))
    spread = (1, channels, *[1] * len(space))
    if 1 in site.fed:
        gamma = site.operand(1).reshape(spread)
    else:
        known = site.constant(1)
        assert known is not None
        per_channel = np.repeat(known, channels // groups) if known.size == groups != channels else known
        gamma = site.emitter.constant(per_channel.reshape(spread))
    grouped = (n, groups, channels // groups * prod(space))
    return normalised(site, grouped, [2], site.node.attribute("epsilon", 1e-5), gamma, channels=1)


@adjoint("MeanVarianceNormalization")
def mean_variance_normalization(site: Site) -> Normalisation:
    axes = list(site.node.attribute("axes", [0, 2, 3]))
    return normalised(site, site.shape(), axes, 1e-9, site.emitter.constant(1.0))


@adjoint("Softmax", "LogSoftmax")
def softmax(site: Site) -> Softmax:
    """Jᵀs = p·(s − Σ s·p); of the logarithm s − p·Σs. Before opset 13 all axes from `axis` on are one."""
    shape, old = site.shape(), site.node.opset < 13
    axis = int(site.node.attribute("axis", 1 if old else -1)) % len(shape)
    flat = (*shape[:axis], prod(shape[axis:])) if old and axis < len(shape) - 1 else shape
    emitter, logarithm = site.emitter, site.node.kind == "LogSoftmax"
    y = site.y.reshape(flat)
    probabilities = emitter.op("Exp", y) if logarithm else y

    def total(value: Value) -> Value:
        return emitter.op("ReduceSum", value, np.asarray([axis], np.int64), keepdims=1)

    def back(signal: Value) -> Value:
        s = signal.reshape(flat)
        if s.zero:
            return s
        result = s - probabilities * total(s) if logarithm else probabilities * (s - total(s * probabilities))
        return result.reshape(shape)

    axes = tuple(range(axis, len(shape))) if old else (axis,)
    return site.map_as(Softmax, "softmax", back, axes=axes, probabilities=probabilities.reshape(shape))


@adjoint("LpNormalization")
def lp_normalization(site: Site) -> LocalMap:
    """x/‖x‖: for p = 2 Jᵀs = (s − y·Σ s·y)/‖x‖. LRP passes relevance through, as with any scale."""
    if int(site.node.attribute("p", 2)) != 2:
        raise site.unsupported("only p = 2 is covered")
    axis = np.asarray([int(site.node.attribute("axis", -1))], np.int64)

    def back(signal: Value) -> Value:
        emitter, x = site.emitter, site.value(site.node.inputs[0])
        size = emitter.op("ReduceL2", x, axis, keepdims=1)
        along = emitter.op("ReduceSum", signal * site.y, axis, keepdims=1)
        return ((signal - site.y * along) / above_zero(size)).where(size > 0.0)

    return site.map("activation", back)


@adjoint("LRN")
def local_response_normalization(site: Site) -> ResponseNormalisation:
    """y = x/S^β, S = k + (α/n)·Σ x² over n neighbouring channels.

    Jᵀs = s/S^β − (2αβ/n)·x·Σ_neighbours s·x/S^(β+1); the window is symmetric for odd n, which is required.
    """
    size = int(site.node.attribute("size"))
    if size % 2 == 0:
        raise site.unsupported("an even size is not covered")
    share = site.node.attribute("alpha", 1e-4) / size
    beta, k = site.node.attribute("beta", 0.75), site.node.attribute("bias", 1.0)
    emitter, channels = site.emitter, site.shape()[1]
    near = np.abs(np.subtract.outer(np.arange(channels), np.arange(channels))) <= size // 2
    kernel = emitter.constant(near.astype(float).reshape(channels, channels, *[1] * (len(site.shape()) - 2)))

    def neighbours(value: Value) -> Value:
        return emitter.op("Conv", value, kernel)

    def back(signal: Value) -> Value:
        x = site.value(site.node.inputs[0])
        S = neighbours(x * x) * share + k
        power = emitter.op("Pow", S, np.asarray(-beta, emitter.dtype))
        around = neighbours(signal * x * power / S)
        return signal * power - x * around * (2 * share * beta)

    more = {"share": share, "beta": beta, "k": k, "neighbours": neighbours}
    return site.map_as(ResponseNormalisation, "lrn", back, **more)
