"""Nodes that only move elements: relevance moves back with them."""

from collections.abc import Callable, Sequence
from math import prod

import numpy as np
import onnx

from onnxunlearn.graph.folding import evaluate
from onnxunlearn.reverse.adjoints.site import Site, adjoint, unbroadcast
from onnxunlearn.reverse.expression import Emitter, Value
from onnxunlearn.reverse.local_map import LocalMap


@adjoint("com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear")  # 16 bits before opset 21
@adjoint("Identity", "Dropout", "Cast", "CastLike", "QuantizeLinear", "DequantizeLinear")
def unchanged(site: Site) -> LocalMap:
    """Dropout is the identity at inference; casts and quantisation stand for the values they approximate."""
    return _of_data(site, lambda signal: signal)


@adjoint("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(site: Site) -> LocalMap:
    return _of_data(site, lambda signal: signal.reshape(site.shape()))


@adjoint("Transpose")
def transpose(site: Site) -> LocalMap:
    rank = len(site.shape())
    permutation = site.node.attribute("perm", list(reversed(range(rank))))
    inverse = [int(i) for i in np.argsort(permutation)]
    return _of_data(site, lambda signal: signal.transpose(inverse))


@adjoint("Concat")
def concat(site: Site) -> LocalMap:
    """Each activation gets its slice; constants take none."""
    axis = int(site.node.attribute("axis", 1)) % len(site.y_shape)
    ends = np.cumsum([site.shapes[name][axis] for name in site.node.inputs])
    moving = [i for i in range(len(site.node.inputs)) if site.carries(i)]

    def split(signal: Value) -> list[Value]:
        return [crop(signal, [axis], [int(ends[i] - site.shape(i)[axis])], [int(ends[i])]) for i in moving]

    return site.map("route", split, inputs=moving)


@adjoint("Pad")
def pad(site: Site) -> LocalMap:
    """Constant padding: what lies on the padding is lost. Other modes repeat cells, which then add up."""
    if site.node.attribute("mode", "constant") != "constant":
        return moved(site)
    rank, given = len(site.shape()), site.constant(1)
    pads = site.node.attribute("pads") if given is None else given.tolist()
    named = site.constant(3)
    axes = list(range(rank)) if named is None else [int(a) % rank for a in named]
    if pads is None:
        raise site.unsupported("the pads are missing")
    before, after = [0] * rank, [0] * rank
    for i, axis in enumerate(axes):
        before[axis], after[axis] = int(pads[i]), int(pads[i + len(axes)])

    def back(signal: Value) -> Value:
        begin = [max(p, 0) for p in before]
        end = [n - max(p, 0) for n, p in zip(site.y_shape, after, strict=True)]
        inside = crop(signal, list(range(rank)), begin, end)
        # what negative pads cut off gets nothing
        return surround(inside, [max(-p, 0) for p in before], [max(-p, 0) for p in after])

    return site.map("route", back)


def crop(signal: Value, axes: list[int], begin: list[int], end: list[int]) -> Value:
    """signal[begin:end] along `axes`."""
    if signal.zero:
        return signal
    bounds = (np.asarray(v, np.int64) for v in (begin, end, axes))
    return signal.emitter.op("Slice", signal, *bounds)


@adjoint("Slice")
def slice_(site: Site) -> LocalMap:
    """Back into place, zeros around; other steps than 1 element by element."""
    rank, shape = len(site.shape()), site.shape()
    bounds = [site.node.attribute(name) for name in ("starts", "ends", "axes")]
    starts, ends, axes = (
        given if given is not None else None if (value := site.constant(i)) is None else value.tolist()
        for i, given in enumerate(bounds, start=1)
    )
    steps = site.constant(4)
    if starts is None or ends is None or (steps is not None and (steps != 1).any()):
        return moved(site)
    before, after = [0] * rank, [0] * rank
    for axis, start, end in zip(axes or range(rank), starts, ends, strict=False):
        low, high, _ = slice(int(start), int(end)).indices(shape[axis])
        before[axis], after[axis] = low, shape[axis] - max(high, low)
    return site.map("route", lambda signal: surround(signal, before, after))


@adjoint("Split")
def split(site: Site) -> LocalMap:
    """The parts' signals side by side."""
    axis = int(site.node.attribute("axis", 0)) % len(site.shape())
    shapes = [site.shapes[name] for name in site.node.outputs]

    def join(*signals: Value) -> Value:
        emitter = site.emitter
        if all(s.zero for s in signals):
            return emitter.zero
        full = [zeros(emitter, n) if s.zero else s for s, n in zip(signals, shapes, strict=True)]
        return emitter.op("Concat", *full, axis=axis)

    return site.map("route", join, outputs=tuple(range(len(shapes))))


@adjoint("Expand")
def expand(site: Site) -> LocalMap:
    return _of_data(site, lambda signal: unbroadcast(signal, site.y_shape, site.shape()))


@adjoint("Gather", "GatherND", "GatherElements")
def gather(site: Site) -> LocalMap:
    """Back to where it was read; what was read twice adds up. Relevance ends at an embedding's output."""
    if not site.carries(0):
        return site.map("route", lambda _: [], inputs=(), weight_vjps={0: lambda s: _to_table(site, s)})
    if site.known(1) is None:
        return _gather_computed(site)
    return moved(site)


def _to_table(site: Site, signal: Value) -> Value:
    """The signals of each entry, added up: [size, entries], as a layer shows the table."""
    emitter, (entries, size), count = site.emitter, site.shape(0), prod(site.shape(1))
    indices = emitter.op("Cast", site.value(site.node.inputs[1]), to=onnx.TensorProto.INT64)
    where = indices.reshape((count, 1)).expand((count, size))
    rows, empty = signal.reshape((count, size)), zeros(emitter, (entries, size))
    table = emitter.op("ScatterElements", empty, where, rows, axis=0, reduction="add")
    return table.transpose([1, 0])


def _gather_computed(site: Site) -> LocalMap:
    """The indices come of the data (the last token that is no padding): they are recorded."""
    shared = int(site.node.attribute("batch_dims", 0))
    if site.node.kind == "GatherElements" or shared > 1:
        raise site.unsupported(
            "computed indices are covered for Gather, and for GatherND with one axis of samples at most"
        )
    emitter, shape = site.emitter, site.shape()
    axis = int(site.node.attribute("axis", 0)) % len(shape)
    before, after, count = prod(shape[:axis]), prod(shape[axis + 1 :]), prod(site.shape(1))

    def back(signal: Value) -> Value:
        if signal.zero:
            return signal
        indices = emitter.op("Cast", site.value(site.node.inputs[1]), to=onnx.TensorProto.INT64)
        if shared:  # of each sample's own: its number comes first
            places = site.shape(1)[:-1]
            column = np.arange(places[0], dtype=np.int64).reshape(-1, *[1] * len(places))
            numbers = np.broadcast_to(column, (*places, 1))
            indices = emitter.op("Concat", np.ascontiguousarray(numbers), indices, axis=len(places))
        if site.node.kind == "GatherND":
            return emitter.op("ScatterND", zeros(emitter, shape), indices, signal, reduction="add")
        spread = indices.reshape([1, count, 1]).expand([before, count, after])
        empty = zeros(emitter, [before, shape[axis], after])
        parts = signal.reshape([before, count, after])
        return emitter.op("ScatterElements", empty, spread, parts, axis=1, reduction="add").reshape(shape)

    return site.map("route", back)


@adjoint("Tile", "DepthToSpace", "SpaceToDepth", "Trilu")
def rearranged(site: Site) -> LocalMap:
    return moved(site)


@adjoint("CumSum")
def cumulative_sum(site: Site) -> LocalMap:
    """Its adjoint sums from the other end."""
    axis = site.constant(1)
    assert axis is not None
    reverse = 1 - int(site.node.attribute("reverse", 0))
    exclusive = int(site.node.attribute("exclusive", 0))

    def back(signal: Value) -> Value:
        if signal.zero:
            return signal
        where = axis.astype(np.int64).reshape(())
        return site.emitter.op("CumSum", signal, where, reverse=reverse, exclusive=exclusive)

    return site.map("average", back)


def _of_data(site: Site, back: Callable[[Value], Value]) -> LocalMap:
    """A map for the first input, or for none if it carries no relevance (an expanded constant)."""
    if not site.carries(0):
        return site.map("route", lambda _: [], inputs=(), weight_vjps={0: lambda s: _to_table(site, s)})
    return site.map("route", back)


def moved(site: Site) -> LocalMap:
    """Any rearrangement with known parameters: where each output element comes from is found by moving
    the elements' numbers."""
    size = prod(site.shape())
    parameters = [site.constant(i) for i in range(1, len(site.node.inputs))]
    # numbers from 1 on: 0 stands for what comes from nowhere (padding)
    numbers = np.arange(1, size + 1, dtype=np.int64).reshape(site.shape())
    if site.node.kind == "Pad" and len(parameters) > 1:
        parameters[1] = np.zeros((), np.int64) if parameters[1] is not None else None
    if site.node.kind == "GatherElements":
        assert parameters[0] is not None
        source = _along_axis(numbers, parameters[0], int(site.node.attribute("axis", 0)))
    else:
        source = evaluate(site.node, [numbers, *parameters])[0]

    def back(signal: Value) -> Value:
        return crop(scatter_add(signal, source, size + 1), [0], [1], [size + 1]).reshape(site.shape())

    return _of_data(site, back)


def _along_axis(data: np.ndarray, indices: np.ndarray, axis: int) -> np.ndarray:
    """GatherElements: the indices may be shorter than the data on the other axes."""
    axis %= data.ndim
    part = tuple(slice(None) if a == axis else slice(n) for a, n in enumerate(indices.shape))
    return np.take_along_axis(data[part], indices, axis)  # indices below 0 count from the end


def scatter_add(signal: Value, places: np.ndarray, size: int) -> Value:
    """A vector of `size`, each element of the signal added at its place."""
    if signal.zero:
        return signal
    flat = np.asarray(places, np.int64).reshape(-1)
    empty = zeros(signal.emitter, [size])
    return signal.emitter.op("ScatterElements", empty, flat, signal.reshape([-1]), reduction="add")


def zeros(emitter: Emitter, shape: Sequence[int]) -> Value:
    """A tensor of zeros, where an op needs one (the value zero has no tensor)."""
    return Value(emitter, array=np.zeros(1, emitter.dtype)).expand(shape)


def surround(signal: Value, before: list[int], after: list[int]) -> Value:
    """Zeros around the signal."""
    if signal.zero or not (any(before) or any(after)):
        return signal
    return signal.emitter.op("Pad", signal, np.asarray([*before, *after], np.int64))
