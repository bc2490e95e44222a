"""Read a model file, or say in one line why it cannot be used."""

import os
import time
from math import prod
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from onnxunlearn.arguments import check_kind
from onnxunlearn.errors import InputError, UnsupportedError, one_line
from onnxunlearn.graph.dimensions import free_samples, free_sizes
from onnxunlearn.graph.external import is_lent
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.growth import check_growth
from onnxunlearn.graph.held import cut, parsed
from onnxunlearn.graph.messages import messages
from onnxunlearn.graph.order import put_in_order
from onnxunlearn.graph.runtime_ops import checkable
from onnxunlearn.graph.scales import check_scales
from onnxunlearn.graph.structure import check_structure
from onnxunlearn.graph.tensors import check_tensor, external_tensors
from onnxunlearn.graph.view import Model
from onnxunlearn.stamps import changed, stamp_of

#: protobuf's own limit, in bytes
_LARGEST_FILE = 2**31 - 1
#: values of a tensor with a batch of one: 4 GiB in float32
_LARGEST_TENSOR = 2**30
#: seconds since the last write within which a file may not be complete
_NEW = 60
#: bytes that the kind of a file is told by, and what other files begin with
_TOLD_BY = 64
#: behind four bytes of a flatbuffer
_ORT = b"ORTM"
_OTHER_FORMATS = (
    (b"PK", "a zip archive (or a PyTorch file)"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"\x89HDF", "an HDF5 (Keras) file"),
    (b"version https://git-lfs", "a Git LFS pointer (run git lfs pull)"),
    (_ORT, "ONNX Runtime's own format (.ort; give the .onnx file that it was made of)"),
)


#: what a model may be given as; bytes: then without external data
ModelSource = str | os.PathLike[str] | bytes | FileBytes | Model


def load(source: ModelSource) -> Model:
    """Load and check a model. One that is loaded already is returned as it is.

    Raises InputError (not a file, not ONNX, truncated, fails the checker, external data outside the
    model's folder or missing) and UnsupportedError (graphs that only run on one machine).
    """
    if isinstance(source, Model):
        return source
    if isinstance(source, bytes | FileBytes):
        content = FileBytes(source) if isinstance(source, bytes) else source
        return _checked(_parsed(cut(content), "the model"))
    check_kind("model", source, (str, os.PathLike), "a path, bytes or a loaded model (onnxunlearn.load)")
    path = Path(source)
    try:
        if not path.exists():
            raise InputError(f"{path}: no such file; give the path of an .onnx file")
        if not path.is_file():
            raise InputError(f"{path}: not a file; give the path of an .onnx file")
        content = cut(_read(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions") from None
    return _checked(_parsed(content, str(path), path))


def _read(path: Path) -> FileBytes:
    with path.open("rb") as file:
        before = stamp_of(file.fileno())
        if before.bytes > _LARGEST_FILE:
            raise InputError(
                f"{path}: larger than 2 GiB, which no ONNX file can be; save the weights as external data"
            )
        data = file.read()
        after = stamp_of(file.fileno())
    if after != (before.modified, len(data)):
        raise changed(path)
    return FileBytes(data)


def _parsed(content: FileBytes, name: str, path: Path | None = None) -> Model:
    if not len(content):
        raise InputError(f"{name}: the file is empty; export the model again")
    try:
        proto, held = parsed(content)
    except DecodeError:
        data = bytes(content.part(0, _TOLD_BY))
        # ir_version, the first field of every exporter
        looks_like_onnx = data[:1] == b"\x08" and len(content) > 16
        if looks_like_onnx:
            reason = "truncated or damaged ONNX" + (", perhaps still being written" if _is_new(path) else "")
        else:
            reason = "not an ONNX file" + next(
                (
                    f" but {w}"
                    for m, w in _OTHER_FORMATS
                    if data.startswith(m) or (m == _ORT and data[4:8] == m)
                ),
                "",
            )
        raise InputError(f"{name}: {reason}; expected a complete .onnx protobuf, export it again") from None
    if not proto.HasField("graph") or not proto.opset_import or not proto.graph.node:
        raise InputError(
            f"{name}: not an ONNX model (no graph, opset or nodes in it); give an exported .onnx file"
        )
    free_sizes(proto)
    free_samples(proto)
    return Model(content, proto, path, held)


def _is_new(path: Path | None) -> bool:
    return path is not None and time.time() - path.stat().st_mtime < _NEW


def _checked(model: Model) -> Model:
    name = str(model.path) if model.path else "the model"
    check_structure(model.proto, name)
    moved = put_in_order(model.graph)
    check_growth(model.proto, name)
    for tensor in messages(model.proto, onnx.TensorProto):
        if not is_lent(tensor):  # else it was found to be what it says
            check_tensor(tensor, name, model.folder)
    for node in model.nodes:
        if node.domain.startswith("com.microsoft.nchwc"):
            raise UnsupportedError(
                f"{name}: {node} is an optimiser's hardware-specific op; "
                "give the model before ORT_ALL optimisation"
            )
    try:
        # A path lets the checker see external data; bytes are cheaper when there is none.
        has_external = model.path is not None and any(external_tensors(model.proto))
        if has_external:
            name.encode()  # the checker and ONNX Runtime take no other paths
        # ONNX Runtime's optimiser writes ops that the checker does not know.
        own = checkable(model.proto) or (model.proto if moved else None)
        onnx.checker.check_model(own or (str(model.path) if has_external else model.data))
    except UnicodeEncodeError:  # bytes of a file name
        raise InputError(
            f"{name}: ONNX finds data files beside paths in UTF-8 alone; rename or copy the model"
        ) from None
    except (onnx.checker.ValidationError, ValueError) as error:
        raise InputError(f"{name}: fails the ONNX checker: {_first_line(error)}") from None
    check_scales(model, name)
    for made, shape in model.shapes.items():
        values = prod(size or 1 for size in shape)
        if values > _LARGEST_TENSOR and made not in model.stored:
            raise UnsupportedError(
                f"{name}: tensor {made!r} would have {values:,} values for one sample; "
                f"at most {_LARGEST_TENSOR:,} can be handled"
            )
    return model


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return one_line(ValueError(lines[0].rstrip("."))) if lines else type(error).__name__
