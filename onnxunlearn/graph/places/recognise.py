"""Find where a model says classes at places: from its outputs back to the layer that makes the scores."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from onnxunlearn.errors import InputError
from onnxunlearn.graph.layers import Layer, find_layers
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.places.scores import Normaliser, PlaceScores
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model

#: passed on the way back from the output, which they leave as it is
_PASSED = frozenset({"Identity", "Cast", "Dropout", "QuantizeLinear", "DequantizeLinear"})
_ENLARGE = frozenset({"Resize", "Upsample"})
_NORMALISE: dict[str, Normaliser] = {"Softmax": "Softmax", "LogSoftmax": "Softmax", "Sigmoid": "Sigmoid"}
#: what a user can say where nothing can be told
HEAD_FILE = "say what it says where with --head FILE (docs/tasks.md)"


def find_places(model: Model, output_name: str | None = None) -> PlaceScores | None:
    """The class scores at places of a segmenter or a tagger; None where no output holds any.

    model: in plain float ops. output_name: the output that is meant. Raises InputError if more than one could
    be meant and none was named, if what is named is none of the model's, or a single class is said.
    """
    outputs = [output.name for output in model.graph.output]
    if output_name is not None and output_name not in outputs:
        raise InputError(f"no output {output_name!r}; the model has: {', '.join(outputs)}")
    layers = {layer.output: layer for layer in find_layers(model)}
    asked = outputs if output_name is None else [output_name]
    found = [each for name in asked if (each := _traced(model, layers, name)) is not None]
    if not found:
        return None
    found = [each for each in found if each.classes > 1] or found
    first, *others = found
    if first.classes < 2:
        raise InputError(
            f"output {first.outputs[0]!r}: says one number at each place; if that is a binary mask's, "
            "nothing but background would be left without its class, and there is nothing to retain"
        )
    if any(other.scores != first.scores for other in others):
        names = ", ".join(name for each in found for name in each.outputs)
        raise InputError(
            f"several outputs could hold class scores at places: {names}; choose one with --output-name"
        )
    return next((each for each in found if not each.decided), first)


def _traced(model: Model, layers: dict[str, Layer], output: str) -> PlaceScores | None:
    kind = model.element_types.get(output, 0)
    way, name = list[Node](), output  # what was met on the way to the scores, the output first
    while name not in layers:
        node = model.producer.get(name)
        inner = [] if node is None else [n for n in node.inputs if n in model.activations]
        followed = node is not None and _is_followed(node) and node.inputs[0] in inner
        if node is None or not followed:
            return None
        way.append(node)
        name = node.inputs[0]
    head = layers[name]
    if _passes_each_class_by_itself(model, head) and head.input not in {i.name for i in model.inputs}:
        way.append(head.node)  # it enlarges, class by class: the scores are before it
        before = _traced_on(model, layers, head.input, way)
        if before is not None:
            name, head = before
    return _described(model, name, head, output, way, decided=kind not in FLOATS)


def _traced_on(
    model: Model, layers: dict[str, Layer], name: str, way: list[Node]
) -> tuple[str, Layer] | None:
    while name not in layers:
        node = model.producer.get(name)
        if node is None or node.kind not in _PASSED:
            return None
        way.append(node)
        name = node.inputs[0]
    return name, layers[name]


def _is_followed(node: Node) -> bool:
    if node.kind in {"Squeeze", "ArgMax", "Transpose"} or node.kind in _PASSED:
        return True
    return node.kind in _ENLARGE or node.kind in _NORMALISE


def _passes_each_class_by_itself(model: Model, layer: Layer) -> bool:
    """Whether it is a ConvTranspose that makes a map larger and mixes no classes."""
    if layer.node.kind != "ConvTranspose":
        return False
    weight = model.constant(layer.node.inputs[1])
    if weight is None:
        return False
    group = int(layer.node.attribute("group", 1))
    if group == len(weight) and weight.shape[1] == 1:
        return True
    square = weight.shape[0] == weight.shape[1] and group == 1
    return square and not weight[~np.eye(len(weight), dtype=bool)].any()


def _described(
    model: Model, scores: str, head: Layer, output: str, way: Sequence[Node], *, decided: bool
) -> PlaceScores | None:
    declared = _declared(model, output, way)
    rank = _rank(model, scores, head, declared)
    if rank is None or rank < 3:
        return None
    axis = head.axis % rank
    axes = tuple(a for a in range(1, rank) if a != axis)
    if _is_one_place(model, scores, axes, declared):
        return None
    found = PlaceScores(
        task="tagging" if rank == 3 else "segmentation",
        scores=(scores,),
        class_axis=axis,
        place_axes=axes,
        classes=head.neurons,
        normaliser=None,
        outputs=(output,),
        heads=(head.name,),
    )
    return _forward(found, way[::-1], decided)


def _forward(found: PlaceScores, nodes: Sequence[Node], decided: bool) -> PlaceScores | None:
    """With what stands between the scores and the output; None where that is not of a kind that is known."""
    axis: int | None = found.class_axis
    order = [0, *found.place_axes]  # axes of the scores, in the order in which the output has them
    order.insert(found.class_axis, found.class_axis)
    behind: list[str] = []
    normaliser: Normaliser | None = None
    chosen = False
    for node in nodes:
        if node.kind in _NORMALISE:
            given = node.attribute("axis", 1 if node.opset < 13 else -1)
            if node.kind != "Sigmoid" and (axis is None or int(given) % len(order) != axis):
                return None
            normaliser = _NORMALISE[node.kind]
            behind.append(node.kind)
        elif node.kind == "ArgMax":
            if axis is None or int(node.attribute("axis", 0)) % len(order) != axis:
                return None
            chosen = True
            behind.append("ArgMax")
            if not int(node.attribute("keepdims", 1)):
                order.pop(axis)
                axis = None
        elif node.kind == "Transpose":
            perm = node.attribute("perm") or list(reversed(range(len(order))))
            order = [order[p] for p in perm]
            axis = None if axis is None else perm.index(axis)
        elif node.kind == "Squeeze" and chosen and axis is not None:
            order.pop(axis)
            axis = None
        elif node.kind in _ENLARGE or node.kind == "ConvTranspose":
            behind.append("enlarged")
        elif node.kind not in _PASSED:
            return None
    if decided and not chosen:
        return None
    places = [a for a in order if a not in (0, found.class_axis)]
    if order[0] != 0 or places != list(found.place_axes):
        return None
    return replace(
        found, normaliser=normaliser, output_axis=axis, decided=chosen, behind=tuple(dict.fromkeys(behind))
    )


def _rank(model: Model, scores: str, head: Layer, declared: tuple[int | None, ...] | None) -> int | None:
    """declared: the output's sizes, which tell where nothing was inferred."""
    shape = model.shapes.get(scores)
    if shape is not None:
        return len(shape)
    if not head.dense:
        return len(head.weight.shape)
    return None if declared is None else len(declared)


def _declared(model: Model, output: str, way: Sequence[Node]) -> tuple[int | None, ...] | None:
    """The sizes that a file declares of an output, unless an axis is lost on the way there."""
    lost = any(node.kind in {"Squeeze", "ArgMax"} for node in way)
    return None if lost else model.shapes.get(output)


def _is_one_place(
    model: Model, scores: str, axes: tuple[int, ...], declared: tuple[int | None, ...] | None
) -> bool:
    """Whether a sample has but one, as a classifier's scores that kept their space. declared: as of `_rank`,
    its axes in whatever order."""
    shape = model.shapes.get(scores)
    if shape is not None:
        return all(shape[a] == 1 for a in axes)
    return declared is not None and declared[1:].count(1) == len(axes)
