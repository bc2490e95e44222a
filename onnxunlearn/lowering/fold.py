"""Tensors that are computed from stored values alone, as the constants they are."""

import onnx
from onnx import numpy_helper

from onnxunlearn.graph import Model, Node
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import with_nodes
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.sparse import dense


@lowering_pass("fold", requires=[unlisted, dense])
def fold(model: Model) -> Model:
    """The model with computed constants stored, so that shape inference sees their values; the model itself
    if there are none. What `Model.constant` does not know is left as it is."""
    constants: list[onnx.TensorProto] = []
    folded: set[int] = set()
    for node in _computed(model):
        values = {o: model.constant(o) for o in node.outputs if _is_read(model, o)}
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) == len(values):
            constants += [numpy_helper.from_array(value, name) for name, value in known.items()]
            folded.add(node.index)
    if not folded:
        return model
    return with_nodes(model, [node.proto for node in model.nodes if node.index not in folded], constants)


def _computed(model: Model) -> list[Node]:
    """Nodes that make constants which are not stored, but read by a node that works on activations."""
    makers = {
        name: model.producer[name]
        for node in model.nodes
        if any(output in model.activations for output in node.outputs)
        for name in (*node.inputs, *node.captured)
        if name in model.producer and name not in model.activations and name not in model.stored
    }
    return list({maker.index: maker for maker in makers.values()}.values())


def _is_read(model: Model, name: str) -> bool:
    return name in model.consumers or any(output.name == name for output in model.graph.output)
