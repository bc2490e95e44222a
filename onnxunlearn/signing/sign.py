"""Sign a model, its data files, and what belongs to it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from onnxunlearn.errors import InputError
from onnxunlearn.graph import Model
from onnxunlearn.graph.external import data_file, locations
from onnxunlearn.judge import foreign_report
from onnxunlearn.signing.credentials import Signer


def sign(model: Model, others: Sequence[Path], signer: Signer) -> bytes:
    """A signature over the model, its data files and the others, by the names that they have in the model's
    folder: wherever these are together, it holds.

    Raises InputError for files that are elsewhere or cannot be read, for a report on another model, for keys
    that are none, and where model-signing is not installed.
    """
    with installed():
        from onnxunlearn.signing import openssf
    files = model_files(model)
    for path in others:
        if said := foreign_report(model, path):
            raise InputError(f"{said}; what is signed together has to belong together, give its own")
    folder = Path(os.path.abspath(files[0])).parent
    found = [_within(path, folder) for path in (*files, *others)]
    return openssf.signed(folder, list(dict.fromkeys(found)), signer)


@contextmanager
def installed() -> Iterator[None]:
    """Around the import of `openssf`. Raises InputError where something that it needs is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise InputError(f"signatures need {error.name}; pip install 'onnxunlearn[sign]'") from None


def model_files(model: Model) -> list[Path]:
    """The model's file, then its data files. Raises InputError for a model that is no file."""
    if model.path is None:
        raise InputError("a signature is of files; give the path of the model")
    names = locations(model.proto)
    try:
        for name in names:
            data_file(model.path.parent, name)
    except OSError as error:
        raise InputError(f"{model.path}: {error.strerror}; refused") from None
    return [model.path, *(model.path.parent / name for name in names)]


def _within(path: Path, folder: Path) -> Path:
    """`path` as it lies in the folder, links in between left alone."""
    found = Path(os.path.abspath(path))
    if not found.is_relative_to(folder):
        raise InputError(
            f"{path}: not in {folder}; what is signed together has to lie in the model's folder; "
            "copy it there"
        )
    if not found.is_file():
        raise InputError(f"{path}: no such file; give what is to be signed")
    return found
