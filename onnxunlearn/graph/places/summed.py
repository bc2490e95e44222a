"""A model with class scores at places as one with class scores: each class's, summed over where it is said.

Whose relevance then tells what speaks for a class wherever a model says it (for pictures: Vinogradova et al.,
"Towards interpretable semantic segmentation via gradient-weighted class activation mapping", AAAI 2020).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.places.scores import Columns, PlaceScores
from onnxunlearn.graph.view import Model

#: the output: the sum of each class's scores at the places where it is said: where it is the largest, and
#: above a least if each decides for itself; [N, classes], of a detector without the background. The
#: name of whatever is added starts with it
SUMMED = "class scores summed over their places"
#: opset that has Where, and the one from which on ReduceSum takes its axes as an input
_OPSET, _AXES_INPUT = 9, 13


def summed_over_places(model: Model, found: PlaceScores, least: float = 0.0) -> Model:
    """In memory; weights and names stay. Of a detector the sum is over all heads and anchors.

    model: in plain float ops (see `lowering`). least: the score, before the normaliser, that a class which
    decides for itself must have to be said, and what says that there is something (objectness). Raises
    UnsupportedError for an opset that is too old, and for a detector of one class.
    """
    if (opset := model.opsets.get("", 1)) < _OPSET:
        raise UnsupportedError(
            f"opset {opset}: class scores at places need {_OPSET} or newer; export the model anew"
        )
    if len(found.objects if found.task == "detection" else range(found.classes)) < 2:
        raise UnsupportedError(
            f"output {found.outputs[0]!r}: relevance of a detector of one class is not covered"
        )
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = _Graph(proto.graph)
    axis = found.class_axis
    shape = [1] * (len(found.place_axes) + 2)
    shape[axis] = found.classes
    numbers = graph.constant(np.arange(found.classes).reshape(shape), np.int64)
    nothing, enough = graph.constant(0, np.float32), graph.constant(least, np.float32)

    def summed(scores: str) -> str:
        if opset < _AXES_INPUT:
            return graph.op("ReduceSum", scores, axes=list(found.place_axes), keepdims=0)
        return graph.op("ReduceSum", scores, graph.constant(found.place_axes, np.int64), keepdims=0)

    def taken(tensor: str, columns: Sequence[int] | None) -> str:
        return graph.op("Gather", tensor, graph.constant(columns, np.int64), axis=axis) if columns else tensor

    sums = []
    for head, tensor in enumerate(found.scores):
        for way, columns in enumerate(found.ways(head)):
            scores = taken(tensor, columns)
            said = graph.op("Equal", graph.op("ArgMax", scores, axis=axis, keepdims=1), numbers)
            if found.independent:  # often none is said
                said = graph.op("And", said, graph.op("Greater", scores, enough))
            for part in _at_head(found, head):
                own = (part.columns or (0,))[way : way + 1]
                said = graph.op("And", said, graph.op("Greater", taken(part.tensor, own), enough))
            sums.append(summed(graph.op("Where", said, scores, nothing)))
    total = sums[0]
    for other in sums[1:]:
        total = graph.op("Add", total, other)
    classes = found.classes
    if found.task == "detection" and found.background is not None:
        total = graph.op("Gather", total, graph.constant(found.objects, np.int64), axis=1)
        classes = len(found.objects)
    proto.graph.node[-1].output[0] = SUMMED
    del proto.graph.output[:]
    size = "batch" if model.batch_size is None else model.batch_size
    proto.graph.output.append(helper.make_tensor_value_info(SUMMED, onnx.TensorProto.FLOAT, [size, classes]))
    return Model(FileBytes(), proto, model.path, model.lent, model.origin or model, model.encodings)


def _at_head(found: PlaceScores, head: int) -> Sequence[Columns]:
    """What says at the same places that there is something, where that is said."""
    return found.objectness[head : head + 1] if len(found.objectness) == len(found.scores) else ()


@dataclass(frozen=True, eq=False)
class _Graph:
    """One to which nodes are added."""

    graph: onnx.GraphProto

    def constant(self, values: object, kind: type) -> str:
        name = f"{SUMMED} / number {len(self.graph.initializer)}"
        self.graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        made = f"{SUMMED} / {kind} {len(self.graph.node)}"
        self.graph.node.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made
