"""What is made of all classes of a sample at once: a maximum, a sum, a length; means of several scores."""

from dataclasses import replace

import numpy as np

from onnxunlearn.graph.ending.arithmetic import divided
from onnxunlearn.graph.ending.columns import Base
from onnxunlearn.graph.ending.reader import Reader, reading
from onnxunlearn.graph.ending.readings import Embedding, Plain, Reading, Row, Scores, Square
from onnxunlearn.graph.node import Node


@reading("ReduceMax", "ReduceMin", "ReduceSum", "ReduceMean", "ReduceProd")
@reading("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare", "ReduceL1", "ReduceL2")
def reduction(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    if isinstance(found, Row):
        return found
    axes, shape = _axes(reader, node), _shape(reader, node.inputs[0], found)
    if not _leaves_one(axes, shape):
        return _mean(reader, node, found, axes)
    if isinstance(found, Scores) and found.is_positive_log:
        found = Plain(node.inputs[0], node.inputs[0], positive=True)
    return _of_all(node, found)


@reading("LpNormalization", "ai.onnx.ml::Normalizer")
def lp_normalization(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    shape = _shape(reader, node.inputs[0], found)
    if node.domain:
        power, axis = {"L1": 1, "L2": 2}.get(node.attribute("norm", "MAX")), 1
    else:
        power, axis = int(node.attribute("p", 2)), int(node.attribute("axis", -1))
    if power is None or (shape is not None and not _leaves_one([axis], shape)):
        return None
    if isinstance(found, Plain):
        if found.positive and power == 1:
            return divided(reader, node, found, Row(sums=frozenset({Base(found.same, "log")})))
        # By the sum of |x| classifiers divide their scores, too, and no sign of these need be known.
        return Embedding(found.same, str(node)) if power == 2 else None
    if isinstance(found, Scores) and power == 1 and not found.log and found.pure:
        return replace(found, rows=found.rows | {node.outputs[0]}, normalised=True)
    return None


@reading("GlobalAveragePool", "GlobalMaxPool", "AveragePool", "MaxPool")
def pool(reader: Reader, node: Node) -> Reading | None:
    found = reader.read(node.inputs[0])
    shape = _shape(reader, node.inputs[0], found)
    return None if shape is None else _mean(reader, node, found, list(range(2, len(shape))))


_SUMS = frozenset({"ReduceSum", "ReduceMean", "ReduceL1"})
_LOGS = frozenset({"ReduceLogSum", "ReduceLogSumExp"})
_NORMS = frozenset({"ReduceL2", "ReduceSumSquare"})


def _of_all(node: Node, found: Reading) -> Row | None:
    """Of what a sample has in all."""
    logs, sums = node.kind in _LOGS, node.kind in _SUMS
    if isinstance(found, Square):
        return Row(positive=True, norms=frozenset({found.of}))
    if isinstance(found, Plain):
        if node.kind == "ReduceLogSumExp":
            return Row(logs=frozenset({Base(found.same)}))
        own = frozenset({Base(found.same, "log")}) if found.positive else frozenset()
        norms = frozenset({found.same}) if node.kind in _NORMS else frozenset()
        positive = node.kind in _NORMS or node.kind == "ReduceL1" or (found.positive and not logs)
        return Row(positive, own if sums else frozenset(), own if logs else frozenset(), norms)
    if not isinstance(found, Scores):
        return None
    bases = found.bases if found.pure and found.log == (node.kind == "ReduceLogSumExp") else frozenset()
    positive = not found.log and found.curve.positive and not logs
    return Row(positive, bases if sums else frozenset(), bases if logs else frozenset())


def _mean(reader: Reader, node: Node, found: Reading, axes: list[int] | None) -> Scores | None:
    """Of the probabilities of several crops or places, the mean, the sum or the largest."""
    if not isinstance(found, Scores) or found.log or found.axis is None or not axes:
        return None
    rank = len(found.columns.shape)
    reduced = [axis % rank for axis in axes]
    samples = 0 in reduced and found.columns.shape[0] == (reader.model.batch_size or 1)
    if found.axis in reduced or samples:
        return None
    averages = node.kind in {"ReduceMean", "GlobalAveragePool", "AveragePool"}
    if averages and found.curve.shift is not None:
        return reader.mixture(node, normalised=False, sigmoid=True, note=node.kind)
    if not found.curve.positive or not found.pure:
        return None
    adds_up = averages or node.kind == "ReduceSum"
    return reader.mixture(node, normalised=adds_up and found.normalised, note=node.kind)


def _shape(reader: Reader, name: str, found: Reading) -> tuple[int, ...] | None:
    return found.columns.shape if isinstance(found, Scores) else reader.shape(name)


def _axes(reader: Reader, node: Node) -> list[int] | None:
    """The axes that are reduced, as written; None for all."""
    given = node.attribute("axes")
    if given is None and len(node.inputs) > 1 and node.inputs[1]:
        given = reader.model.constant(node.inputs[1])
        if given is None:
            return []
    if given is None or not np.size(given):
        return [] if node.attribute("noop_with_empty_axes", 0) else None
    return [int(axis) for axis in np.reshape(given, -1)]


def _leaves_one(axes: list[int] | None, shape: tuple[int, ...] | None) -> bool:
    """Whether one number a sample is left. Of a tensor of unknown shape it is taken for [N, classes]."""
    if axes is None:
        return False
    if shape is None:
        return axes in ([1], [-1])
    reduced = {axis % len(shape) for axis in axes if -len(shape) <= axis < len(shape)}
    kept = [size for axis, size in enumerate(shape[1:], 1) if axis not in reduced]
    return 0 not in reduced and all(size == 1 for size in kept) and bool(reduced)
