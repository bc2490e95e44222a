"""One request: a model, what it is to forget, and how."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from onnxunlearn.digests import sha256_of, sha256_of_folder
from onnxunlearn.errors import InputError
from onnxunlearn.probes import source_files
from onnxunlearn.relevance import composite_file

#: what a request says of files: these are known by what they hold, whatever folder they lie in
_FILES = ("model", "data", "retain", "labels", "preprocess", "composite")


@dataclass(frozen=True)
class Request:
    """name: of its folder among the results. forget: as `--forget` takes it. data, retain: what `load_probes`
    takes, a text. The others: as `unlearn` takes them; paths are absolute. base: the folder that they were
    written relative to, if any."""

    name: str
    model: Path
    forget: str
    data: str | None = None
    retain: str | None = None
    labels: Path | None = None
    preprocess: Path | None = None
    method: str = "auto"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    composite: str = "lra_npp"
    input_shapes: tuple[str, ...] = ()
    engine: str = "onnxruntime"
    providers: tuple[str, ...] = ("cpu",)
    task: str = "auto"
    as_they_are: bool = False
    max_retain_drop: float = 0.5
    output_name: str | None = None
    batch_size: int = 32
    seed: int = 0
    base: Path | None = None

    def options(self) -> dict[str, Any]:
        """All that is no file, JSON-ready."""
        found = {name: value for name, value in vars(self).items() if name not in ("name", "base", *_FILES)}
        found |= {"parameters": dict(self.parameters)}
        found |= {name: list(value) for name, value in found.items() if isinstance(value, tuple)}
        return found if self._composite is not None else found | {"composite": self.composite}

    def inputs(self) -> dict[str, Path]:
        """The files and folders it names, each by what it is."""
        sources = {"data": self.data, "retain": self.retain}
        data = {name: source_files(source)[0] for name, source in sources.items() if source}
        others = {"labels": self.labels, "preprocess": self.preprocess, "composite": self._composite}
        return {"model": self.model, **data, **{n: path for n, path in others.items() if path is not None}}

    def identity(self) -> dict[str, Any]:
        """What makes two requests the same, JSON-ready: all options, and names and SHA-256 of the inputs. Of
        a loader script the digest is the script's own, not of what it reads.

        Raises InputError if an input cannot be read.
        """
        found = {what: {"name": path.name, "sha256": digest(path)} for what, path in self.inputs().items()}
        for what, source in (("data", self.data), ("retain", self.retain)):
            if source is not None:
                found[what]["name"] = Path(source).name  # with the function of a script
        return {"options": self.options(), "inputs": found}

    def told(self, message: str) -> str:
        """The message with paths below `base` as they were written: a result may be shown to others."""
        if self.base is None or self.base == self.base.parent:
            return message
        return re.sub(rf"(?<![\w./\\-]){re.escape(f'{self.base}{os.sep}')}", "", message)

    @property
    def _composite(self) -> Path | None:
        return composite_file(self.composite)


def digest(path: Path) -> str:
    """SHA-256 of a file, or of all files in a folder. Raises InputError if it cannot be read.

    A file that is as it was when it was last looked at is not read again: many requests share their probes.
    """
    try:
        if path.is_dir():
            return sha256_of_folder(path, sorted(file for file in path.rglob("*") if file.is_file()))
        found = os.stat(path)
        return _digest(path, found.st_ino, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check name and permissions") from None


@cache
def _digest(path: Path, *_: int) -> str:
    return sha256_of(path)
