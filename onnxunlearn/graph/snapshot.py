"""What the files of a model held when work on them began: a result is made of these and of nothing later."""

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.graph.external import data_file, locations
from onnxunlearn.graph.tensors import check_tensor, external_tensors
from onnxunlearn.graph.view import Model


@dataclass(frozen=True)
class DataFile:
    """A data file as it was. modified: nanoseconds."""

    bytes: int
    modified: int
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
            same = stat.S_ISREG(status.st_mode) and status.st_size == len(self.model.data)
            if not same or path.read_bytes() != self.model.data:
                raise changed(str(path))
            for location, was in self.data.items():
                status = os.stat(data_file(path.parent, location))
                if (status.st_size, status.st_mtime_ns) != (was.bytes, was.modified):
                    raise changed(str(path.parent / location))
        except OSError:
            raise changed(str(path)) from None


def changed(name: str) -> InputError:
    return InputError(
        f"{name}: changed while it was worked on; wait until it has been written, then run again"
    )


def _seen(model: Model, location: str) -> DataFile:
    assert model.folder is not None  # a model of bytes has no data files, see `load`
    try:
        path = data_file(model.folder, location)
        before = os.stat(path)
        found = DataFile(before.st_size, before.st_mtime_ns, sha256_of(path))
        after = os.stat(path)
    except OSError as error:
        name = model.folder / location
        raise InputError(
            f"{name}: cannot be read ({error.strerror or error}); check its permissions"
        ) from None
    if (after.st_size, after.st_mtime_ns) != (found.bytes, found.modified):
        raise changed(str(model.folder / location))
    return found
