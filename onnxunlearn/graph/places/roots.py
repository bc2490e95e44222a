"""Where a detector's end is looked for: its outputs, and in front of what chooses among boxes."""

from collections.abc import Iterator

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.places.bands import SIDES, Said, said_by
from onnxunlearn.graph.places.trail import Layers, rank_of, shape_of
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model

#: ops that choose among boxes -> (input, axis) of what they choose by; None: the axis is their attribute
_CHOOSING: dict[str, tuple[int, int | None]] = {
    "NonMaxSuppression": (1, 1),
    "ReduceMax": (0, None),
    "ArgMax": (0, None),
    "TopK": (0, None),
}
#: ops that take the boxes that were chosen
_TAKING = frozenset({"Gather", "GatherElements", "GatherND"})


def refuse_plug_ins(model: Model) -> None:
    """Raises UnsupportedError for what chooses among boxes but is no op of ONNX."""
    for node in model.nodes:
        if "nms" in node.op.lower() and node.kind != "NonMaxSuppression":
            raise UnsupportedError(
                f"{node} is a plug-in of another runtime; export the detector without it, or with the op "
                "NonMaxSuppression"
            )


def at_outputs(model: Model, layers: Layers) -> list[Said]:
    """What the outputs say at places."""
    found = [
        said_by(model, layers, output.name, output.name)
        for output in model.graph.output
        if model.element_types.get(output.name) in FLOATS
    ]
    return [said for said in found if said is not None]


def in_front_of_choice(model: Model, layers: Layers) -> list[Said]:
    """What is said in front of the ops that choose among boxes, the nearest to the outputs last."""
    found: list[Said] = []
    for node in _at_the_end(model):
        for tensor, axis in _read(model, node):
            said = said_by(model, layers, tensor, model.graph.output[0].name, axis)
            if said is not None and all((s.tensor, s.axis) != (said.tensor, said.axis) for s in found):
                found.append(said)
    return found


def _at_the_end(model: Model) -> list[Node]:
    """The choosing nodes behind which there is no layer."""
    before: set[str] = set()  # tensors from which a layer is reached
    found = []
    for node in reversed(model.nodes):
        if node.traits.linear or any(name in before for name in node.outputs):
            before.update(node.inputs)
        elif node.kind in _CHOOSING or (node.kind in _TAKING and node.inputs[1] in model.activations):
            found.append(node)
    return found[::-1]


def _read(model: Model, node: Node) -> Iterator[tuple[str, int]]:
    """The tensors that a node chooses by or among, and the axis of their columns."""
    if node.kind in _TAKING:
        shape = shape_of(model, node.inputs[0]) or ()
        if shape[-1:] == (SIDES,):
            yield node.inputs[0], len(shape) - 1
        return
    place, axis = _CHOOSING[node.kind]
    tensor = node.inputs[place]
    if node.kind == "NonMaxSuppression":
        yield node.inputs[0], 2
    if axis is not None:
        yield tensor, axis
        return
    rank = rank_of(model, tensor)
    if rank is None:
        return
    for own in _axes(model, node, rank):
        yield tensor, own
    maker = model.producer.get(tensor)
    if node.kind == "TopK" and maker is not None and maker.kind in {"Reshape", "Flatten"}:
        yield maker.inputs[0], -1


def _axes(model: Model, node: Node, rank: int) -> list[int]:
    axes = node.attribute("axes")
    if axes is None and node.kind == "ReduceMax" and len(node.inputs) > 1:
        value = model.constant(node.inputs[1])
        axes = None if value is None else value.tolist()
    if axes is None:
        axes = [node.attribute("axis", 0 if node.kind == "ArgMax" else -1)]
    return [int(axis) % rank for axis in axes]
