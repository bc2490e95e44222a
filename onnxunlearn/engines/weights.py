"""Weights that lie in another file than the model."""

from pathlib import Path

import onnx
from onnx import numpy_helper

from onnxunlearn.errors import InputError, one_line
from onnxunlearn.graph.external import is_lent, read
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.tensors import is_outside


def is_external(model: onnx.ModelProto, folder: Path | None) -> bool:
    """Whether tensors of the model lie outside of the message. Raises InputError if the file is needed,
    but there is no folder."""
    tensors = _outside(model)
    outside = next((tensor for tensor in tensors if not is_lent(tensor)), None)
    if outside is not None and folder is None:
        raise InputError(
            f"tensor {outside.name!r} has its values in another file, but no folder was given to read it "
            "from; give the path of the .onnx file"
        )
    return bool(tensors)


def _outside(model: onnx.ModelProto) -> list[onnx.TensorProto]:
    return [tensor for tensor in messages(model, onnx.TensorProto) if is_outside(tensor)]


def embedded(model: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """`model` itself if it holds all its tensors, else a copy that does, read from `folder`.

    Raises InputError if the values cannot be read, or their file lies outside `folder`.
    """
    if not is_external(model, folder):
        return model
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    try:
        for tensor in _outside(whole):
            tensor.CopyFrom(numpy_helper.from_array(read(tensor, folder or Path()), tensor.name))
    except (OSError, ValueError) as error:
        raise InputError(f"external data cannot be read from {folder}: {one_line(error)}") from error
    return whole
