"""What is known of a tensor before the model runs, from constants and fixed sizes."""

import numpy as np

from onnxunlearn.graph import Model
from onnxunlearn.graph.model import evaluate

#: a size that is not fixed
_FREE = -1
#: these pick sizes, so that a free one among the others does not matter
_PICKS = frozenset({"Gather", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Identity", "Concat"})


def static(model: Model, name: str) -> np.ndarray | None:
    """Value of a tensor that depends on constants and fixed sizes only; None if it does not."""
    value = _sizes(model, name)
    return None if value is None or (value.dtype.kind == "i" and (value == _FREE).any()) else value


def _sizes(model: Model, name: str) -> np.ndarray | None:
    """Like `static`, with _FREE where a size is not fixed."""
    if (known := model.constant(name)) is not None:
        return known
    node = model.producer.get(name)
    if node is None or node.domain or node.captured or len(node.outputs) > 1:
        return None
    if node.kind == "Shape":
        shape = model.shapes.get(node.inputs[0])
        if shape is None:
            return None
        bounds = slice(node.attribute("start", 0), node.attribute("end"))
        return np.array([_FREE if size is None else size for size in shape], np.int64)[bounds]
    operands = [_sizes(model, n) if node.kind in _PICKS else static(model, n) for n in node.inputs if n]
    if not operands or len(operands) != len(node.inputs) or any(v is None for v in operands):
        return None
    return evaluate(node, operands)[0]
