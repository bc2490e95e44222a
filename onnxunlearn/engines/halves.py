"""Half-precision weights in data files: memory holds the halves, each is widened just before it is used.

ONNX Runtime computes in float32 where it has no kernel for halves. Left to itself it widens all weights when
it loads a model, or, if it is not to fold, before the first node runs: a copy of twice their size either way.
"""

from collections.abc import Iterator

import onnx

from onnxunlearn.graph.external import narrow
from onnxunlearn.graph.messages import messages


def with_casts(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with its widened weights as they lie in the file, and a Cast in front of each one's first
    reader; itself if it has none."""
    halves = {t.name: narrow(t) for t in model.graph.initializer}
    wide = {name: half for name, half in halves.items() if half is not None}
    if not wide:
        return model
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    inputs = [i for i in model.graph.input if i.name not in halves]  # until IR 4 with all initializers
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    copy.ir_version = max(copy.ir_version, 4)
    for tensor in copy.graph.initializer:
        if tensor.name in wide:
            tensor.CopyFrom(wide[tensor.name])
            tensor.name = _stored(tensor.name)
    del copy.graph.node[:]
    copy.graph.node.extend(_interleaved(model.graph, set(wide)))
    return copy


def _interleaved(graph: onnx.GraphProto, wide: set[str]) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        inner = [name for part in messages(node, onnx.NodeProto) for name in part.input]
        results = [o.name for part in messages(node, onnx.GraphProto) for o in part.output]
        for name in dict.fromkeys((*node.input, *inner, *results)):
            if name in wide:
                wide.remove(name)
                yield _cast(name)
        yield node
    asked = {o.name for o in graph.output}
    yield from (_cast(name) for name in sorted(wide & asked))


def _cast(name: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Cast", [_stored(name)], [name], name=name, to=onnx.TensorProto.FLOAT)


def _stored(name: str) -> str:
    return f"{name} / stored"
