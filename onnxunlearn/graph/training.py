"""Nodes that were exported in training mode: what a model says then hangs on the batch, or on chance.

BatchNormalization  takes mean and variance of the batch: training_mode=1; before opset 14 where it has more
                    than one output, before opset 7 unless is_test=1
Dropout             drops at random: training_mode given and true; before opset 7 unless is_test=1
RandomNormal, RandomUniform, their -Like, Bernoulli, Multinomial    whatever the mode; a seed only fixes the
                    first run of a session

InstanceNormalization and its like take their statistics from each sample by itself.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import numpy_helper

from onnxunlearn.errors import UnsupportedError
from onnxunlearn.graph.logits import Logits
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.node import STANDARD, Node
from onnxunlearn.graph.view import Model

_BY_CHANCE = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli", "Multinomial"}
)
#: op -> numbers of the inputs that hold the ratio, and whether to train
_DROPOUTS = {
    "Dropout": (1, 2),
    "com.microsoft::BiasDropout": (3, 4),
    "com.microsoft::BitmaskDropout": (1, 2),
    "com.microsoft::BitmaskBiasDropout": (3, 4),
}
_REMEDY = "export the model in eval mode"
_DEPENDS = "so what it says of a sample depends on the rest of the batch"
_VARIES = "so what it says of a sample differs from run to run"


def check_inference(model: Model, logits: Logits) -> None:
    """Raises UnsupportedError, naming the node, if the scores hang on the batch or on chance.

    Requires: a lowered model, as functions hide what is in them.
    """
    for line in in_training(model, logits):
        raise UnsupportedError(line)


def in_training(model: Model, logits: Logits) -> list[str]:
    """A line for each node behind the scores that makes them hang on the batch or on chance."""
    lines = []
    wanted = {logits.output, logits.scores, logits.tensor}
    for node in reversed(model.nodes):
        if not any(output in wanted for output in node.outputs):
            continue
        if node.kind in {"Shape", "Size"}:  # no values pass
            continue
        wanted.update((*node.inputs, *node.captured))
        for why in filter(None, (_why(model, inner) for inner in _within(model, node))):
            lines.append(f"{node} {why}; {_REMEDY}")
    return lines[::-1]


def _within(model: Model, node: Node) -> Iterator[Node]:
    """The node, and those in its bodies (of If, Loop and Scan), or of the function that it calls: of one that
    could not be inlined."""
    yield node
    for proto in messages(node.proto, onnx.NodeProto):
        yield Node(node.index, proto, node.opset)
    for function in model.proto.functions:
        if (function.domain, function.name) == (node.proto.domain, node.op):
            opset = next((o.version for o in function.opset_import if o.domain in STANDARD), node.opset)
            for proto in messages(function, onnx.NodeProto):
                yield Node(node.index, proto, opset)


def _why(model: Model, node: Node) -> str | None:
    """What makes the scores unsteady; None if it does not."""
    if node.kind in _BY_CHANCE:
        return f"draws at random, {_VARIES}"
    if node.kind == "BatchNormalization" and _trains(node) and not _is_constant(model, node.inputs[0]):
        return f"takes mean and variance of the batch (training mode), {_DEPENDS}"
    if node.kind in _DROPOUTS and _drops(model, node):
        return f"drops values at random (training mode), {_VARIES}"
    return None


def _is_constant(model: Model, name: str) -> bool:
    """Weights may be standardised so while the model runs, as BiT does."""
    return name not in model.activations and (name in model.producer or name in model.stored)


def _trains(node: Node) -> bool:
    if node.opset >= 14:
        return bool(node.attribute("training_mode", 0))
    if node.opset >= 7:
        return len([output for output in node.outputs if output]) > 1
    return not node.attribute("is_test", 0)


def _drops(model: Model, node: Node) -> bool:
    if node.kind == "Dropout" and node.opset < 12:  # from opset 7 on never
        return node.opset < 7 and not node.attribute("is_test", 0) and node.attribute("ratio", 0.5) > 0
    ratio_at, training_at = _DROPOUTS[node.kind]
    training, ratio = _value(model, node, training_at), _value(model, node, ratio_at)
    return training is not None and bool(training.any()) and (ratio is None or bool((ratio > 0).any()))


def _value(model: Model, node: Node, index: int) -> np.ndarray | None:
    """The constant that is the node's input, also in a body; None if it is computed, or not given."""
    name = node.inputs[index] if len(node.inputs) > index else ""
    if not name:
        return None
    if (known := model.constant(name)) is not None:
        return known
    for inner in messages(model.proto, onnx.NodeProto):
        if inner.op_type == "Constant" and name in inner.output:
            for attribute in inner.attribute:
                if attribute.name == "value":
                    return np.asarray(numpy_helper.to_array(attribute.t))
    return None
