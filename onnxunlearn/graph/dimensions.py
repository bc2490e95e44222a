"""Sizes that a file declares. Some exporters write −1 or 0 for "any", and that is what it means here."""

from collections.abc import Collection

import onnx
from google.protobuf.message import DecodeError

from onnxunlearn.graph.inferable import inferable
from onnxunlearn.graph.messages import messages


def sizes_of(info: onnx.ValueInfoProto) -> tuple[int | None, ...]:
    """The declared size of each axis, None for a free one. No shape at all gives no axes."""
    return tuple(d.dim_value if d.dim_value > 0 else None for d in info.type.tensor_type.shape.dim)


def free_sizes(proto: onnx.ModelProto) -> None:
    """Leave open, in place, each size declared as −1 or 0: of a 0 ONNX Runtime says that nothing fits it.

    What is truly empty, as a Resize without a region, shape inference finds out by itself.
    """
    for size in messages(proto, onnx.TensorShapeProto.Dimension):
        if size.HasField("dim_value") and size.dim_value <= 0:
            size.ClearField("dim_value")


def free_samples(proto: onnx.ModelProto) -> None:
    """Leave open, in place, outputs that are declared for one sample where every input takes any number, and
    with them what is declared in between.

    PyTorch 2.9 exports so (`dynamo=True`) what was shown to it with one sample, though its nodes take any
    number. Where they do make one row, as of a picture that has no axis of samples, the declaration stays.
    """
    graph = proto.graph
    stored = {tensor.name for tensor in graph.initializer}
    inputs = [info for info in graph.input if info.name not in stored]
    told = [info for info in graph.output if sizes_of(info)[:1] == (1,)]
    if not told or not all(sizes_of(info)[:1] == (None,) for info in inputs):
        return
    bare = onnx.ModelProto(ir_version=proto.ir_version, opset_import=proto.opset_import)
    bare.functions.extend(proto.functions)
    bare.graph.CopyFrom(graph)
    _undeclare(bare.graph, told)
    try:
        inferred = onnx.shape_inference.infer_shapes(inferable(bare), data_prop=True).graph.output
    except (onnx.shape_inference.InferenceError, DecodeError, ValueError):
        return  # nothing says better
    made = {info.name: sizes_of(info)[:1] for info in inferred}
    if all(made.get(info.name) == (None,) for info in told):
        _undeclare(graph, told)


def _undeclare(graph: onnx.GraphProto, outputs: Collection[onnx.ValueInfoProto]) -> None:
    names = {info.name for info in outputs}
    del graph.value_info[:]
    for info in graph.output:
        if info.name in names:
            info.type.tensor_type.shape.dim[0].Clear()
