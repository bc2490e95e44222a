"""Softmax, Sigmoid and the functions that they are taken apart into."""

from dataclasses import replace

from onnxunlearn.graph.ending.curves import EXP, ONE_PLUS_EXP, SIGMOID, TANH, Curve
from onnxunlearn.graph.ending.reader import Reader, reading
from onnxunlearn.graph.ending.readings import Reading, Row, Scores
from onnxunlearn.graph.node import Node


@reading("Softmax", "LogSoftmax", "com.microsoft::QLinearSoftmax")
def softmax(reader: Reader, node: Node) -> Reading | None:
    name = node.inputs[0]
    found = reader.scores(name)
    if found is None or not found.linear:
        found = reader.fresh(name)
    axis = None if found is None else class_axis(node, found.columns.shape)
    if found is None or axis is None:
        return None
    rows = frozenset({node.outputs[0]})
    return Scores(found.columns, EXP, node.kind == "LogSoftmax", rows, normalised=True, axis=axis)


def class_axis(node: Node, shape: tuple[int, ...]) -> int | None:
    """The axis that it is taken over; None where that is not all numbers of a sample, or one of its axes."""
    rank, flattens = len(shape), node.opset < 13 and not node.domain  # all axes from that one on are one
    axis = int(node.attribute("axis", 1 if flattens else -1))
    axis += rank if axis < 0 else 0
    if not 0 < axis < rank:
        return None
    if not flattens:
        return axis if shape[axis] > 1 else None
    wide = [i for i in range(axis, rank) if shape[i] > 1]
    return wide[0] if len(wide) == 1 and all(size == 1 for size in shape[1:axis]) else None


@reading("Sigmoid", "com.microsoft::QLinearSigmoid")
def sigmoid(reader: Reader, node: Node) -> Reading | None:
    return _of_own_argument(reader, node.inputs[0], SIGMOID)


@reading("HardSigmoid")
def hard_sigmoid(reader: Reader, node: Node) -> Reading | None:
    """As decisive as Sigmoid where it passes ½ at 0, as it does by default."""
    found = _of_own_argument(reader, node.inputs[0], SIGMOID)
    return found.noted("HardSigmoid") if found and node.attribute("beta", 0.5) == 0.5 else None


@reading("Tanh")
def tanh(reader: Reader, node: Node) -> Reading | None:
    found = _of_own_argument(reader, node.inputs[0], TANH)
    return None if found is None else replace(found, columns=found.columns.scaled(2))


@reading("Softplus")
def softplus(reader: Reader, node: Node) -> Reading | None:
    found = _of_own_argument(reader, node.inputs[0], ONE_PLUS_EXP)
    return None if found is None else replace(found, log=True)


def _of_own_argument(reader: Reader, name: str, curve: Curve) -> Scores | None:
    """A function of a tensor; what a sample adds to its scores as a whole counts there, and is left in."""
    found = reader.scores(name)
    if found is None or not found.linear or found.rows:
        found = reader.fresh(name)
    return None if found is None else replace(found, curve=curve, log=False)


@reading("Exp")
def exp(reader: Reader, node: Node) -> Reading | None:
    name = node.inputs[0]
    found = reader.read(name)
    if isinstance(found, Row):
        return replace(found, positive=True, sums=found.logs, logs=frozenset())
    scores = found if isinstance(found, Scores) and found.log else reader.fresh(name)
    return None if scores is None else replace(scores, log=False)


@reading("Log")
def log(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    if isinstance(found, Row):
        return replace(found, positive=False, sums=frozenset(), logs=found.sums)
    if isinstance(found, Scores) and not found.log and found.curve.positive:
        return replace(found, log=True)
    return None
