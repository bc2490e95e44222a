"""What a model stores in the bodies of its local functions."""

import onnx

from onnxunlearn.graph.messages import located
from onnxunlearn.graph.wire import FieldPath

# Field numbers of onnx.proto: a model's functions, a node's attributes, an attribute's tensor
_FUNCTIONS, _ATTRIBUTE, _TENSOR = 25, 5, 5


def constants_of(proto: onnx.ModelProto) -> dict[str, tuple[FieldPath, onnx.TensorProto]]:
    """The tensors of Constant nodes in functions, and where they lie in the protobuf.

    By a name that says function, number and output; numbers count all such nodes of the model.
    """
    found: dict[str, tuple[FieldPath, onnx.TensorProto]] = {}
    for path, node in located(proto, onnx.NodeProto) if proto.functions else ():
        if path[0][0] == _FUNCTIONS and node.op_type == "Constant":
            function = proto.functions[path[0][1]]
            for index, attribute in enumerate(node.attribute):
                if attribute.name == "value" and node.output:
                    name = f"{function.domain}::{function.name} / {len(found)} / {node.output[0]}"
                    found[name] = ((*path, (_ATTRIBUTE, index), (_TENSOR, 0)), attribute.t)
    return found
