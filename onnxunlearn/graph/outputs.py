"""Where results may be written: into a folder that is there, never over what is read, nor over what is there
unless the user says so."""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from onnxunlearn.errors import InputError
from onnxunlearn.graph.class_labels import config_files
from onnxunlearn.graph.data_copies import copy_names
from onnxunlearn.graph.external import locations
from onnxunlearn.graph.view import Model

#: what is read and so never written -> what it is, in the words of the message
Inputs = Mapping[Path, str]
NOTHING: Inputs = MappingProxyType({})


def check_output(out: str | os.PathLike[str], inputs: Inputs, overwrite: bool = False) -> Path:
    """`out` as a path that may be written. Raises InputError if it is an input, exists or has no folder."""
    path = named_file(out)
    found = status_of(path)
    if found is not None:
        check_not_read(path, inputs)
        if stat.S_ISDIR(found.st_mode):
            raise InputError(f"{path}: is a folder; give the path of the file to write")
        if not stat.S_ISREG(found.st_mode) or _is_open_file(path):
            raise InputError(f"{path}: is a device or a pipe; give the path of the file to write")
        if not overwrite:
            raise InputError(f"{path}: exists already; add --overwrite or give another path with -o")
    if not path.parent.is_dir():
        if path.parent.exists():
            raise InputError(f"{path}: {path.parent} is no folder; give another path")
        raise InputError(f"{path}: the folder {path.parent} does not exist; create it first")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise InputError(f"{path}: the folder {path.parent} cannot be written; give another path with -o")
    return path


def named_file(out: str | os.PathLike[str]) -> Path:
    """`out` as a path. Raises InputError for what can name no file."""
    text = os.fspath(out)
    if not text:
        raise InputError("the path of an output is empty; give the path of the file to write")
    if text.endswith(("/", os.sep)):
        raise InputError(f"{text}: is the name of a folder; give the path of the file to write")
    return Path(text)


def check_outputs(
    model: Model, out: str | os.PathLike[str], overwrite: bool = False, inputs: Inputs = NOTHING
) -> Path:
    """`out` as a path at which the edited model may be written, with its data files. Raises InputError as
    `check_output` does; the model's own files are inputs anyway."""
    read = {**inputs, **input_files(model)}
    path = check_output(out, read, overwrite)
    for name in dict.fromkeys(copy_names(model, path.name).values()):
        check_output(path.with_name(name), read, overwrite)
    return path


def check_not_read(path: Path, inputs: Inputs) -> None:
    """Raises InputError if `path` is one of the inputs, or lies in one that is a folder, by whatever name or
    link."""
    for file, what in inputs.items():
        if any(_same(path, each) for each in _files(file)):
            raise InputError(f"{path}: is {what}, which is never written; give another path with -o")


def status_of(path: Path) -> os.stat_result | None:
    """None if there is nothing. Raises InputError if nothing can be called that, or be there."""
    try:
        return os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{path}: cannot be written ({reason}); give another path with -o") from None


def input_files(model: Model) -> dict[Path, str]:
    """The model's file, those that hold its external data, and what may name its classes."""
    if model.path is None:
        return {}
    data = (model.path.parent / location for location in locations(model.proto))
    return {
        **dict.fromkeys(config_files(model), "the input model's config.json"),
        **dict.fromkeys(data, "part of the input model"),
        model.path: "the input model",
    }


def _is_open_file(path: Path) -> bool:
    """Whether it is no file of its own, but stands for one that is open, as /dev/stdout does."""
    with suppress(OSError):
        return os.readlink(path).startswith("/proc/")
    return False


def _files(path: Path) -> Iterator[Path]:
    """`path`; of a folder of class folders also the files in these."""
    yield path
    with suppress(OSError):
        if path.is_dir():
            yield from path.glob("*/*")


def _same(one: Path, other: Path) -> bool:
    with suppress(OSError, ValueError):
        return os.path.samestat(os.stat(one), os.stat(other))
    return False
