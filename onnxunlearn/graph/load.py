"""Read a model file, or say in one line why it cannot be used."""

import os
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from onnxunlearn.errors import InputError, UnsupportedError
from onnxunlearn.graph.external import external_tensors
from onnxunlearn.graph.model import Model


def load(source: str | os.PathLike[str] | bytes) -> Model:
    """Load and check a model from a path, or from bytes (then without external data).

    Raises InputError (not a file, not ONNX, truncated, fails the checker, external data outside the
    model's folder or missing) and UnsupportedError (graphs that only run on one machine).
    """
    if isinstance(source, bytes):
        return _checked(Model(source, _parse(source, "the model")))
    path = Path(source)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of an .onnx file")
        if not path.is_file():
            raise InputError(f"{path}: not a file; give the path of an .onnx file")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions") from None
    return _checked(Model(data, _parse(data, str(path)), path))


def _parse(data: bytes, name: str) -> onnx.ModelProto:
    if not data:
        raise InputError(f"{name}: the file is empty; export the model again")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except DecodeError:
        # ir_version, the first field of every exporter
        looks_like_onnx = data[:1] == b"\x08" and len(data) > 16
        reason = "truncated or damaged ONNX" if looks_like_onnx else "not an ONNX file"
        raise InputError(f"{name}: {reason}; expected a complete .onnx protobuf, export it again") from None
    if not proto.HasField("graph") or not proto.opset_import or not proto.graph.node:
        raise InputError(
            f"{name}: not an ONNX model (no graph, opset or nodes in it); give an exported .onnx file"
        )
    return proto


def _checked(model: Model) -> Model:
    name = str(model.path) if model.path else "the model"
    for tensor in external_tensors(model.proto):
        _check_external(tensor, model.folder, name)
    for node in model.nodes:
        if node.domain.startswith("com.microsoft.nchwc"):
            raise UnsupportedError(
                f"{name}: {node} is an optimiser's hardware-specific op; "
                "give the model before ORT_ALL optimisation"
            )
    try:
        # A path lets the checker see external data; bytes are cheaper when there is none.
        has_external = model.path is not None and any(external_tensors(model.proto))
        onnx.checker.check_model(str(model.path) if has_external else model.data)
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InputError(f"{name}: fails the ONNX checker: {_first_line(error)}") from None
    return model


def _check_external(tensor: onnx.TensorProto, folder: Path | None, name: str) -> None:
    entries = {e.key: e.value for e in tensor.external_data}
    location = entries.get("location", "")
    what = f"{name}: tensor {tensor.name!r} has its data in {location!r}"
    if folder is None:
        raise InputError(f"{what}, but the model was given as bytes; give the path of the .onnx file")
    try:
        target = (folder / location).resolve()
        outside = not location or Path(location).is_absolute() or not target.is_relative_to(folder.resolve())
        size = target.stat().st_size if not outside and target.is_file() else None
        end = int(entries.get("offset") or 0) + int(entries.get("length") or 0)
    except (OSError, RuntimeError, ValueError) as error:  # e.g. a loop of links, a number that is none
        raise InputError(f"{what}, which cannot be found ({error}); export the model again") from None
    if outside:
        raise InputError(f"{what}, outside the model's folder; refused, put the data file beside the model")
    if size is None:
        raise InputError(f"{what}, which does not exist; put the data file beside the model")
    if end > size:
        raise InputError(f"{what}, which is too short ({size:,} of {end:,} bytes); copy the data file again")


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") if lines else type(error).__name__
