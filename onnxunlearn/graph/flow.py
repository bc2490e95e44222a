"""Which tensors relevance can reach: those that depend on the data differentiably.

Shapes, indices, masks and comparisons depend on the inputs, too, but nothing flows back through them.
"""

from collections.abc import Callable, Collection, Iterable

import numpy as np

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model


def data_inputs(node: Node) -> tuple[str, ...]:
    """The inputs through which a signal could flow back."""
    if node.kind == "Cast" and node.attribute("to") not in FLOATS:
        return ()
    numbers = node.traits.data
    return node.inputs if numbers is None else tuple(node.inputs[i] for i in numbers if i < len(node.inputs))


def sources(model: Model) -> list[str]:
    """Where relevance ends: the float inputs, and what the inputs look up in an embedding.

    Not what is looked up by position alone: that is the same for every sample.
    """
    found = [i.name for i in model.inputs if i.type.tensor_type.elem_type in FLOATS]
    by_data = model.activations - shape_arithmetic(model)
    for node in model.nodes:
        looks_up = node.kind == "Gather" and node.inputs[0] not in model.activations
        if looks_up and node.inputs[1] in by_data and _is_embedding(model, node.inputs[0]):
            found.append(node.outputs[0])
    return found


def sources_of(model: Model, tensor: str) -> list[str]:
    """Those that a tensor is made from: not states that are handed on, nor what was fed in training alone."""
    found, made = sources(model), made_from(model, [tensor])
    return [name for name in found if name in made]


def carriers(model: Model, also: Iterable[str] = ()) -> frozenset[str]:
    """Tensors that carry relevance: the sources, `also`, and all that comes of them."""
    found = {*sources(model), *also}
    for node in model.nodes:
        # what a branch of an If reads counts: relevance that arrives there must be refused, not lost
        if any(name in found for name in (*data_inputs(node), *node.captured)):
            found.update(o for o in node.outputs if o)
    return frozenset(found)


def made_from(
    model: Model,
    tensors: Iterable[str],
    ends: Collection[str] = (),
    before: Callable[[Node, str], Iterable[str]] = lambda node, _: (*node.inputs, *node.captured),
) -> set[str]:
    """All tensors that these are made from, and themselves; not beyond `ends`, nor these. before: (node, its
    output) -> what that is made from."""
    seen, waiting = set[str](), list(tensors)
    while waiting:  # no recursion: chains may be long
        name = waiting.pop()
        if name in seen or name in ends:
            continue
        seen.add(name)
        if (node := model.producer.get(name)) is not None:
            waiting += before(node, name)
    return seen


def shape_arithmetic(model: Model) -> frozenset[str]:
    """Tensors that depend on the inputs' shapes, but not on their values: known once a batch is given."""
    return model.by_shape


def _is_embedding(model: Model, name: str) -> bool:
    """Floats, or the bytes that stand for them in a quantised model."""
    value = model.constant(name)
    return value is not None and (value.dtype.kind == "f" or value.dtype in (np.int8, np.uint8))
