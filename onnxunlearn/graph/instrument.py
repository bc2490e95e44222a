"""Expose inner tensors on an in-memory copy of the model. The original is never changed."""

from collections.abc import Iterable

import onnx

from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.view import Model

#: prefix of the outputs that hold a tensor's shape
SHAPE = "shape of "


def expose(
    model: Model, tensors: Iterable[str], *, shapes: Iterable[str] = (), fed: Iterable[str] = ()
) -> onnx.ModelProto:
    """A copy whose outputs are exactly `tensors`, and int64 `SHAPE + name` for each name in `shapes`, without
    the nodes that none of them needs: an engine may lack what only writes labels.

    fed: stored tensors (initializers or Constant nodes) that become inputs, so that a trial edit is a feed
    and not a new model.
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
    for name in dict.fromkeys(fed):
        _make_input(model, graph, name)
    _drop_unread(graph)
    return copy


def _drop_unread(graph: onnx.GraphProto) -> None:
    wanted, kept = {output.name for output in graph.output}, []
    for node in reversed(graph.node):
        if not any(output in wanted for output in node.output):
            continue
        kept.append(node)
        wanted.update(node.input)
        for body in messages(node, onnx.GraphProto):
            wanted.update(output.name for output in body.output)
        for inner in messages(node, onnx.NodeProto):
            wanted.update(inner.input)
    # Not all engines have text, and none needs text that nobody reads.
    texts = [t for t in graph.initializer if t.data_type == onnx.TensorProto.STRING and t.name not in wanted]
    for tensor in texts:
        graph.initializer.remove(tensor)
    if len(kept) < len(graph.node):
        nodes = [onnx.NodeProto.FromString(node.SerializeToString()) for node in reversed(kept)]
        del graph.node[:]
        graph.node.extend(nodes)


def _make_input(model: Model, graph: onnx.GraphProto, name: str) -> None:
    tensor = model.stored[name]
    if name in model.initializers:
        del graph.initializer[next(i for i, t in enumerate(graph.initializer) if t.name == name)]
    else:
        del graph.node[next(i for i, node in enumerate(graph.node) if name in node.output)]
    if all(i.name != name for i in graph.input):  # IR 3 lists initializers there
        graph.input.append(onnx.helper.make_tensor_value_info(name, tensor.data_type, list(tensor.dims)))
