"""Sizes that a file declares. Some exporters write −1 or 0 for "any", and that is what it means here."""

import onnx

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
