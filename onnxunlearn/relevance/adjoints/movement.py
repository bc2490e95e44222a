"""Nodes that only move elements: relevance moves back with them."""

import numpy as np

from onnxunlearn.relevance.adjoints.site import Site, adjoint
from onnxunlearn.relevance.expression import Value
from onnxunlearn.relevance.local_map import LocalMap


@adjoint("Identity", "Dropout", "Cast")
def unchanged(site: Site) -> LocalMap:
    """Dropout is the identity at inference; a Cast between floats keeps the values."""
    return site.map("route", lambda signal: signal)


@adjoint("Flatten", "Reshape", "Squeeze", "Unsqueeze")
def reshape(site: Site) -> LocalMap:
    return site.map("route", lambda signal: signal.reshape(site.shape()))


@adjoint("Transpose")
def transpose(site: Site) -> LocalMap:
    rank = len(site.shape())
    permutation = site.node.attribute("perm", list(reversed(range(rank))))
    inverse = [int(i) for i in np.argsort(permutation)]
    return site.map("route", lambda signal: signal.transpose(inverse))


@adjoint("Concat")
def concat(site: Site) -> LocalMap:
    """Each activation gets its slice; constants take none."""
    axis = int(site.node.attribute("axis", 1)) % len(site.y_shape)
    ends = np.cumsum([site.shapes[name][axis] for name in site.node.inputs])
    moving = [i for i in range(len(site.node.inputs)) if site.is_activation(i)]

    def split(signal: Value) -> list[Value]:
        return [crop(signal, [axis], [int(ends[i] - site.shape(i)[axis])], [int(ends[i])]) for i in moving]

    return site.map("route", split, inputs=moving)


@adjoint("Pad")
def pad(site: Site) -> LocalMap:
    """Constant padding: what lies on the padding is lost."""
    if site.node.attribute("mode", "constant") != "constant":
        raise site.unsupported(f"mode {site.node.attribute('mode')!r} is not covered, only 'constant'")
    rank, given = len(site.shape()), site.constant(1)
    pads = site.node.attribute("pads") if given is None else given.tolist()
    named = site.constant(3)
    axes = list(range(rank)) if named is None else [int(a) % rank for a in named]
    if pads is None or min(pads) < 0:
        raise site.unsupported("negative or missing pads are not covered")
    begin = [int(p) for p in pads[: len(axes)]]
    end = [b + site.shape()[a] for a, b in zip(axes, begin, strict=True)]
    return site.map("route", lambda signal: crop(signal, axes, begin, end))


def crop(signal: Value, axes: list[int], begin: list[int], end: list[int]) -> Value:
    """signal[begin:end] along `axes`."""
    if signal.zero:
        return signal
    bounds = (np.asarray(v, np.int64) for v in (begin, end, axes))
    return signal.emitter.op("Slice", signal, *bounds)
