"""What the files of a model held when work on them began: a result is made of these and of nothing later."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph.external import data_file, locations
from onnxunlearn.graph.file_bytes import FileBytes
from onnxunlearn.graph.tensors import check_tensor, external_tensors
from onnxunlearn.graph.view import Model
from onnxunlearn.stamps import Stamp, changed, stamp_of


@dataclass(frozen=True)
class DataFile:
    """A data file as it was."""

    stamp: Stamp
    sha256: str


@dataclass(frozen=True)
class Snapshot:
    """data: location as the model names it -> what lay there. The model's own file is in memory anyway."""

    model: Model = field(repr=False)
    data: Mapping[str, DataFile]

    @classmethod
    def of(cls, model: Model) -> "Snapshot":
        """To be taken before weights are read. Reads every data file once. Raises InputError if one no longer
        holds what the model needs of it."""
        data = {location: _seen(model, location) for location in locations(model.proto)}
        for tensor in external_tensors(model.proto):
            check_tensor(tensor, str(model.path), model.folder)
        return cls(model, data)

    def check(self) -> None:
        """Raises InputError if a file is gone, or another than it was: the model's by its bytes, data files
        by size and time (whoever reads them also knows the digest)."""
        path = self.model.path
        if path is None:
            return
        try:
            status = os.stat(path)
            same = stat.S_ISREG(status.st_mode) and status.st_size == len(self.model.content)
            if not same or not _holds(path, self.model.content):
                raise changed(path)
            for location, was in self.data.items():
                if stamp_of(data_file(path.parent, location)) != was.stamp:
                    raise changed(path.parent / location)
        except OSError:
            raise changed(path) from None


def _holds(path: Path, content: FileBytes) -> bool:
    with open(path, "rb") as file:
        return all(file.read(len(piece)) == piece for piece in content.pieces) and not file.read(1)


def _seen(model: Model, location: str) -> DataFile:
    assert model.folder is not None  # a model of bytes has no data files, see `load`
    try:
        path = data_file(model.folder, location)
        found = DataFile(stamp_of(path), sha256_of(path))
        after = stamp_of(path)
    except OSError as error:
        name = model.folder / location
        raise InputError(
            f"{name}: cannot be read ({error.strerror or error}); check its permissions"
        ) from None
    if after != found.stamp:
        raise changed(model.folder / location)
    return found
