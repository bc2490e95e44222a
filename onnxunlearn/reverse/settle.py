"""Ifs, Loops and Scans that hang on sizes which only a batch tells, taken apart for that batch."""

import onnx
from onnx import numpy_helper

from onnxunlearn.engines import Engine
from onnxunlearn.engines.batching import Feeds
from onnxunlearn.graph import SHAPE, Model, Node, expose
from onnxunlearn.graph.flow import shape_arithmetic
from onnxunlearn.lowering import lower
from onnxunlearn.lowering.bodies import OPEN
from onnxunlearn.lowering.draft import in_memory, with_nodes


def settle(model: Model, feeds: Feeds, engine: Engine) -> Model:
    """The model as it runs on feeds of these shapes; the model itself if nothing in it depends on them.

    Requires: a lowered model. What depends on the values of the feeds is left alone.
    """
    while left := [node for node in model.nodes if node.kind in OPEN]:
        by_shape = shape_arithmetic(model)
        values = [name for node in left for name in _deciding(node) if name in by_shape]
        scanned = [name for node in left if node.kind == "Scan" for name in _unsized(model, node)]
        # Only what needs none of the others: engines need not know these ops.
        leading = {name: _leading(model, name) for name in (*values, *scanned)}
        ready = {name for name, nodes in leading.items() if not any(n.kind in OPEN for n in nodes)}
        if not ready:
            break
        needed = {node.index for name in ready for node in leading[name]}
        before = with_nodes(model, [node.proto for node in model.nodes if node.index in needed])
        values, scanned = [n for n in values if n in ready], [n for n in scanned if n in ready]
        session = engine.session(expose(before, values, shapes=scanned), model.folder)
        told = lower(_told(model, session.run(feeds), values, scanned))
        if sum(node.kind in OPEN for node in told.nodes) == len(left):
            break
        model = told
    return model


def _leading(model: Model, name: str) -> list[Node]:
    """The nodes that make a tensor."""
    wanted, found = {name}, []
    for node in reversed(model.nodes):
        if any(o in wanted for o in node.outputs):
            wanted.update((*node.inputs, *node.captured))
            found.append(node)
    return found


def _deciding(node: Node) -> tuple[str, ...]:
    """The inputs that say which body runs, and how often."""
    return {"If": node.inputs[:1], "Loop": node.inputs[:2]}.get(node.kind, ())


def _unsized(model: Model, node: Node) -> list[str]:
    scanned = node.inputs[len(node.inputs) - int(node.attribute("num_scan_inputs", 0)) :]
    return [n for n in scanned if n in model.activations and None in model.shapes.get(n, (None,))]


def _told(model: Model, found: Feeds, values: list[str], scanned: list[str]) -> Model:
    """With these tensors stored, and these shapes declared."""
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    kept = [node for node in graph.node if not any(o in values for o in node.output)]
    del graph.node[:]
    graph.node.extend(kept)
    graph.initializer.extend(numpy_helper.from_array(found[name], name) for name in set(values))
    declared = [info for info in graph.value_info if info.name not in scanned]
    del graph.value_info[:]
    graph.value_info.extend(declared)
    for name in set(scanned):
        shape = [int(size) for size in found[SHAPE + name]]
        kind = model.element_types.get(name, onnx.TensorProto.FLOAT)
        if name in {i.name for i in graph.input}:
            continue
        graph.value_info.append(onnx.helper.make_tensor_value_info(name, kind, shape))
    for info in graph.input:
        if info.name in scanned:
            kind = info.type.tensor_type.elem_type
            shape = [int(size) for size in found[SHAPE + info.name]]
            info.CopyFrom(onnx.helper.make_tensor_value_info(info.name, kind, shape))
    return in_memory(model, proto)
