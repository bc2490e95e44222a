"""A request on its way to another machine and back: the files themselves travel, so no folder is shared.

Names are all that reports say of files, and where files lie to each other decides what is found beside a
model. So each is put at its own path again, under a folder of the other machine.
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from onnxunlearn.errors import InputError, OnnxUnlearnError
from onnxunlearn.fleet.record import Record
from onnxunlearn.fleet.request import Request
from onnxunlearn.graph import load
from onnxunlearn.sources import model_files

#: by absolute path, the bytes of files; None: it is a folder
Files = Mapping[Path, bytes | None]


@dataclass(frozen=True)
class Parcel:
    """files: those that the request alone reads. common: paths of those that are there already. version: of
    what sends it."""

    request: Request
    files: Files = field(repr=False)
    common: tuple[Path, ...]
    version: str


@dataclass(frozen=True)
class Returned:
    """What came of it. files: by name, those of the record. log: what the process printed."""

    record: Record
    files: Mapping[str, bytes] = field(repr=False)
    log: bytes = b""


def pack(request: Request, version: str, shelf: Files) -> Parcel:
    """Raises InputError if a file cannot be read."""
    paths = _reads(request)
    own = {path: _content(path) for path in paths if path not in shelf}
    return Parcel(request, own, tuple(path for path in paths if path in shelf), version)


def unpack(parcel: Parcel, shelf: Files, root: Path) -> Request:
    """Put the files under `root`; the same request of these. Raises InputError where that is not possible."""
    try:
        for path, content in {**parcel.files, **{path: shelf[path] for path in parcel.common}}.items():
            place = _under(root, path)
            (place if content is None else place.parent).mkdir(parents=True, exist_ok=True)
            if content is not None:
                place.write_bytes(content)
    except OSError as error:
        raise InputError(f"{root}: cannot be written ({error.strerror}); the worker needs space") from None
    return parcel.request.moved(lambda path: _under(root, path))


def shared(requests: Iterable[Request]) -> dict[Path, bytes | None]:
    """What more than one of them reads, but for models: probes, labels and the like."""
    count: Counter[Path] = Counter()
    for request in requests:
        count.update(path for what, path in request.inputs().items() if what != "model")
    found: dict[Path, bytes | None] = {}
    with suppress(InputError):  # it then goes with each request, and fails there
        for path in _all_in(path for path, times in count.items() if times > 1):
            found[path] = _content(path)
    return found


def _reads(request: Request) -> list[Path]:
    """All that it is known to read: what is named, data files, what lies beside the model and is taken
    without being named. Not what a loader script reads."""
    named = list(request.inputs().values())
    with suppress(OnnxUnlearnError):  # who does the request says what is wrong
        named += [path for path in model_files(load(request.model)) if path.exists()]
    return _all_in(named)


def _all_in(paths: Iterable[Path]) -> list[Path]:
    """Absolute; of a folder, all that is in it, too."""
    found = [Path(os.path.abspath(path)) for path in paths]
    return sorted({each for path in found for each in (path, *(path.rglob("*") if path.is_dir() else ()))})


def _content(path: Path) -> bytes | None:
    try:
        return None if path.is_dir() else path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions") from None


def _under(root: Path, path: str | Path) -> Path:
    return root.joinpath(*Path(os.path.abspath(path)).parts[1:])
