"""Bodies in place of what stands for them.

    y = f(x), f local to the model       becomes      the nodes of f on x, the last one making y
    y = If(c; then, else), c constant    becomes      the nodes of the branch that c chooses

A condition counts as constant too if it depends only on sizes that are fixed (an exporter's "squeeze if the
size is 1"). If with a computed condition, Loop and Scan are left alone.
"""

import logging
from collections.abc import Container, Mapping

import numpy as np
import onnx

from onnxunlearn.errors import blamed_on
from onnxunlearn.graph import Model, Node
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.model import fold
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
    sizes: dict[str, np.ndarray | None] = {}
    for node in model.nodes:
        condition = _static(model, node.inputs[0], sizes) if node.kind == "If" else None
        if condition is None:
            nodes.append(node.proto)
            continue
        decided = True
        with blamed_on(node):
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


def _static(model: Model, name: str, sizes: dict[str, np.ndarray | None]) -> np.ndarray | None:
    """Value of a tensor that depends on constants and fixed sizes only; None if it does not.

    sizes: what is known of tensors with _FREE where a size is not fixed; filled on the way.
    """
    for part in _behind(model, name, sizes):
        sizes[part] = _size(model, part, sizes)
    return _fixed(sizes[name])


def _fixed(value: np.ndarray | None) -> np.ndarray | None:
    return None if value is None or (value.dtype.kind == "i" and (value == _FREE).any()) else value


def _behind(model: Model, name: str, known: Container[str]) -> list[str]:
    """`name` and what it is computed from, sources first, without what is known or a constant."""
    found: dict[str, int] = {}
    waiting = [name]
    while waiting:  # no recursion: chains may be long
        part = waiting.pop()
        if part in found or part in known:
            continue
        node = model.producer.get(part)
        found[part] = -1 if node is None else node.index
        if node is not None and node.kind != "Shape" and part in model.activations:
            waiting += filter(None, node.inputs)
    return sorted(found, key=lambda part: found[part])


def _size(model: Model, name: str, sizes: Mapping[str, np.ndarray | None]) -> np.ndarray | None:
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
    read = [sizes.get(n) for n in node.inputs if n]
    operands = read if node.kind in _PICKS else [_fixed(value) for value in read]
    if not operands or len(operands) != len(node.inputs) or any(v is None for v in operands):
        return None
    try:
        return fold(node, operands)[0]
    except Exception:  # as in Model.constant: what cannot be run is not known
        return None
