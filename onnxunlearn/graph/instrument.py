"""Expose inner tensors on an in-memory copy of the model. The original is never changed."""

from collections.abc import Iterable

import onnx

from onnxunlearn.graph.model import Model

#: prefix of the outputs that hold a tensor's shape
SHAPE = "shape of "


def expose(
    model: Model,
    tensors: Iterable[str],
    *,
    shapes: Iterable[str] = (),
    overridable: Iterable[str] = (),
) -> onnx.ModelProto:
    """A copy whose outputs are exactly `tensors`, and int64 `SHAPE + name` for each name in `shapes`.

    overridable: stored tensors (initializers or Constant nodes) that may then be fed like inputs, so
    that a trial edit is a feed and not a new model.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model.proto)
    graph = copy.graph
    del graph.output[:]
    # No type is needed: runtimes infer it.
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(tensors))
    for name in dict.fromkeys(shapes):
        graph.node.append(onnx.helper.make_node("Shape", [name], [SHAPE + name], name=SHAPE + name))
        graph.output.append(onnx.ValueInfoProto(name=SHAPE + name))
    fed = list(dict.fromkeys(overridable))
    if (
        fed and copy.ir_version < 4
    ):  # before IR 4 every initializer was listed as an input, and none could be fed
        copy.ir_version = 4
        constant = [i for i in graph.input if i.name in model.initializers and i.name not in fed]
        for info in constant:
            graph.input.remove(info)
    for name in fed:
        _make_input(model, graph, name)
    return copy


def _make_input(model: Model, graph: onnx.GraphProto, name: str) -> None:
    tensor = model.stored[name]
    if name not in model.initializers:  # a Constant node: an initializer of the same name takes its place
        index = next(i for i, node in enumerate(graph.node) if name in node.output)
        del graph.node[index]
        moved = graph.initializer.add()
        moved.CopyFrom(tensor)
        moved.name = name
    if all(i.name != name for i in graph.input):
        graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
