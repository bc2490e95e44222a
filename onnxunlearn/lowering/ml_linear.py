"""Linear models as scikit-learn's exporters write them (domain ai.onnx.ml), as the layer that they are.

LinearClassifier  Gemm, what is done to the scores, and the label of the largest
LinearRegressor   Gemm

Their weights lie in attributes, see `graph.attribute_weights`: the layer's keep these names, so that an edit
of the layer is one of the attributes.
"""

import numpy as np
import onnx

from onnxunlearn.graph import weight_name
from onnxunlearn.lowering.draft import Draft, Lowering

_FLOAT = onnx.TensorProto.FLOAT
#: what is done to scores -> the op that does it
_TRANSFORMS = {"NONE": "", "SOFTMAX": "Softmax", "LOGISTIC": "Sigmoid"}


def linear_classifier(draft: Draft) -> None:
    """`multi_class` says how it was trained, and is not looked at."""
    node = draft.node
    transform = str(node.attribute("post_transform", "NONE"))
    draft.require(transform in _TRANSFORMS, f"post_transform {transform}")
    draft.require(len(node.outputs) > 1 and node.outputs[1], "no scores")
    strings = node.attribute("classlabels_strings", [])
    labels = strings or node.attribute("classlabels_ints", [])
    op, to = _TRANSFORMS[transform], node.outputs[1]
    scores = _layer(draft, len(labels), to="" if op else to)
    if op:
        draft.op(op, scores, to=to, **({"axis": 1} if op == "Softmax" else {}))
    if draft.used(0):
        names = draft.constant(list(labels), object if strings else np.int64)
        draft.op("Gather", names, draft.op("ArgMax", scores, axis=1, keepdims=0), to=node.outputs[0], axis=0)


def linear_regressor(draft: Draft) -> None:
    transform = str(draft.node.attribute("post_transform", "NONE"))
    draft.require(transform == "NONE", f"post_transform {transform}")
    _layer(draft, int(draft.node.attribute("targets", 1)), to=draft.node.outputs[0])


def _layer(draft: Draft, rows: int, to: str) -> str:
    """The scores before anything is done to them, [N, rows]."""
    draft.require(draft.opset >= 7 and draft.rank(0) in {2, None}, "an old opset, or a single sample")
    weights, bias = (draft.stored(weight_name(draft.node.proto, n)) for n in ("coefficients", "intercepts"))
    held = draft.model.stored[weights].dims[0] if weights else 0
    draft.require(held == rows, f"coefficients of {held} classes where there are {rows} labels")
    kind = draft.model.element_types.get(draft.input(0))
    x = draft.input(0) if kind == _FLOAT else draft.cast(draft.input(0), _FLOAT)
    return draft.op("Gemm", x, weights, bias or draft.constant(np.zeros(rows)), to=to, transB=1)


LINEAR: dict[str, Lowering] = {"LinearClassifier": linear_classifier, "LinearRegressor": linear_regressor}
