"""Whether a file is still what it was when work on it began."""

import os
from pathlib import Path
from typing import NamedTuple

from onnxunlearn.errors import InputError


class Stamp(NamedTuple):
    """When a file was written, in nanoseconds, and how many bytes it has."""

    modified: int
    bytes: int


def stamp_of(file: Path | int) -> Stamp:
    """Of a path or an open file's number. Raises OSError if there is none."""
    status = os.stat(file)
    return Stamp(status.st_mtime_ns, status.st_size)


def changed(path: Path) -> InputError:
    """What to raise of a file that is another than it was."""
    return InputError(
        f"{path}: changed while it was worked on; wait until it has been written, then run again"
    )
