"""A model with class scores at places as one with class scores: each class's, summed over where it is said.

Whose relevance then tells what speaks for a class wherever a model says it (for pictures: Vinogradova et al.,
"Towards interpretable semantic segmentation via gradient-weighted class activation mapping", AAAI 2020).
"""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.places.scores import PlaceScores
from onnxunlearn.graph.view import Model

#: the output: the sum of each class's scores at the places where it is said: where it is the largest, and
#: above one half if each decides for itself; [N, classes]
SUMMED = "class scores summed over their places"
#: opset from which on ReduceSum takes its axes as an input
_OPSET = 13


def summed_over_places(model: Model, found: PlaceScores) -> Model:
    """In memory; weights and names stay. model: in plain float ops (see `lowering`). Raises UnsupportedError
    for detectors, whose classes are said by more than scores, and for an opset that is too old."""
    if found.task == "detection":
        raise UnsupportedError(
            f"output {found.outputs[0]!r}: what speaks for a class in a detector's boxes is not covered"
        )
    if (opset := model.opsets.get("", 1)) < _OPSET:
        raise UnsupportedError(
            f"opset {opset}: class scores at places need {_OPSET} or newer; convert the model first "
            "(onnx.version_converter)"
        )
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph, scores, axis = proto.graph, found.scores[0], found.class_axis

    def constant(what: str, values: object, kind: type) -> str:
        name = f"{SUMMED} / {what}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, kind), name))
        return name

    def op(kind: str, *inputs: str, **attributes: Any) -> str:
        made = SUMMED if kind == "ReduceSum" else f"{SUMMED} / {kind}"
        graph.node.append(helper.make_node(kind, list(inputs), [made], name=made, **attributes))
        return made

    shape = [1] * (len(found.place_axes) + 2)
    shape[axis] = found.classes
    numbers = constant("classes", np.arange(found.classes).reshape(shape), np.int64)
    nothing = constant("nothing", 0, np.float32)
    axes = constant("axes", found.place_axes, np.int64)
    said = op("Equal", op("ArgMax", scores, axis=axis, keepdims=1), numbers)
    if found.independent:  # where each class decides for itself, often none is said
        said = op("And", said, op("Greater", scores, nothing))
    there = op("Where", said, scores, nothing)
    op("ReduceSum", there, axes, keepdims=0)
    del graph.output[:]
    size = "batch" if model.batch_size is None else model.batch_size
    graph.output.append(helper.make_tensor_value_info(SUMMED, onnx.TensorProto.FLOAT, [size, found.classes]))
    return Model(b"", proto, model.path, model.lent, model.origin or model, model.encodings)
