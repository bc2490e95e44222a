"""Models with external data, made whole for the engines that read weights themselves."""

from pathlib import Path

import onnx
from onnx import external_data_helper

from onnxunlearn.engines.signature import one_line
from onnxunlearn.errors import InputError


def embedded(model: onnx.ModelProto, folder: Path | None) -> onnx.ModelProto:
    """`model` itself if it holds all its tensors, else a copy that does, read from `folder`.

    Raises InputError if there is external data but no folder, or it cannot be read from there.
    """
    outside = [t for t in model.graph.initializer if external_data_helper.uses_external_data(t)]
    attributes = (a for node in model.graph.node for a in node.attribute if a.HasField("t"))
    outside += [a.t for a in attributes if external_data_helper.uses_external_data(a.t)]
    if not outside:
        return model
    if folder is None:
        raise InputError(
            f"tensor {outside[0].name!r} has its values in another file, but no folder was given to read it "
            "from; give the path of the .onnx file"
        )
    whole = onnx.ModelProto()
    whole.CopyFrom(model)
    try:
        external_data_helper.load_external_data_for_model(whole, str(folder))
    except (OSError, ValueError, onnx.checker.ValidationError) as error:
        raise InputError(f"external data cannot be read from {folder}: {one_line(error)}") from error
    return whole
