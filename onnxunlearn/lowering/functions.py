"""Functions that are local to a model: y = f(x) becomes the nodes of f on x, the last one making y.

What Constant nodes of a function hold can be edited if the function runs once; else an edit of one place
would change others.
"""

import logging
from collections import Counter

import numpy as np
import onnx

from onnxunlearn.graph import Model, Quantised, StoredTensor
from onnxunlearn.graph.local_functions import constants_of
from onnxunlearn.graph.messages import messages
from onnxunlearn.lowering.contract import lowering_pass
from onnxunlearn.lowering.draft import in_memory
from onnxunlearn.lowering.listed_inputs import unlisted
from onnxunlearn.lowering.sparse import dense

log = logging.getLogger(__name__)


@lowering_pass("inline", requires=[unlisted, dense])
def inline(model: Model) -> Model:
    """The model without local functions; the model itself if it has none.

    Ensures: outputs of the replaced nodes keep their names. A function whose opset cannot be converted to
    the model's is left alone.
    """
    if not model.proto.functions:
        return model
    from onnx.inliner import inline_local_functions

    marked = onnx.ModelProto()
    marked.CopyFrom(model.proto)
    for name, (_, tensor) in constants_of(marked).items():
        tensor.name = name  # which the copies keep
    try:
        proto = inline_local_functions(marked, convert_version=True)
    except Exception as error:  # the inliner's and the version converter's errors share no base class
        log.warning("functions of the model cannot be inlined (%s)", error)
        return model
    return in_memory(model, proto, _origins(model, proto))


def _origins(model: Model, inlined: onnx.ModelProto) -> dict[str, Quantised]:
    """Output of a Constant -> the one of a function that it is the only copy of."""
    copies = Counter(tensor.name for tensor in messages(inlined, onnx.TensorProto))
    found = {}
    for node in inlined.graph.node:
        for attribute in node.attribute if node.op_type == "Constant" else ():
            _, tensor = model.function_constants.get(attribute.t.name, ((), None))
            if tensor is not None and copies[attribute.t.name] == 1:
                stored = StoredTensor(attribute.t.name, tuple(tensor.dims))
                found[node.output[0]] = Quantised(stored, (), np.zeros(()))
    return found
