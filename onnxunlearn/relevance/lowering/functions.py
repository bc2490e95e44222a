"""Functions that are local to a model: y = f(x) becomes the nodes of f on x, the last one making y."""

import logging

from onnxunlearn.graph import Model
from onnxunlearn.relevance.lowering.draft import in_memory

log = logging.getLogger(__name__)


def inline(model: Model) -> Model:
    """The model without local functions; the model itself if it has none.

    Ensures: outputs of the replaced nodes keep their names. A function whose opset cannot be converted to
    the model's is left alone.
    """
    if not model.proto.functions:
        return model
    from onnx.inliner import inline_local_functions

    try:
        proto = inline_local_functions(model.proto, convert_version=True)
    except Exception as error:  # the inliner's and the version converter's errors share no base class
        log.warning("functions of the model cannot be inlined (%s)", error)
        return model
    return in_memory(model, proto)
