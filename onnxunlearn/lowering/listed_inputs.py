"""Initializers that are listed as graph inputs, too: up to IR 3 all must be, later those with a default.

Nobody feeds them here: they are the constants that they look like. A model that is cut in two, or gets a new
weight, would otherwise have to keep both lists in step.
"""

import onnx

from onnxunlearn.graph import Model
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import in_memory

#: since this IR version an initializer need not be an input
_SINCE = 4


def unlisted(model: Model) -> str:
    """No initializer is a graph input."""
    listed = {info.name for info in model.graph.input} - {info.name for info in model.inputs}
    return f"the initializer {min(listed)!r} among the inputs" if listed else ""


@lowering_pass("unlist", ensures=[unlisted])
def unlist(model: Model) -> Model:
    """The model whose inputs are what is fed; the model itself if no initializer is among them, or has to be.

    Ensures: IR 4 or newer, the same values.
    """
    fed = {info.name for info in model.inputs}
    if model.proto.ir_version >= _SINCE and all(info.name in fed for info in model.graph.input):
        return model
    proto = onnx.ModelProto()
    proto.CopyFrom(model.proto)
    proto.ir_version = max(proto.ir_version, _SINCE)
    del proto.graph.input[:]
    proto.graph.input.extend(model.inputs)
    return in_memory(model, proto)
