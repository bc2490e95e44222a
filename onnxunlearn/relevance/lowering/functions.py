"""Bodies in place of what stands for them.

    y = f(x), f local to the model       becomes      the nodes of f on x, the last one making y
    y = If(c; then, else), c constant    becomes      the nodes of the branch that c chooses

A condition counts as constant too if it depends only on sizes that are fixed (an exporter's "squeeze if the
size is 1"). If with a computed condition, Loop and Scan are left alone.
"""

import logging
from collections.abc import Mapping

import numpy as np
import onnx

from onnxunlearn.graph import Model, Node
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.model import evaluate
from onnxunlearn.relevance.lowering.draft import in_memory, with_nodes

log = logging.getLogger(__name__)

#: a size that is not fixed
_FREE = -1
#: these pick sizes, so that a free one among the others does not matter
_PICKS = frozenset({"Gather", "Slice", "Squeeze", "Unsqueeze", "Reshape", "Identity", "Concat"})


def inline(model: Model) -> Model:
    """The model without local functions and decided Ifs; the model itself if it has none.

    Ensures: outputs of the replaced nodes keep their names. A function whose opset cannot be converted to
    the model's is left alone.
    """
    model = _without_functions(model)
    while (simpler := _without_decided_ifs(model)) is not model:  # a branch may hold further ones
        model = simpler
    return model


def _without_functions(model: Model) -> Model:
    if not model.proto.functions:
        return model
    from onnx.inliner import inline_local_functions

    try:
        proto = inline_local_functions(model.proto, convert_version=True)
    except Exception as error:  # the inliner's and the version converter's errors share no base class
        log.warning("functions of the model cannot be inlined (%s)", error)
        return model
    return in_memory(model, proto)


def _without_decided_ifs(model: Model) -> Model:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    decided = False
    for node in model.nodes:
        condition = _static(model, node.inputs[0]) if node.kind == "If" else None
        if condition is None:
            nodes.append(node.proto)
            continue
        decided = True
        branch = node.attribute("then_branch" if condition.item() else "else_branch")
        body = _renamed(branch, node)
        nodes += body.node
        constants += body.initializer
    return with_nodes(model, nodes, constants) if decided else model


def _renamed(branch: onnx.GraphProto, node: Node) -> onnx.GraphProto:
    """The branch with names of its own, its results under the names of the If's outputs."""
    body = onnx.GraphProto()
    body.CopyFrom(branch)
    made = [*(o for inner in messages(body, onnx.NodeProto) for o in inner.output if o)]
    made += [tensor.name for tensor in body.initializer]
    names: Mapping[str, str] = {name: f"{node.outputs[0]} / {name}" for name in made}
    for inner in messages(body, onnx.NodeProto):
        for field in (inner.input, inner.output):
            for i, name in enumerate(field):
                field[i] = names.get(name, name)
    for graph in messages(body, onnx.GraphProto):
        for info in graph.output:
            info.name = names.get(info.name, info.name)
    for tensor in body.initializer:
        tensor.name = names[tensor.name]
    for result, output in zip(body.output, node.outputs, strict=True):
        source = names.get(result.name, result.name)  # may come from outside the branch
        body.node.append(onnx.helper.make_node("Identity", [source], [output], name=output))
    return body


def _static(model: Model, name: str) -> np.ndarray | None:
    """Value of a tensor that depends on constants and fixed sizes only; None if it does not."""
    value = _sizes(model, name)
    return None if value is None or (value.dtype.kind == "i" and (value == _FREE).any()) else value


def _sizes(model: Model, name: str) -> np.ndarray | None:
    """Like `_static`, with _FREE where a size is not fixed."""
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
    operands = [_sizes(model, n) if node.kind in _PICKS else _static(model, n) for n in node.inputs if n]
    if not operands or len(operands) != len(node.inputs) or any(v is None for v in operands):
        return None
    return evaluate(node, operands)[0]
