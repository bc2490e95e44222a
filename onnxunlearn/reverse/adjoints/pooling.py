"""Pooling and means: averages share, maxima route to the winner."""

from math import prod

import numpy as np

from onnxunlearn.reverse.adjoints.movement import zeros
from onnxunlearn.reverse.adjoints.site import Site, adjoint
from onnxunlearn.reverse.adjoints.window import Window
from onnxunlearn.reverse.adjoints.winners import MOST, to_winners
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap


@adjoint("AveragePool")
def average_pool(site: Site) -> LocalMap:
    window = Window.at(site, site.node.attribute("kernel_shape"))
    cells = window.averaged(count_padding=bool(site.node.attribute("count_include_pad", 0)))
    channels = site.shape()[1]
    shape = (channels, 1, *window.kernel)
    ones = Value(site.emitter, array=np.ones(shape, site.emitter.dtype))
    share = site.emitter.constant(1 / cells)
    return site.map("average", lambda signal: window.adjoint(ones, signal * share, channels, shape))


@adjoint("GlobalAveragePool")
def global_average_pool(site: Site) -> LocalMap:
    return _mean(site, site.y_shape, tuple(range(2, len(site.shape()))))


@adjoint("ReduceMean")
def reduce_mean(site: Site) -> LocalMap:
    kept, axes = _kept(site)
    return _mean(site, kept, axes)


@adjoint("ReduceSum")
def reduce_sum(site: Site) -> LocalMap:
    kept, _ = _kept(site)
    return site.map("average", lambda signal: signal.reshape(kept).expand(site.shape()))


@adjoint("ReduceL1")
def reduce_l1(site: Site) -> LocalMap:
    """Σ|x|: with x·Jᵀ(R/y) each element gets its share of the sizes; the slope at 0 is 0."""
    kept, _ = _kept(site)
    x = site.value(site.node.inputs[0])
    return site.map("average", lambda signal: site.emitter.op("Sign", x) * signal.reshape(kept))


@adjoint("ReduceL2")
def reduce_l2(site: Site) -> LocalMap:
    """√Σx²: with x·Jᵀ(R/y) each element gets its share of the squares."""
    kept, _ = _kept(site)
    x = site.value(site.node.inputs[0])
    return site.map("average", lambda signal: x * (signal / above_zero(site.y)).reshape(kept))


@adjoint("ReduceMax", "ReduceMin")
def reduce_extremum(site: Site) -> LocalMap:
    """To the winner; equal ones share."""
    kept, axes = _kept(site)

    def back(signal: Value) -> Value:
        x, emitter = site.value(site.node.inputs[0]), site.emitter
        wins = emitter.constant(1.0).where(emitter.op("Equal", x, site.y.reshape(kept)))
        count = emitter.op("ReduceSum", wins, np.asarray(axes, np.int64), keepdims=1)
        return wins * (signal.reshape(kept) / count)

    return site.map("route", back)


@adjoint("LpPool")
def lp_pool(site: Site) -> LocalMap:
    """(Σ|x|^p)^(1/p) over windows; p = 2."""
    if int(site.node.attribute("p", 2)) != 2:
        raise site.unsupported("only p = 2 is covered")
    window = Window.at(site, site.node.attribute("kernel_shape"))
    channels = site.shape()[1]
    shape = (channels, 1, *window.kernel)
    ones = Value(site.emitter, array=np.ones(shape, site.emitter.dtype))
    x = site.value(site.node.inputs[0])

    def back(signal: Value) -> Value:
        return x * window.adjoint(ones, signal / above_zero(site.y), channels, shape)

    return site.map("average", back)


@adjoint("GlobalLpPool")
def global_lp_pool(site: Site) -> LocalMap:
    if int(site.node.attribute("p", 2)) != 2:
        raise site.unsupported("only p = 2 is covered")
    x = site.value(site.node.inputs[0])
    return site.map("average", lambda signal: x * (signal / above_zero(site.y)))


def above_zero(norm: Value) -> Value:
    """A norm to divide by: where it is 0 all of x is, which nothing flows to."""
    return norm.emitter.op("Max", norm, np.asarray(1e-30, norm.emitter.dtype))


def _kept(site: Site) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The output's shape as if keepdims were set, and the reduced axes."""
    axes = reduced_axes(site)
    return tuple(1 if i in axes else n for i, n in enumerate(site.shape())), axes


def reduced_axes(site: Site) -> tuple[int, ...]:
    """Axes of a Reduce* node: an attribute, an input since opset 18 (13 for ReduceSum), or all."""
    rank, given = len(site.shape()), site.constant(1)
    axes = site.node.attribute("axes") if given is None else given.tolist()
    if not axes:
        return () if site.node.attribute("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted(int(a) % rank for a in axes))


def _mean(site: Site, kept: tuple[int, ...], axes: tuple[int, ...]) -> LocalMap:
    shape = site.shape()
    share = 1 / prod(shape[a] for a in axes)
    return site.map("average", lambda signal: (signal.reshape(kept) * share).expand(shape))


@adjoint("MaxPool")
def max_pool(site: Site) -> LocalMap:
    window = Window.at(site, site.node.attribute("kernel_shape"))
    name = site.node.inputs[0]

    def back(signal: Value) -> Value:
        made = to_winners(window, site.value(name), signal, site.shape())
        # A maximum is what its winner is: where none is 0 that gets anything, no winner is.
        kept = site.node.outputs[0] in signal.multiple_of
        return made.as_multiple_of(frozenset([name])) if kept else made

    if max(window.kernel) <= MOST:
        return site.map("route", back)
    attributes = {**window.attributes, "ceil_mode": int(site.node.attribute("ceil_mode", 0))}
    return site.map("route", lambda signal: _by_places(site, signal, attributes))


@adjoint("GlobalMaxPool")
def global_max_pool(site: Site) -> LocalMap:
    space = list(site.shape()[2:])
    return site.map("route", lambda signal: _by_places(site, signal, {"kernel_shape": space}))


def _by_places(site: Site, signal: Value, attributes: dict[str, object]) -> Value:
    """Scatter-add to the winners: windows overlap, so MaxUnpool would lose what a cell wins twice."""
    if signal.zero:
        return signal
    emitter, shape = site.emitter, site.shape()
    x = site.value(site.node.inputs[0])
    # Indices count over the whole tensor, batch and channels included.
    places = emitter.op("MaxPool", x, outputs=2, pick=1, **attributes).reshape([-1])
    empty = zeros(emitter, [prod(shape)])
    return emitter.op("ScatterElements", empty, places, signal.reshape([-1]), reduction="add").reshape(shape)
