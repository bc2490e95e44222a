"""Outputs that only name classes: TopK, ArgMax, what is looked up by them, comparisons with a limit."""

from dataclasses import dataclass

import numpy as np

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model

#: op → what it picks of the scores it reads
_PICKS = {
    "TopK": "TopK",
    "ArgMax": "ArgMax",
    "Hardmax": "Hardmax",
    "ReduceMax": "ReduceMax",
    "Round": "Round",
}
_COMPARES = frozenset({"Greater", "GreaterOrEqual", "Less", "LessOrEqual"})
#: passed on the way: they rename, retype or look up
_PASSED = frozenset(
    {"Identity", "Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Where", "Not", "Equal"}
    | {"ai.onnx.ml::LabelEncoder", "ai.onnx.ml::CategoryMapper", "OneHot"}
)
_LOOKS_UP = frozenset({"Gather", "GatherElements", "GatherND", "ai.onnx.ml::ArrayFeatureExtractor"})


@dataclass(frozen=True)
class Selection:
    """scores: the tensor that is picked from. what: in words."""

    scores: str
    what: str


def selected(model: Model, output: str) -> Selection | None:
    """What an output picks from if it holds the best classes or their scores only; None if it does not."""
    name = output
    while (node := model.producer.get(name)) is not None:
        inner = [n for n in node.inputs if n in model.activations]
        if node.kind in _PICKS and (node.kind != "ReduceMax" or _is_score_of_one(model, node)):
            return Selection(node.inputs[0], _words(model, node))
        if node.kind in _COMPARES and len(inner) == 1:
            limit = model.constant(next(n for n in node.inputs if n not in inner))
            sign = "above" if (node.kind[0] == "G") == (node.inputs[0] == inner[0]) else "below"
            bound = "" if limit is None or limit.size != 1 else f" {limit.item():.3g}"
            return Selection(inner[0], f"{sign}{bound}") if sign == "above" else None
        if node.kind in _LOOKS_UP:
            if node.inputs[1] not in inner:
                return None
            name = node.inputs[1]  # of the scores themselves, or of names, by what was picked
        elif node.kind in _PASSED and len(inner) == 1:
            name = inner[0]
        else:
            return None
    return None


def _is_score_of_one(model: Model, node: Node) -> bool:
    """Whether the largest of a sample's scores is all that is left."""
    shape = model.shapes.get(node.outputs[0])
    return shape is not None and all(size == 1 for size in shape[1:])


def _words(model: Model, node: Node) -> str:
    if node.kind != "TopK":
        return _PICKS[node.kind]
    count = model.constant(node.inputs[1]) if len(node.inputs) > 1 else np.array(node.attribute("k", 0))
    return "TopK" if count is None else f"TopK {int(np.reshape(count, -1)[0])}"
