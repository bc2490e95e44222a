"""Tensors that are computed from stored values alone, as the constants they are.

`Model.constant` evaluates most of them where they are asked for. What it cannot (a weight that is
standardised by a BatchNormalization whenever the model runs) is computed here, by the numpy engine.
"""

import logging

import onnx
from onnx import numpy_helper

from onnxunlearn.engines.numpy import NumpyEngine
from onnxunlearn.errors import OnnxUnlearnError
from onnxunlearn.graph import Model
from onnxunlearn.relevance.lowering.draft import with_nodes

log = logging.getLogger(__name__)


def fold(model: Model) -> Model:
    """The model with the constants stored that nobody else evaluates; the model itself if there are none."""
    return _with_stored(model, [name for name in _computed(model) if model.constant(name) is None])


def fold_all(model: Model) -> Model:
    """The model with every computed constant stored, so that shape inference sees its value."""
    return _with_stored(model, _computed(model))


def _computed(model: Model) -> list[str]:
    """Constants that are not stored, and read by a node that works on activations."""
    names = {
        name
        for node in model.nodes
        if any(output in model.activations for output in node.outputs)
        for name in (*node.inputs, *node.captured)
        if name in model.producer and name not in model.activations and name not in model.stored
    }
    return sorted(names)


def _with_stored(model: Model, names: list[str]) -> Model:
    """Leaves what the numpy engine cannot run as it is."""
    if not names:
        return model
    constant = [node for node in model.nodes if not any(o in model.activations for o in node.outputs)]
    graph = onnx.helper.make_graph(
        [node.proto for node in constant],
        "constants",
        [],
        [onnx.ValueInfoProto(name=name) for name in names],
        model.graph.initializer,
    )
    proto = onnx.helper.make_model(graph, opset_imports=model.proto.opset_import)
    try:
        values = NumpyEngine().session(proto, model.folder).run({})
    except OnnxUnlearnError as error:
        log.debug("constants stay as they are: %s", error)
        return model
    kept = [node.proto for node in model.nodes if not any(o in values for o in node.outputs)]
    return with_nodes(model, kept, [numpy_helper.from_array(v, name) for name, v in values.items()])
