"""What a tensor holds data of: columns that were joined with others and parted from them again are their own.

Detectors join boxes and class scores, move all of them at once, and part them: by the graph alone boxes would
be made of class scores, and no layer would be a class's own.
"""

from collections.abc import Collection

from onnxunlearn.graph.flow import made_from, shape_arithmetic
from onnxunlearn.graph.layers import EVERY_KIND, PRODUCTS, find_layers
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.places import steps as steps  # they register
from onnxunlearn.graph.places.bands import said_by
from onnxunlearn.graph.places.trail import Layers, activations
from onnxunlearn.graph.view import Model

_PARTING = frozenset({"Split", "Slice", "Gather"})
#: columns pass these, but not each as it would alone
_MIXING = frozenset({"Softmax", "LogSoftmax"})


def made_of(model: Model, tensors: Collection[str], ends: Collection[str] = ()) -> set[str]:
    """All tensors whose values these are made from, and these; none that only counts places, none beyond
    `ends`."""
    every = {la.output: la for la in find_layers(model, EVERY_KIND)}
    layers = {name: la for name, la in every.items() if la.kind in PRODUCTS}
    changed = every.keys() - layers.keys()

    def before(node: Node, name: str) -> tuple[str, ...]:
        parted = _origins(model, layers, changed, name) if node.kind in _PARTING else ()
        return parted or (*node.inputs, *node.captured)

    return made_from(model, tensors, {*ends, *shape_arithmetic(model)}, before)


def _origins(model: Model, layers: Layers, changed: Collection[str], tensor: str) -> tuple[str, ...]:
    """Outputs of the layers that make its columns, none where that cannot be told of all of them. changed:
    outputs of layers of other kinds, as scales are."""
    said = said_by(model, layers, tensor, tensor)
    if said is None or not all(band.known for band in said.bands):
        return ()
    if not _alone(model, layers, changed, tensor):
        return ()
    return tuple(trail.tensor for band in said.bands for trail in band.trails)


def _alone(model: Model, layers: Layers, changed: Collection[str], tensor: str) -> bool:
    """Whether each column is nothing but what a layer says: no gate, condition or index that is made of
    others came in, and no weight that may be edited."""
    seen, waiting = set[str](), [tensor]
    while waiting:
        name = waiting.pop()
        if name in seen or name in layers:
            continue
        seen.add(name)
        node = model.producer.get(name)
        if node is None or node.kind in _MIXING or name in changed:
            return False
        data = list(activations(model, node))
        if len(data) > 1 and node.kind != "Concat":
            return False
        waiting += data
    return True
