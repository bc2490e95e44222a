"""One request: a model, what it is to forget, and how."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from onnxunlearn.digests import sha256_of, sha256_of_folder
from onnxunlearn.errors import InputError
from onnxunlearn.inquiry import Forget
from onnxunlearn.probes import SharedBy, source_files
from onnxunlearn.relevance import composite_file

#: what a request says of probes, each a file, a folder or a function of a script
_SOURCES = ("data", "retain", "forget_samples", "like")
#: what it says of files: these are known by what they hold, whatever folder they lie in
_FILES = ("model", *_SOURCES, "labels", "preprocess", "head", "composite")


@dataclass(frozen=True)
class Request:
    """name: of its folder among the results. forget: as `--forget` takes it; empty where samples are to show
    it, as `SharedBy` has them: forget_samples, like, paired. data, retain, forget_samples, like: what
    `load_probes` takes, a text. The others: as `unlearn` takes them; paths are absolute. base: the folder
    that they were written relative to, if any."""

    name: str
    model: Path
    forget: str = ""
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
    forget_samples: str | None = None
    like: str | None = None
    paired: bool = False
    head: Path | None = None
    base: Path | None = None

    @property
    def asked(self) -> Forget:
        """What is to be forgotten, as `unlearn` takes it."""
        if self.forget_samples is None:
            return self.forget
        return SharedBy(self.forget_samples, self.like, self.paired)

    @property
    def shown(self) -> str:
        """The same, for people."""
        return self.forget or Path(str(self.forget_samples)).name

    def options(self) -> dict[str, Any]:
        """All that is no file, JSON-ready."""
        found = {name: value for name, value in vars(self).items() if name not in ("name", "base", *_FILES)}
        found |= {"parameters": dict(self.parameters)}
        found |= {name: list(value) for name, value in found.items() if isinstance(value, tuple)}
        return found if self._composite is not None else found | {"composite": self.composite}

    def inputs(self) -> dict[str, Path]:
        """The files and folders it names, each by what it is."""
        sources = {what: source_files(source)[0] for what, source in self._sources().items()}
        others = {
            "labels": self.labels,
            "preprocess": self.preprocess,
            "head": self.head,
            "composite": self._composite,
        }
        return {"model": self.model, **sources, **{n: path for n, path in others.items() if path is not None}}

    def moved(self, place: Callable[[str | Path], Path]) -> "Request":
        """The same of files that lie elsewhere; what is said of them is told by who asked."""
        named = ("model", "labels", "preprocess", "head")
        moved: dict[str, Any] = {n: place(path) for n in named if (path := getattr(self, n)) is not None}
        moved |= {what: str(place(source)) for what, source in self._sources().items()}
        if self._composite is not None:
            moved["composite"] = str(place(self.composite))
        return replace(self, **moved, base=None)

    def identity(self) -> dict[str, Any]:
        """What makes two requests the same, JSON-ready: all options, and names and SHA-256 of the inputs. Of
        a loader script the digest is the script's own, not of what it reads.

        Raises InputError if an input cannot be read.
        """
        found = {what: {"name": path.name, "sha256": digest(path)} for what, path in self.inputs().items()}
        for what, source in self._sources().items():
            found[what]["name"] = Path(source).name  # with the function of a script
        return {"options": self.options(), "inputs": found}

    def told(self, message: str) -> str:
        """The message with paths below `base` as they were written: a result may be shown to others."""
        if self.base is None or self.base == self.base.parent:
            return message
        return re.sub(rf"(?<![\w./\\-]){re.escape(f'{self.base}{os.sep}')}", "", message)

    def _sources(self) -> dict[str, str]:
        return {what: source for what in _SOURCES if (source := getattr(self, what)) is not None}

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
