"""A model that takes its inputs in another float type than it declares: half precision beside single."""

from collections.abc import Mapping

import onnx

from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import FLOATS
from onnxunlearn.graph.view import Model


def declared_types(model: Model) -> dict[str, int]:
    """The element type of each input, as ONNX numbers them; 0 where none is declared."""
    return {i.name: int(i.type.tensor_type.elem_type) for i in model.inputs}


def float_inputs(model: Model, like: Model) -> dict[str, tuple[int, int]]:
    """The inputs that both have as floats of different types: (this one's, the other's), as ONNX numbers."""
    own, other = declared_types(model), declared_types(like)
    return {
        name: (kind, other[name])
        for name, kind in own.items()
        if kind in FLOATS and other.get(name) in FLOATS and other[name] != kind
    }


def with_float_inputs(model: Model, types: Mapping[str, tuple[int, int]]) -> Model:
    """The model with a Cast behind each of these inputs, which then takes the second type; the file that it
    stands for stays the same."""
    if not types:
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    taken = {name for node in messages(proto.graph, onnx.NodeProto) for name in (*node.input, *node.output)}
    for info in proto.graph.input:
        if info.name not in types:
            continue
        own, wanted = types[info.name]
        info.type.tensor_type.elem_type = wanted
        inner = f"{info.name} cast"
        while inner in taken:
            inner += "_"
        for node in messages(proto.graph, onnx.NodeProto):
            for i, name in enumerate(node.input):
                if name == info.name:
                    node.input[i] = inner
        proto.graph.node.insert(0, onnx.helper.make_node("Cast", [info.name], [inner], to=own))
    return Model(model.content, proto, model.path, lent=model.lent)
