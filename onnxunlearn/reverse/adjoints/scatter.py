"""ScatterND and ScatterElements: updates put into a tensor, or added to it."""

from math import prod

import numpy as np

from onnxunlearn.graph.folding import evaluate
from onnxunlearn.reverse.adjoints.movement import crop, scatter_add
from onnxunlearn.reverse.adjoints.site import Site, adjoint
from onnxunlearn.reverse.expression import Value
from onnxunlearn.reverse.local_map import LocalMap


@adjoint("ScatterND", "ScatterElements")
def scatter(site: Site) -> LocalMap:
    """Updates take their places' signal, the data what was not overwritten; or both take it all, where the
    updates are added."""
    reduction = site.node.attribute("reduction", "none")
    if reduction == "add":
        return _added(site)
    if reduction != "none":
        raise site.unsupported(f"reduction {reduction!r} is not covered, only 'none' and 'add'")
    size = prod(site.shape())
    # which element of [data, updates] each output element is
    data = np.arange(size).reshape(site.shape())
    updates = size + np.arange(prod(site.shape(2))).reshape(site.shape(2))
    indices = site.constant(1)
    source = evaluate(site.node, [data, indices, updates])[0]
    which = [i for i in (0, 2) if site.carries(i)]

    def back(signal: Value) -> list[Value]:
        both = scatter_add(signal, source, size + updates.size)
        parts = {
            0: crop(both, [0], [0], [size]).reshape(site.shape()),
            2: crop(both, [0], [size], [size + updates.size]).reshape(site.shape(2)),
        }
        return [parts[i] for i in which]

    return site.map("route", back, inputs=which)


def _added(site: Site) -> LocalMap:
    """y = data + the updates at their places, of which several may be the same."""
    indices, ramp = site.constant(1), np.arange(prod(site.shape())).reshape(site.shape())
    assert indices is not None
    if site.node.kind == "ScatterND":
        places = ramp[tuple(np.moveaxis(indices, -1, 0))]
    else:
        axis = int(site.node.attribute("axis", 0))
        where: list[np.ndarray] = [*np.indices(indices.shape, sparse=True)]
        where[axis] = indices
        places = ramp[tuple(where)]
    which = [i for i in (0, 2) if site.carries(i)]

    def back(signal: Value) -> list[Value]:
        if signal.zero:
            return [signal for _ in which]
        flat = signal.reshape([ramp.size])
        at_places = site.emitter.op("Gather", flat, np.asarray(places.reshape(-1), np.int64), axis=0)
        parts = {0: signal, 2: at_places.reshape(site.shape(2))}
        return [parts[i] for i in which]

    return site.map("sum", back, inputs=which)
