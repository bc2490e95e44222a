"""What onnx's shape inference, written in C++, must not be shown.

LabelEncoder (domain ai.onnx.ml) looks at the type of its input without asking whether there is one, and
takes the process down where there is none: behind an op that nothing is inferred for, a Scaler or a custom
one (seen in onnx 1.23.2).
"""

import onnx

from onnxunlearn.graph.messages import messages

_UNSAFE = frozenset({("ai.onnx.ml", "LabelEncoder")})


def inferable(proto: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without such nodes, of whose outputs nothing is then inferred; the model itself if it has
    none."""
    if not any(_is_unsafe(node) for node in messages(proto, onnx.NodeProto)):
        return proto
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    lists = [graph.node for graph in messages(copy, onnx.GraphProto)]
    for nodes in (*lists, *(function.node for function in messages(copy, onnx.FunctionProto))):
        for node in [node for node in nodes if _is_unsafe(node)]:
            nodes.remove(node)
    return copy


def _is_unsafe(node: onnx.NodeProto) -> bool:
    return (node.domain, node.op_type) in _UNSAFE
