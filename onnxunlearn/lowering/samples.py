"""Outputs that say something of places of the one sample that goes in, and lost the axis of samples.

Detectors are exported so for one image: scores [places, classes] stand for [1, places, classes]. With that
axis again they are what all other detectors say.
"""

from collections.abc import Iterator

import numpy as np
import onnx
from onnx import helper, numpy_helper

from onnxunlearn.graph import Model
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import in_memory, with_nodes
from onnxunlearn.lowering.sizes import static

#: since this opset axes are an input
_AXES_AS_INPUT = 13


@lowering_pass("sampled")
def sampled(model: Model) -> Model:
    """The model with an axis of one sample in front of these outputs; the model itself if it has none.

    Only of models for one sample, by what is baked into their inputs: where any number may go in, rows are
    samples. Ensures: outputs keep their names, and their values but for that axis.
    """
    lost = set(lost_samples(model))
    if not lost:
        return model
    while (plainer := _sized(model)) is not model:
        model = plainer
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    graph = proto.graph
    rows = {name: _free(model, f"{name} / places") for name in lost}
    for node in graph.node:
        for names in (node.input, node.output):
            for i, name in enumerate(names):
                names[i] = rows.get(name, name)
    axes, as_input = _free(model, "axis of samples"), model.opsets.get("", 1) >= _AXES_AS_INPUT
    if as_input:
        graph.initializer.append(numpy_helper.from_array(np.array([0], np.int64), axes))
    for output in graph.output:
        if output.name in lost:
            inputs, given = [rows[output.name], axes], None if as_input else [0]
            made = helper.make_node("Unsqueeze", inputs[: 1 + as_input], [output.name], axes=given)
            graph.node.append(made)
            shape = output.type.tensor_type.shape
            sizes = [1, *(model.shapes[output.name])]
            shape.CopyFrom(helper.make_tensor_value_info("", 1, sizes).type.tensor_type.shape)
    kept = [info for info in graph.value_info if info.name not in lost]
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return in_memory(model, proto)


def lost_samples(model: Model) -> Iterator[str]:
    """The outputs of numbers that have several rows for the one sample that is baked in."""
    if model.batch_size != 1:
        return
    for output in model.graph.output:
        shape = model.shapes.get(output.name)
        made = output.name in model.producer and output.name in model.activations
        if made and shape is not None and len(shape) == 2 and (shape[0] or 1) > 1:
            yield output.name


def _sized(model: Model) -> Model:
    """With the sizes that nodes read stored as the numbers they are for one sample, so that shape inference
    sees them; the model itself where no more are known. What was made of them is left, unread."""
    known, computed = dict[str, np.ndarray](), model.producer.keys() - model.activations
    for node in model.nodes:
        for name in node.inputs:
            if name in known or name in model.stored or node.traits.of_shape:
                continue
            if name in model.by_shape or name in computed:
                value = model.constant(name) if name in computed else static(model, name)
                if value is not None and value.ndim == 1:
                    known[name] = value
    if not known:
        return model
    stored = {name: _free(model, f"{name} / sizes") for name in known}
    nodes = [onnx.NodeProto.FromString(node.proto.SerializeToString()) for node in model.nodes]
    for proto in nodes:
        for i, name in enumerate(proto.input):
            proto.input[i] = stored.get(name, name)
    return with_nodes(model, nodes, [numpy_helper.from_array(known[n], own) for n, own in stored.items()])


def _free(model: Model, name: str) -> str:
    while name in model.producer or name in model.stored or name in {i.name for i in model.graph.input}:
        name += "'"
    return name
