"""Softmax and LogSoftmax as exporters write them without the op.

e / Σe, e · 1/Σe      with e = exp(z) or exp(z − max z)
z − log Σe            also as ReduceLogSumExp, also of z − max z
"""

from onnxunlearn.graph.node import Node
from onnxunlearn.graph.view import Model


def decomposed(model: Model, last: Node) -> tuple[str, str] | None:
    """(Softmax or LogSoftmax, name of z) if it ends in this node; None if it does not."""
    if len(last.inputs) != 2:
        return None
    left, right = (model.producer.get(name) for name in last.inputs)
    for e, total in ((left, right), (right, left)):
        if e is None or e.kind != "Exp" or total is None:
            continue
        summed = total
        if last.kind == "Mul":
            inverse = model.producer.get(total.inputs[0]) if total.kind == "Reciprocal" else None
            if inverse is None:
                continue
            summed = inverse
        elif last.kind != "Div" or e is not left:
            continue
        if summed.kind == "ReduceSum" and summed.inputs[0] == e.outputs[0]:
            return "Softmax", _unshifted(model, e.inputs[0])
    if last.kind == "Sub" and right is not None and _is_log_sum(model, right, last.inputs[0]):
        return "LogSoftmax", _unshifted(model, last.inputs[0])
    return None


def _is_log_sum(model: Model, node: Node, z: str) -> bool:
    if node.kind == "ReduceLogSumExp":
        return node.inputs[0] == z
    total = model.producer.get(node.inputs[0]) if node.kind == "Log" else None
    e = model.producer.get(total.inputs[0]) if total is not None and total.kind == "ReduceSum" else None
    return e is not None and e.kind == "Exp" and e.inputs[0] == z


def _unshifted(model: Model, name: str) -> str:
    """z of z − max z."""
    node = model.producer.get(name)
    if node is not None and node.kind == "Sub":
        top = model.producer.get(node.inputs[1])
        if top is not None and top.kind == "ReduceMax" and top.inputs[0] == node.inputs[0]:
            return node.inputs[0]
    return name
