"""An edited model as a new version in a model repository of the Triton Inference Server.

    REPOSITORY/NAME/config.pbtxt        never touched
    REPOSITORY/NAME/1/model.onnx        never touched
    REPOSITORY/NAME/2/model.onnx        new

The layout: https://docs.nvidia.com/deeplearning/triton-inference-server/user-guide/docs/user_guide/model_repository.html
"""

import os
import re
import secrets
import shutil
from pathlib import Path

from onnxunlearn.digests import sha256, sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model, Snapshot, load
from onnxunlearn.graph.external import data_file
from onnxunlearn.text import read_text

CONFIG = "config.pbtxt"
_MODEL = "model.onnx"
_VERSION = re.compile("[1-9][0-9]{0,18}")
#: what a configuration says of what serves the model, and of what its file is called
_SERVED = re.compile(r'^\s*(?:platform|backend)\s*:\s*["\']([^"\']*)["\']', re.M)
_CALLED = re.compile(r'^\s*default_model_filename\s*:\s*["\']([^"\']*)["\']', re.M)


def add_version(
    model: str | os.PathLike[str], folder: str | os.PathLike[str], version: int | None = None
) -> Path:
    """Put a model into a folder NAME of a repository, as a version beside those that are there.

    version: default, one more than the highest. The files are the model's byte for byte, its data files among
    them; they are there at once and whole, or not at all. Which versions are served is said by the
    `version_policy` in config.pbtxt; by default the highest is. Returns the new folder.

    Raises InputError if `folder` is none of a model repository, is served by something else than ONNX
    Runtime, has that version already, or if the model's inputs or outputs are not those of the highest one.
    """
    target = Path(folder)
    present = versions(target)
    called = _file_name(target)
    _check_repository(target, present, called)
    number = version if version is not None else max(present, default=0) + 1
    if not _VERSION.fullmatch(str(number)):
        raise InputError(f"version {number}: expected a whole number from 1 on")
    out = target / str(number)
    if out.exists():
        raise InputError(f"{out}: exists already; give another version, or none for the next")
    loaded = load(model)
    if present and (latest := target / str(max(present)) / called).is_file():
        _check_alike(loaded, load(latest), latest)
    _place(loaded, out, called)
    return out


def versions(folder: Path) -> list[int]:
    """The versions of a model that Triton would see, in order. Raises InputError without such a folder."""
    try:
        names = [path.name for path in folder.iterdir() if path.is_dir()]
    except OSError as error:
        raise InputError(
            f"{folder}: cannot be read ({error.strerror}); give the model's folder in a model repository"
        ) from None
    return sorted(int(name) for name in names if _VERSION.fullmatch(name))


def _file_name(folder: Path) -> str:
    """What the model's file is called in each version."""
    config = folder / CONFIG
    if not config.is_file():
        return _MODEL
    text = re.sub("#[^\n]*", "", read_text(config))
    served = _SERVED.search(text)
    if served is not None and "onnx" not in served[1]:
        raise InputError(f"{config}: the model is served by {served[1]!r}, not by ONNX Runtime")
    called = _CALLED.search(text)
    name = called[1] if called is not None and called[1] else _MODEL
    if Path(name).name != name:
        raise InputError(f"{config}: default_model_filename {name!r} is no file name")
    return name


def _check_repository(folder: Path, present: list[int], called: str) -> None:
    if (folder / CONFIG).is_file() or any((folder / str(v) / called).is_file() for v in present):
        return
    raise InputError(
        f"{folder}: no model's folder of a Triton model repository (neither {CONFIG} nor VERSION/{called} is "
        "there); give REPOSITORY/NAME"
    )


def _check_alike(model: Model, present: Model, path: Path) -> None:
    """Raises InputError unless clients, and the configuration, can go on as they are."""
    for what, ours, theirs in (
        ("inputs", model.inputs, present.inputs),
        ("outputs", model.graph.output, present.graph.output),
    ):
        if [i.SerializeToString() for i in ours] != [i.SerializeToString() for i in theirs]:
            raise InputError(f"{model.path}: its {what} are not those of {path}; give an edit of that model")


def _place(model: Model, out: Path, called: str) -> None:
    """Copied beside its place, synced, renamed: Triton takes no folder for a version that is no number."""
    assert model.path is not None
    began = Snapshot.of(model)
    temporary = out.with_name(f".{out.name}.{secrets.token_hex(6)}.tmp")
    try:
        temporary.mkdir()
        _copy(model.path, temporary / called, sha256(*model.content.pieces))
        for location, file in began.data.items():
            _copy(data_file(model.path.parent, location), temporary / location, file.sha256)
        if out.exists():
            raise InputError(f"{out}: was made by something else meanwhile; try again")
        os.rename(temporary, out)
    except OSError as error:
        raise InputError(
            f"{out}: cannot be written ({error.strerror or error}); check space and permissions"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy(source: Path, target: Path, digest: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(source, "rb") as read, open(target, "xb") as write:
        shutil.copyfileobj(read, write, 1 << 20)
        write.flush()
        os.fsync(write.fileno())
    shutil.copymode(source, target)
    if sha256_of(target) != digest:
        raise InputError(f"{source}: changed while it was copied; try again")
