"""What is known of a request, in its folder: written last, so that it is there only where all else is.

A request is done where its record says so, is of the same request, and every file is what the record says.
Nothing else holds the state of a batch, so there is nothing that could contradict it.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from onnxunlearn.digests import sha256_of
from onnxunlearn.errors import InputError
from onnxunlearn.fleet.request import Request, digest
from onnxunlearn.graph import write_atomically

#: outcomes: done, no figure beyond its limit; done, but one is; not done
MET, MISSED, FAILED = "met", "missed", "failed"
RECORD = "record.json"
#: raised whenever a reader of older records would misread a newer one; one of another schema is none
_SCHEMA = 1


@dataclass(frozen=True)
class Record:
    """request: see `Request.identity`; None where it did not come so far. beside: SHA-256 of files that were
    read without being named (external data, a config.json), by path from the model's folder. files: SHA-256
    of those that were written, by name. summary: accuracies and targets, JSON-ready. seconds: on the clock.
    peak: bytes of memory, at most; 0 where that is not known. error: in one line, why it failed."""

    outcome: str
    request: Mapping[str, Any] | None = None
    beside: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    summary: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    peak: int = 0
    error: str = ""

    @classmethod
    def read(cls, folder: Path) -> "Record | None":
        """None where there is none, or one that does not count."""
        try:
            values = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            return cls(**values["record"]) if values["schema"] == _SCHEMA else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def write(self, folder: Path) -> None:
        """Raises InputError if it cannot be written."""
        text = json.dumps({"schema": _SCHEMA, "record": asdict(self)}, indent=1)
        write_atomically(folder / RECORD, f"{text}\n".encode())

    def settles(self, request: Request, folder: Path) -> bool:
        """Whether there is nothing left to do: not if it failed, the request or what it reads is another by
        now, or a result is gone or changed."""
        if self.outcome not in (MET, MISSED):
            return False
        around = request.model.parent
        try:
            return (
                self.request == json.loads(json.dumps(request.identity()))
                and all(digest(around / name) == found for name, found in self.beside.items())
                and all(sha256_of(folder / name) == found for name, found in self.files.items())
            )
        except (InputError, OSError):
            return False


def clear(folder: Path, record: Record | None) -> None:
    """Remove what an earlier try left: the files of its record, and those that were never finished."""
    names = [RECORD, *(record.files if record is not None else ())]
    for path in [*(folder / os.path.basename(name) for name in names), *folder.glob(".*.tmp")]:
        path.unlink(missing_ok=True)
