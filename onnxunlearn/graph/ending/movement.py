"""What only moves, renames or copies scores: it is read through."""

from dataclasses import replace

import numpy as np
import onnx

from onnxunlearn.graph.ending.columns import joined
from onnxunlearn.graph.ending.reader import Reader, moved, reading
from onnxunlearn.graph.ending.readings import Plain, Reading, Row, Scores, Square, Uniform
from onnxunlearn.graph.node import Node
from onnxunlearn.graph.tensors import FLOATS


@reading("Identity", "Dropout", "CastLike", "QuantizeLinear", "DequantizeLinear")
@reading("com.microsoft::QuantizeLinear", "com.microsoft::DequantizeLinear")
def same(reader: Reader, node: Node) -> Reading:
    return _renamed(reader.read(node.inputs[0]), node)


@reading("Cast")
def cast(reader: Reader, node: Node) -> Reading | None:
    return _renamed(reader.read(node.inputs[0]), node) if node.attribute("to") in FLOATS else None


@reading("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def reshape(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    return moved(reader, node, found) if isinstance(found, Scores) else _renamed(found, node)


@reading("Transpose", "Gather", "GatherElements", "GatherND", "Slice", "Tile")
def rearrange(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    if isinstance(found, Scores):
        return moved(reader, node, found)
    return found if isinstance(found, Row | Uniform | Square) else None


@reading("Expand")
def expand(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    if not isinstance(found, Scores):
        return found if isinstance(found, Row | Uniform) else None
    arranged = moved(reader, node, found)
    if arranged is not None or reader.model.constant(node.inputs[1]) is not None:
        return arranged
    return found if reader.shape(node.outputs[0]) is None else None  # to a size of its own, as a rule


@reading("ConstantOfShape")
def constant_of_shape(reader: Reader, node: Node) -> Reading:
    value = node.attribute("value")
    return Uniform(0.0 if value is None else float(onnx.numpy_helper.to_array(value).reshape(-1)[0]))


@reading("Split")
def split(reader: Reader, node: Node) -> tuple[Reading, ...] | None:
    found = reader.read(node.inputs[0])
    if not isinstance(found, Scores):
        return None
    parts = [moved(reader, node, found, i) for i in range(len(node.outputs))]
    return tuple(part for part in parts if part) if all(parts) else None


@reading("Concat")
def concat(reader: Reader, node: Node) -> Reading | None:
    """One head beside another: what is said of all of them is said of the whole."""
    found = [reader.read(name) for name in node.inputs]
    if all(isinstance(part, Plain) for part in found):
        return None
    parts = [reader.scores(name) for name in node.inputs]
    known = [part for part in parts if part is not None]
    first = known[0] if known else None
    if first is None or len(known) < len(parts):
        return None
    if all((p.curve, p.log, p.rows) == (first.curve, first.log, first.rows) for p in known):
        try:
            columns = joined([p.columns for p in known], int(node.attribute("axis")))
        except (ValueError, np.exceptions.AxisError):
            return None
        notes = tuple(dict.fromkeys(note for p in known for note in p.notes))
        return replace(first, columns=columns, axis=None, notes=notes)
    if all(p.curve.positive and not p.log for p in known):
        return _beside(reader, node, known)
    return None


def _beside(reader: Reader, node: Node, parts: list[Scores]) -> Scores | None:
    """Probabilities of one crop, or network, beside those of others."""
    first = parts[0]
    axis = first.axis if all(part.axis == first.axis for part in parts) else None
    apart = axis is not None and int(node.attribute("axis")) % len(first.columns.shape) != axis
    if apart and all(part.curve.shift is not None for part in parts):
        made = reader.mixture(node, normalised=False, sigmoid=True, note="Concat")
    else:
        normalised = apart and all(part.normalised for part in parts)
        made = reader.mixture(node, normalised=normalised, note="Concat")
    return made and replace(made, axis=axis if apart else None, notes=())


def _renamed(found: Reading, node: Node) -> Reading:
    if isinstance(found, Plain):
        return replace(found, tensor=node.outputs[0])
    return found
